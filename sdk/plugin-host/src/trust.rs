//! Whose components are loaded: the section `plugins:`, and what it means for one of them.

use std::fs;
use std::io;
use std::path::Path;

use crate::bindings::petrel::plugin::types::{Descriptor, Selector};
use crate::host::printable;
use crate::registry::access;
use crate::signature::{PublicKey, Signature};

/// What an operator says about signatures. `Default` asks for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Whether a component without a good signature of one of `keys` is refused.
    pub require_signature: bool,
    /// Who may vouch for components. If there is any, a signature that is there must be good.
    pub keys: Vec<TrustedKey>,
}

/// One who may vouch for components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// In errors and logs.
    pub name: String,
    /// What its signatures are checked with.
    pub public_key: PublicKey,
    /// For what it may vouch.
    pub may: Scope,
}

/// What components that one key vouches for may be and do; `None` is whatever they are and ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The names that they give themselves.
    pub plugins: Option<Vec<String>>,
    /// What they may do with what they select.
    pub access: Option<Vec<Access>>,
    /// The interfaces that they may import, besides the types.
    pub imports: Option<Vec<String>>,
}

/// A right on selected values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// See where they are and, if asked for, what they are.
    Read,
    /// Change them.
    Write,
    /// Make them where there are none.
    Create,
    /// Take them out.
    Delete,
}

impl Access {
    /// As they are written.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("read", Self::Read),
        ("write", Self::Write),
        ("create", Self::Create),
        ("delete", Self::Delete),
    ];

    fn bit(self) -> u8 {
        match self {
            Self::Read => access::READ,
            Self::Write => access::WRITE,
            Self::Create => access::CREATE,
            Self::Delete => access::DELETE,
        }
    }
}

/// A signature that was found good, and by whom it is.
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    pub(crate) by: TrustedKey,
    signature: Signature,
}

impl Trust {
    /// Looks at the signature of the component `file`, whose bytes have the digest `sha256`, before
    /// anything of it is compiled. `None` if it needs none and has none. The error names the remedy.
    pub(crate) fn check(&self, file: &Path, sha256: &str) -> Result<Option<Vouched>, String> {
        if self.keys.is_empty() && !self.require_signature {
            return Ok(None);
        }
        let (shown, beside) = (file.display(), Signature::beside(file));
        let text = match fs::read_to_string(&beside) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.require_signature => {
                tracing::warn!(file = %shown, "{shown} is not signed, and is loaded all the same");
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!(
                    "{shown} is not signed, and `plugins.require_signature` is true; if you trust \
                     it, sign it: petrel plugin sign {shown} --key SECRET_KEY_FILE"
                ));
            }
            Err(error) => return Err(format!("cannot read {}: {error}", beside.display())),
        };
        let beside = beside.display();
        let Some(signature) = Signature::parse(&text) else {
            return Err(format!(
                "{beside} is no signature; make it anew: petrel plugin sign {shown} --key SECRET_KEY_FILE"
            ));
        };
        if signature.sha256 != sha256 {
            return Err(format!(
                "{beside} is for another file: it vouches for sha256 {}, {shown} has {sha256}. Put \
                 the right file there; if you trust this one: petrel plugin sign {shown} --key \
                 SECRET_KEY_FILE",
                signature.sha256
            ));
        }
        let by = self
            .keys
            .iter()
            .find(|key| key.public_key == signature.key)
            .ok_or_else(|| {
                format!(
                    "{shown} is signed by {}, which is none of `plugins.keys`; if you trust that \
                     key, add it there, else: petrel plugin sign {shown} --key SECRET_KEY_FILE",
                    signature.key
                )
            })?;
        if !signature.is_by(&by.public_key) {
            return Err(format!(
                "{beside} was changed or was not made with the key {:?}; make it anew: petrel \
                 plugin sign {shown} --key SECRET_KEY_FILE",
                by.name
            ));
        }
        let vouched = Vouched {
            by: by.clone(),
            signature,
        };
        vouched.may_be_loaded()?;
        Ok(Some(vouched))
    }
}

impl Vouched {
    fn may_be_loaded(&self) -> Result<(), String> {
        let Some(plugins) = &self.by.may.plugins else {
            return Ok(());
        };
        let name = &self.signature.name;
        if plugins.contains(name) {
            return Ok(());
        }
        Err(self.beyond("plugins", format!("the plugin {name}"), plugins))
    }

    /// Whether the component is what was vouched for, and asks for no more than the key may give.
    pub(crate) fn check(
        &self,
        descriptor: &Descriptor,
        contract: &str,
        imports: &[String],
        selectors: &[Selector],
    ) -> Result<(), String> {
        let Signature {
            name,
            version,
            contract: of,
            ..
        } = &self.signature;
        let is = (printable(&descriptor.name), printable(&descriptor.version));
        if (name, version, of.as_str()) != (&is.0, &is.1, contract) {
            return Err(format!(
                "calls itself {} {} of contract {contract}, its signature is for {name} {version} \
                 of contract {of}; sign it anew with `petrel plugin sign`",
                is.0, is.1
            ));
        }
        if let Some(allowed) = &self.by.may.imports {
            for import in imports {
                let interface = import.rsplit('/').next().unwrap_or(import);
                let interface = interface.split('@').next().unwrap_or(interface);
                if interface != "types" && !allowed.iter().any(|one| one == interface) {
                    return Err(self.beyond("imports", format!("the import {interface}"), allowed));
                }
            }
        }
        if let Some(allowed) = &self.by.may.access {
            let asked = selectors.iter().fold(0, |all, one| all | one.access);
            let words = |is_in: &dyn Fn(Access) -> bool| -> Vec<String> {
                let words = Access::WORDS.iter().filter(|(_, one)| is_in(*one));
                words.map(|(word, _)| (*word).to_owned()).collect()
            };
            let granted = |one: Access| allowed.contains(&one);
            let missing = words(&|one| asked & one.bit() != 0 && !granted(one));
            if !missing.is_empty() {
                let what = format!("access to {}", missing.join(", "));
                return Err(self.beyond("access", what, &words(&granted)));
            }
        }
        Ok(())
    }

    fn beyond(&self, list: &str, what: String, allowed: &[String]) -> String {
        let (key, allowed) = (&self.by.name, allowed.join(", "));
        format!(
            "is signed by {key:?}, who may not vouch for {what} (`may.{list}` of the key: \
             [{allowed}]); have it signed by another key, or add to the list if you trust this one \
             with it"
        )
    }
}
