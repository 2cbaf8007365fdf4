//! A signature beside a component: `redact.wasm.sig` says who vouches for `redact.wasm`.
//!
//! A short text, so that people can read what was vouched for. The last line is an ed25519 signature
//! over the lines before it, line feeds included:
//!
//! ```text
//! petrel plugin signature 1
//! name redact
//! version 0.1.0
//! contract 0.1.0
//! sha256 64 hex digits
//! key ed25519:64 hex digits
//! signature 128 hex digits
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::chain::PluginError;
use crate::inspect::Papers;

const FIRST: &str = "petrel plugin signature 1";
const FIELDS: [&str; 6] = ["name", "version", "contract", "sha256", "key", "signature"];
const SECRET: &str = "petrel plugin secret key 1";
const PREFIX: &str = "ed25519:";

/// What signatures are checked with: `ed25519:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.trim().strip_prefix(PREFIX);
        let bytes = digits.and_then(unhex).and_then(|key| key.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            format!(
                "{text:?} is not a public key; write ed25519: and 64 hex digits, as \
                 `petrel plugin keygen` shows them"
            )
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What components are signed with. Never prints itself.
pub struct SecretKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl SecretKey {
    /// A new one, from the system's randomness.
    pub fn generate() -> Result<Self, PluginError> {
        let none = |_| PluginError("the system has no randomness for a key".into());
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(none)?;
        Self::of(pkcs8.as_ref().to_vec())
    }

    fn of(pkcs8: Vec<u8>) -> Result<Self, PluginError> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| {
            PluginError("is not a secret key; make one with `petrel plugin keygen`".into())
        })?;
        Ok(Self { pair, pkcs8 })
    }

    /// Reads what [`SecretKey::expose`] gave.
    pub fn parse(text: &str) -> Result<Self, PluginError> {
        let mut lines = text.lines();
        let digits = (lines.next() == Some(SECRET))
            .then(|| lines.next())
            .flatten();
        Self::of(digits.and_then(unhex).unwrap_or_default())
    }

    /// For a file that nobody else can read.
    pub fn expose(&self) -> String {
        format!("{SECRET}\n{}\n", hex(&self.pkcs8))
    }

    /// Its other half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Vouches for a component.
    pub fn sign(&self, papers: &Papers) -> Signature {
        let mut signature = Signature {
            name: papers.name().to_owned(),
            version: papers.version().to_owned(),
            contract: papers.contract().to_owned(),
            sha256: papers.sha256().to_owned(),
            key: self.public(),
            signature: Vec::new(),
        };
        signature.signature = self
            .pair
            .sign(signature.said().as_bytes())
            .as_ref()
            .to_vec();
        signature
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

/// Who says that a component is what it says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) contract: String,
    pub(crate) sha256: String,
    pub(crate) key: PublicKey,
    signature: Vec<u8>,
}

impl Signature {
    /// Where the signature of `component` lies.
    pub fn beside(component: &Path) -> PathBuf {
        let mut name = component.as_os_str().to_owned();
        name.push(".sig");
        PathBuf::from(name)
    }

    /// Reads a file; whether it is true is another matter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next() != Some(FIRST) {
            return None;
        }
        let mut values = FIELDS.map(|field| {
            let value = lines.next()?.strip_prefix(field)?.strip_prefix(' ')?;
            Some(value.to_owned())
        });
        if lines.next().is_some() {
            return None;
        }
        let [name, version, contract, sha256, key, signature] = &mut values;
        Some(Self {
            name: name.take()?,
            version: version.take()?,
            contract: contract.take()?,
            sha256: sha256.take()?,
            key: PublicKey::parse(key.as_deref()?).ok()?,
            signature: unhex(signature.as_deref()?)?,
        })
    }

    /// Whether `key` has signed just this.
    pub fn is_by(&self, key: &PublicKey) -> bool {
        let public = UnparsedPublicKey::new(&ED25519, key.0);
        self.key == *key
            && public
                .verify(self.said().as_bytes(), &self.signature)
                .is_ok()
    }

    /// Who says to have made it.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether it speaks of this component.
    pub fn is_of(&self, papers: &Papers) -> Result<(), String> {
        for (what, signed, is) in [
            ("sha256", &self.sha256, papers.sha256()),
            ("name", &self.name, papers.name()),
            ("version", &self.version, papers.version()),
            ("contract", &self.contract, papers.contract()),
        ] {
            if signed != is {
                return Err(format!(
                    "the signature is for {what} {signed}, this has {is}"
                ));
            }
        }
        Ok(())
    }

    /// The lines that are signed.
    fn said(&self) -> String {
        let Self {
            name,
            version,
            contract,
            sha256,
            key,
            ..
        } = self;
        format!(
            "{FIRST}\nname {name}\nversion {version}\ncontract {contract}\nsha256 {sha256}\nkey {key}\n"
        )
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}signature {}", self.said(), hex(&self.signature))
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;

    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").ok();
        hex
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(by: &SecretKey) -> Signature {
        let mut signature = Signature {
            name: "redact".into(),
            version: "0.1.0".into(),
            contract: "0.1.0".into(),
            sha256: "ab".repeat(32),
            key: by.public(),
            signature: Vec::new(),
        };
        signature.signature = by.pair.sign(signature.said().as_bytes()).as_ref().to_vec();
        signature
    }

    #[test]
    fn keys_and_signatures_survive_being_written_down() {
        let key = SecretKey::generate().unwrap();
        let read = SecretKey::parse(&key.expose()).unwrap();
        assert_eq!(read.public(), key.public());
        let public = PublicKey::parse(&key.public().to_string());
        assert_eq!(public, Ok(key.public()));
        let signature = signed(&key);
        let read = Signature::parse(&signature.to_string()).unwrap();
        assert_eq!(read, signature);
        assert!(read.is_by(&key.public()));
        assert!(!read.is_by(&SecretKey::generate().unwrap().public()));
    }

    #[test]
    fn whatever_is_changed_in_a_signature_it_is_none_any_more() {
        let key = SecretKey::generate().unwrap();
        let text = signed(&key).to_string();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            let read = Signature::parse(&changed);
            assert!(
                read.is_none_or(|read| !read.is_by(&key.public())),
                "{changed}"
            );
        }
        assert!(Signature::parse(&(text.clone() + "more\n")).is_none());
        assert!(Signature::parse(text.trim_end()).is_none());
    }

    #[test]
    fn a_secret_key_does_not_print_itself() {
        let key = SecretKey::generate().unwrap();
        let secret = key.expose();
        let digits = secret.lines().nth(1).unwrap();
        assert!(!format!("{key:?}").contains(digits));
    }
}
