//! Replaces chosen attributes by keyed hashes (HMAC-SHA-256).
//!
//! The same value always becomes the same pseudonym, so that one can still count users and follow one
//! of them; who it is knows only someone who has the key and guesses the value. It fails closed.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use petrel_plugin::prelude::*;
use sha2::Sha256;

/// What an operator writes under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Attribute keys: exact, or with `*` at either end.
    keys: Vec<String>,
    /// The secret. Whoever has it can test guesses.
    secret: String,
    /// Hexadecimal digits of a pseudonym.
    #[serde(default = "digits")]
    digits: usize,
    /// What a pseudonym begins with, so that people know one.
    #[serde(default)]
    prefix: String,
}

/// 64 bits: among a million users two share a pseudonym once in 37 million installations.
fn digits() -> usize {
    16
}

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["keys", "secret"],
  "properties": {
    "keys": { "type": "array", "minItems": 1, "items": { "type": "string" }, "description": "Attribute keys: exact, or with * at either end." },
    "secret": { "type": "string", "minLength": 16, "description": "The key of the hash." },
    "digits": { "type": "integer", "minimum": 8, "maximum": 64, "default": 16, "description": "Hexadecimal digits of a pseudonym." },
    "prefix": { "type": "string", "default": "", "description": "What a pseudonym begins with." }
  }
}"#;

const LEAST_SECRET_BYTES: usize = 16;

/// What `configure` prepared for `process`.
#[derive(Debug)]
pub struct Pseudonymise {
    slots: Vec<Slot>,
    /// The hash with the secret already in it.
    keyed: Hmac<Sha256>,
    digits: usize,
    prefix: String,
}

impl Processor for Pseudonymise {
    type Config = Config;

    fn about() -> About {
        about!().schema(SCHEMA).fails_closed()
    }

    fn configure(config: Config, plan: &mut Plan) -> Result<Self> {
        if config.keys.is_empty() {
            return Err(Error::config(
                "config.keys is empty; name an attribute, such as \"user.id\"",
            ));
        }
        if config.secret.len() < LEAST_SECRET_BYTES {
            return Err(Error::config(format!(
                "config.secret has less than {LEAST_SECRET_BYTES} bytes; make one with: openssl rand -hex 32"
            )));
        }
        if !(8..=64).contains(&config.digits) {
            return Err(Error::config("config.digits must be between 8 and 64"));
        }
        let keys = config.keys.join("|");
        let chosen = |table| Selector::attributes(table, &keys).kinds(Kinds::ANY).write();
        let keyed = Hmac::new_from_slice(config.secret.as_bytes())
            .map_err(|_| Error::config("config.secret cannot be a key"))?;
        Ok(Self {
            slots: Table::ALL.map(|table| plan.select(chosen(table))).into(),
            keyed,
            digits: config.digits,
            prefix: config.prefix,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits) -> Result<()> {
        for slot in &self.slots {
            edits.map_text(batch, *slot, |text| Some(self.pseudonym(text.as_bytes())));
            for cell in batch.cells(*slot) {
                let pseudonym = match cell.value {
                    Value::Text(_) => continue,
                    Value::Bytes(value) | Value::Json(value) => self.pseudonym(value.bytes),
                    // A number is hashed as it is written: 5 and "5" are the same user.
                    Value::Int(number) => self.pseudonym(number.to_string().as_bytes()),
                    Value::Double(number) => self.pseudonym(number.to_string().as_bytes()),
                    Value::Bool(truth) => self.pseudonym(truth.to_string().as_bytes()),
                    _ => continue,
                };
                edits.set(&cell, &pseudonym);
            }
        }
        Ok(())
    }
}

impl Pseudonymise {
    fn pseudonym(&self, value: &[u8]) -> String {
        let mut hash = self.keyed.clone();
        hash.update(value);
        let mut pseudonym = self.prefix.clone();
        for byte in hash.finalize().into_bytes() {
            // Writing into a string does not fail.
            write!(pseudonym, "{byte:02x}").ok();
        }
        pseudonym.truncate(self.prefix.len() + self.digits);
        pseudonym
    }
}

petrel_plugin::export!(Pseudonymise);

#[cfg(test)]
mod tests {
    use petrel_plugin::testing::{Tested, json};

    use super::*;

    #[test]
    fn a_pseudonym_is_what_everybody_computes_who_has_the_secret() {
        // printf %s bob | openssl dgst -sha256 -hmac 0123456789abcdef
        let keyed = Hmac::new_from_slice(b"0123456789abcdef").unwrap();
        let plugin = Pseudonymise {
            slots: Vec::new(),
            keyed,
            digits: 64,
            prefix: "u-".into(),
        };
        assert_eq!(
            plugin.pseudonym(b"bob"),
            "u-6f32117ae2bc2046c803f82251013549cecfd9b07f3a94b4aa49fba3540e4cb0"
        );
    }

    #[test]
    fn a_weak_configuration_is_refused_with_what_to_do() {
        let error = |config| {
            let error = Tested::<Pseudonymise>::new(config).unwrap_err();
            error.message().to_owned()
        };
        let short = json!({"keys": ["user.id"], "secret": "short"});
        assert!(error(short).contains("openssl rand -hex 32"));
        let none = json!({"keys": [], "secret": "0123456789abcdef"});
        assert!(error(none).contains("user.id"));
        let digits = json!({"keys": ["a"], "secret": "0123456789abcdef", "digits": 4});
        assert!(error(digits).contains("between 8 and 64"));
    }
}
