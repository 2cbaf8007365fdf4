//! The configuration: which keys, which patterns, what stands in their place.

use petrel_plugin::prelude::*;

use crate::patterns::{IBAN, KEYS, PATTERNS};

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
    "allow_keys": {
      "type": "array",
      "items": { "type": "string" },
      "description": "Attribute keys that are left alone, whatever keys and patterns say: exact, or with * at either end. With keys [\"*\"] nothing else is passed on."
    },
    "replacement": { "type": "string", "maxLength": 256, "default": "[redacted]" }
  }
}"#;

const DEFAULT: &str = "default";
const MAX_REPLACEMENT_BYTES: usize = 256;

/// What an operator wrote.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    keys: Vec<String>,
    patterns: Vec<Pattern>,
    allow_keys: Vec<String>,
    /// What stands in place of what was found.
    pub replacement: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a pattern is a name or {\"regex\": \"...\"}")]
enum Pattern {
    Named(String),
    Own(Own),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    regex: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keys: vec![DEFAULT.into()],
            patterns: vec![Pattern::Named(DEFAULT.into())],
            allow_keys: Vec::new(),
            replacement: "[redacted]".into(),
        }
    }
}

impl Config {
    /// What each value alone cannot say.
    pub fn check(&self) -> Result<()> {
        if self.keys.is_empty() && self.patterns.is_empty() {
            return Err(Error::config(
                "config leaves nothing to redact: name keys or patterns",
            ));
        }
        if self.replacement.len() > MAX_REPLACEMENT_BYTES {
            return Err(Error::config(format!(
                "config.replacement must be a text of at most {MAX_REPLACEMENT_BYTES} bytes"
            )));
        }
        Ok(())
    }

    /// One rule for all keys that are hidden, in the host's spelling.
    pub fn rule(&self) -> Result<Option<String>> {
        let mut keys = Vec::new();
        for key in &self.keys {
            if key == DEFAULT {
                keys.extend(KEYS);
            } else {
                keys.push(checked("keys", key)?);
            }
        }
        Ok((!keys.is_empty()).then(|| keys.join("|")))
    }

    /// Rules for keys that are left alone.
    pub fn allowed(&self) -> Result<Vec<String>> {
        let keys = self.allow_keys.iter();
        keys.map(|key| checked("allow_keys", key).map(str::to_ascii_lowercase))
            .collect()
    }

    /// Whether IBANs are wanted.
    pub fn has_iban(&self) -> bool {
        let is_it = |pattern: &Pattern| matches!(pattern, Pattern::Named(name) if name == IBAN.0);
        self.patterns.iter().any(is_it)
    }

    /// Patterns in the host's syntax, without that for IBANs.
    pub fn patterns(&self) -> Result<Vec<String>> {
        let mut patterns = Vec::new();
        for pattern in &self.patterns {
            match pattern {
                Pattern::Named(name) if name == DEFAULT => {
                    let on = PATTERNS.iter().filter(|(_, _, on)| *on);
                    patterns.extend(on.map(|(_, pattern, _)| String::from(*pattern)));
                }
                Pattern::Named(name) if name == IBAN.0 => {}
                Pattern::Named(name) => patterns.push(named(name)?.into()),
                Pattern::Own(own) => patterns.push(own.regex.clone()),
            }
        }
        Ok(patterns)
    }
}

fn checked<'a>(list: &str, key: &'a str) -> Result<&'a str> {
    if key.is_empty() || key.contains('|') {
        return Err(Error::config(format!(
            "config.{list}: {key:?} is not an attribute key, such as \"password\" or \"*.secret\""
        )));
    }
    if key.trim_matches('*').contains('*') {
        return Err(Error::config(format!(
            "config.{list}: in {key:?} a * may stand at either end only"
        )));
    }
    Ok(key)
}

fn named(name: &str) -> Result<&'static str> {
    let pattern = PATTERNS.iter().find(|(known, _, _)| *known == name);
    pattern.map(|(_, pattern, _)| *pattern).ok_or_else(|| {
        let mut known: Vec<_> = PATTERNS.iter().map(|(known, _, _)| *known).collect();
        known.push(IBAN.0);
        Error::config(format!(
            "config.patterns has no {name:?}; it knows {}, and {{\"regex\": \"...\"}} for your own",
            known.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use petrel_plugin::testing::{Tested, Value, json};

    use super::*;
    use crate::Redact;

    fn error(config: Value) -> String {
        let error = Tested::<Redact>::new(config).unwrap_err();
        error.message().to_owned()
    }

    #[test]
    fn an_empty_configuration_knows_the_usual_secrets() {
        let config = Config::default();
        assert!(
            config
                .rule()
                .unwrap()
                .unwrap()
                .contains("|*.authorization|")
        );
        let on = PATTERNS.iter().filter(|(_, _, on)| *on).count();
        assert_eq!(config.patterns().unwrap().len(), on);
        assert!(Tested::<Redact>::new(Value::Null).is_ok());
        assert!(Tested::<Redact>::new(json!({})).is_ok());
    }

    #[test]
    fn lists_replace_the_defaults_unless_they_name_them() {
        let config = Config {
            keys: vec!["ssn".into()],
            ..Config::default()
        };
        assert_eq!(config.rule().unwrap().unwrap(), "ssn");
        let config = Config {
            keys: vec![DEFAULT.into(), "ssn".into()],
            ..Config::default()
        };
        let rule = config.rule().unwrap().unwrap();
        assert!(rule.starts_with("password|") && rule.ends_with("|ssn"));
    }

    #[test]
    fn a_mistake_is_answered_with_what_is_known() {
        assert!(error(json!({"pattern": []})).contains("`patterns`"));
        assert!(error(json!({"patterns": ["mail"]})).contains("email, card"));
        assert!(error(json!({"patterns": [5]})).contains("a name or {"));
        assert!(error(json!({"patterns": [{"regex": "("}]})).contains("unclosed"));
        assert!(error(json!({"keys": ["a*b"]})).contains("config.keys: in \"a*b\""));
        assert!(error(json!({"allow_keys": [""]})).contains("config.allow_keys"));
        assert!(error(json!({"keys": [], "patterns": []})).contains("nothing to redact"));
        let long = "x".repeat(300);
        assert!(error(json!({"replacement": long})).contains("at most 256 bytes"));
    }
}
