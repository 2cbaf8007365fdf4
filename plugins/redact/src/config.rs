//! The configuration: which keys, which patterns, what stands in their place.

use serde_json::Value;

use crate::patterns::{KEYS, PATTERNS};

/// What an operator may write, for forms and editors.
pub const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "keys": {
      "type": "array",
      "items": { "type": "string" },
      "description": "Attribute keys whose values are replaced: exact, or with * at either end. \"default\" stands for the well-known ones. Absent = the well-known ones."
    },
    "patterns": {
      "type": "array",
      "items": {
        "anyOf": [
          { "type": "string", "description": "A named pattern, or \"default\" for those that are on by default." },
          {
            "type": "object",
            "properties": { "regex": { "type": "string" } },
            "required": ["regex"],
            "additionalProperties": false
          }
        ]
      },
      "description": "What is replaced inside texts. Absent = the default ones."
    },
    "replacement": { "type": "string", "maxLength": 256, "default": "[redacted]" }
  }
}"#;

const DEFAULT: &str = "default";
const MAX_REPLACEMENT_BYTES: usize = 256;

/// What `configure` was told.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Key rules in the host's spelling.
    pub keys: Vec<String>,
    /// Patterns in the host's syntax.
    pub patterns: Vec<String>,
    /// What stands in place of what was found.
    pub replacement: String,
}

impl Config {
    /// Reads the JSON that the operator wrote. The text of an error is for the operator.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let mut config = Self {
            keys: KEYS.map(String::from).to_vec(),
            patterns: default_patterns().map(String::from).collect(),
            replacement: "[redacted]".into(),
        };
        if json.is_empty() {
            return Ok(config);
        }
        let value = serde_json::from_slice(json)
            .map_err(|error| format!("config is not JSON: {error}"))?;
        let fields = match value {
            Value::Null => return Ok(config),
            Value::Object(fields) => fields,
            _ => return Err("config must be a map with keys, patterns and replacement".into()),
        };
        for (name, value) in &fields {
            match name.as_str() {
                "keys" => config.keys = keys(value)?,
                "patterns" => config.patterns = patterns(value)?,
                "replacement" => config.replacement = replacement(value)?,
                _ => {
                    return Err(format!(
                        "config has no {name:?}; it knows \"keys\", \"patterns\" and \"replacement\""
                    ));
                }
            }
        }
        if config.keys.is_empty() && config.patterns.is_empty() {
            return Err("config leaves nothing to redact: name keys or patterns".into());
        }
        Ok(config)
    }
}

fn default_patterns() -> impl Iterator<Item = &'static str> {
    PATTERNS
        .iter()
        .filter(|(_, _, on)| *on)
        .map(|(_, pattern, _)| *pattern)
}

fn keys(value: &Value) -> Result<Vec<String>, String> {
    let wrong = || String::from("config.keys must be a list of attribute keys, such as \"password\" or \"*.secret\"");
    let mut keys = Vec::new();
    for key in value.as_array().ok_or_else(wrong)? {
        let key = key.as_str().ok_or_else(wrong)?;
        if key == DEFAULT {
            keys.extend(KEYS.map(String::from));
        } else if key.is_empty() || key.contains('|') {
            return Err(format!("config.keys: {key:?} is not an attribute key"));
        } else if key.trim_matches('*').contains('*') {
            return Err(format!("config.keys: in {key:?} a * may stand at either end only"));
        } else {
            keys.push(key.into());
        }
    }
    Ok(keys)
}

fn patterns(value: &Value) -> Result<Vec<String>, String> {
    let wrong = || String::from("config.patterns must be a list of names and {\"regex\": \"...\"}");
    let mut patterns = Vec::new();
    for entry in value.as_array().ok_or_else(wrong)? {
        match entry {
            Value::String(name) if name == DEFAULT => {
                patterns.extend(default_patterns().map(String::from));
            }
            Value::String(name) => patterns.push(named(name)?.into()),
            Value::Object(fields) if fields.len() == 1 => {
                let regex = fields.get("regex").and_then(Value::as_str);
                patterns.push(regex.ok_or_else(wrong)?.into());
            }
            _ => return Err(wrong()),
        }
    }
    Ok(patterns)
}

fn named(name: &str) -> Result<&'static str, String> {
    PATTERNS
        .iter()
        .find(|(known, _, _)| *known == name)
        .map(|(_, pattern, _)| *pattern)
        .ok_or_else(|| {
            let known: Vec<_> = PATTERNS.iter().map(|(known, _, _)| *known).collect();
            format!(
                "config.patterns has no {name:?}; it knows {}, and {{\"regex\": \"...\"}} for your own",
                known.join(", ")
            )
        })
}

fn replacement(value: &Value) -> Result<String, String> {
    match value.as_str() {
        Some(text) if text.len() <= MAX_REPLACEMENT_BYTES => Ok(text.into()),
        _ => Err(format!("config.replacement must be a text of at most {MAX_REPLACEMENT_BYTES} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_knows_the_usual_secrets() {
        let config = Config::parse(b"{}").unwrap();
        assert!(config.keys.iter().any(|key| key == "*.authorization"));
        assert_eq!(config.patterns.len(), default_patterns().count());
        assert_eq!(config.replacement, "[redacted]");
        assert_eq!(config, Config::parse(b"").unwrap());
        assert_eq!(config, Config::parse(b"null").unwrap());
    }

    #[test]
    fn lists_replace_the_defaults_unless_they_name_them() {
        let config =
            Config::parse(br#"{"keys":["ssn"],"patterns":["email",{"regex":"a+"}]}"#).unwrap();
        assert_eq!(config.keys, ["ssn"]);
        assert_eq!(config.patterns[1], "a+");
        let config = Config::parse(br#"{"keys":["default","ssn"]}"#).unwrap();
        assert_eq!(config.keys.len(), KEYS.len() + 1);
    }

    #[test]
    fn a_mistake_is_answered_with_what_is_known() {
        let error = |json: &str| Config::parse(json.as_bytes()).unwrap_err();
        assert!(error(r#"{"pattern":[]}"#).contains("\"patterns\""));
        assert!(error(r#"{"patterns":["mail"]}"#).contains("email, card"));
        assert!(error(r#"{"keys":["a*b"]}"#).contains("either end"));
        assert!(error(r#"{"keys":[],"patterns":[]}"#).contains("nothing to redact"));
    }
}
