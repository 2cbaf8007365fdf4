//! The sections `processors:` and `plugins:` as both binaries have them: the same keys, words and complaints, over
//! whatever reads the file there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::config::{OnError, PluginLimits, ProcessorConfig};
use crate::route;
use crate::signature::PublicKey;
use crate::trust::{Access, Scope, Trust, TrustedKey};

/// One level of a configuration file, read key by key; what was never asked for is a typo.
pub trait Keys: Sized {
    /// The value of a key through `parse`, whose error is the complaint.
    fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T>;

    /// What stands below a key.
    fn below(&self, key: &'static str) -> Option<Self>;

    /// A list of what stands below a key.
    fn list(&self, key: &'static str) -> Vec<Self>;

    /// The value of a key with all that is in it, by the types of YAML's core schema.
    fn json(&self, key: &'static str) -> Option<Value>;

    /// Complains about a key.
    fn complain(&self, key: &'static str, what: String);

    /// Complains about what nobody has asked for.
    fn done(self);
}

/// The section `plugins`, which counts for all processors.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    /// Who must vouch for them.
    pub trust: Arc<Trust>,
    /// Whether they are interpreted.
    pub interpreted: bool,
}

/// Reads `plugins`.
pub fn plugins<K: Keys>(section: K) -> Plugins {
    let words = [("compiled", false), ("interpreter", true)];
    let interpreted = choice(&section, "engine", &words).unwrap_or(false);
    Plugins {
        trust: Arc::new(trust(section)),
        interpreted,
    }
}

fn trust<K: Keys>(section: K) -> Trust {
    let required = choice(
        &section,
        "require_signature",
        &[("true", true), ("false", false)],
    );
    let mut trust = Trust {
        require_signature: required.unwrap_or(false),
        keys: Vec::new(),
    };
    for one in section.list("keys") {
        let name = one.parsed("name", |text| Ok(text.to_owned()));
        let public_key = one.parsed("public_key", PublicKey::parse);
        if name.is_none() {
            let what = "missing; it is what errors and logs call the key";
            one.complain("name", what.to_owned());
        } else if trust
            .keys
            .iter()
            .any(|other| name.as_ref() == Some(&other.name))
        {
            one.complain("name", "is the name of another key already".to_owned());
        }
        if public_key.is_none() && one.json("public_key").is_none() {
            let what = "missing; `petrel plugin keygen` makes one";
            one.complain("public_key", what.to_owned());
        }
        let may = one.below("may").map_or_else(Scope::default, scope);
        if let (Some(name), Some(public_key)) = (name, public_key) {
            trust.keys.push(TrustedKey {
                name,
                public_key,
                may,
            });
        }
        one.done();
    }
    if trust.require_signature && section.json("keys").is_none() {
        let what = "needs `keys`: without one no plugin could be loaded; `petrel plugin keygen` \
                    makes one";
        section.complain("require_signature", what.to_owned());
    }
    section.done();
    trust
}

fn scope<K: Keys>(section: K) -> Scope {
    let plugins = words(&section, "plugins");
    let imports = words(&section, "imports");
    let access = words(&section, "access").map(|words| {
        let mut access = Vec::new();
        for word in words {
            match Access::WORDS.iter().find(|(known, _)| *known == word) {
                Some((_, one)) => access.push(*one),
                None => {
                    let known = Access::WORDS.map(|(known, _)| known).join(", ");
                    section.complain("access", format!("{word:?} is none of {known}"));
                }
            }
        }
        access
    });
    section.done();
    Scope {
        plugins,
        access,
        imports,
    }
}

/// A list of words, if it is there.
fn words<K: Keys>(section: &K, key: &'static str) -> Option<Vec<String>> {
    let list: Option<Vec<String>> = match section.json(key)? {
        Value::Array(list) => list
            .iter()
            .map(|word| word.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    if list.is_none() {
        section.complain(key, "expected a list of words".to_owned());
    }
    // What cannot be read allows nothing.
    Some(list.unwrap_or_default())
}

/// Reads one of `processors`, whose paths are relative to `beside`; `others` come before it, and
/// `plugins` counts for all. More keys may be asked for afterwards, before [`Keys::done`].
pub fn processor<K: Keys>(
    section: &K,
    beside: &Path,
    others: &[ProcessorConfig],
    plugins: &Plugins,
) -> Option<ProcessorConfig> {
    let text = |key| section.parsed(key, |text| Ok(text.to_owned()));
    let name = text("name");
    let plugin = text("plugin");
    let sha256 = text("sha256");
    let is_digest = |pin: &String| pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit());
    if sha256.as_ref().is_some_and(|pin| !is_digest(pin)) {
        let what = "must be 64 hex digits; `petrel plugin inspect` shows them";
        section.complain("sha256", what.to_owned());
    }
    let on_error = choice(
        section,
        "on_error",
        &[
            ("closed", OnError::Closed),
            ("open", OnError::Open),
            ("drop", OnError::Drop),
            ("strip", OnError::Strip),
        ],
    );
    let i_accept_unredacted = choice(
        section,
        "i_accept_unredacted",
        &[("true", true), ("false", false)],
    )
    .unwrap_or(false);
    let mut allow_clock = false;
    for word in words(section, "allow").unwrap_or_default() {
        match word.as_str() {
            "clock" => allow_clock = true,
            _ => section.complain("allow", format!("{word:?} is none of clock")),
        }
    }
    let config = section
        .json("config")
        .unwrap_or_else(|| serde_json::json!({}));
    if !config.is_object() {
        let what = "expected a section with the processor's own keys";
        section.complain("config", what.to_owned());
    }
    let limits = section
        .below("limits")
        .map_or_else(PluginLimits::default, limits);
    let name = match (name, &plugin) {
        (Some(name), _) => name,
        (None, Some(plugin)) => stem(plugin),
        (None, None) => String::new(),
    };
    if others.iter().any(|other| other.name == name) {
        let what = format!("{name:?} is the name of another processor already");
        section.complain("name", what);
    }
    let Some(plugin) = plugin else {
        let what = "missing; name the component file, *.wasm";
        section.complain("plugin", what.to_owned());
        return None;
    };
    let plugin = beside.join(plugin);
    if !plugin.is_file() {
        section.complain("plugin", format!("no file {}", plugin.display()));
    }
    Some(ProcessorConfig {
        name,
        plugin,
        sha256,
        trust: Arc::clone(&plugins.trust),
        interpreted: plugins.interpreted,
        on_error,
        i_accept_unredacted,
        allow_clock,
        random_seed: None,
        lookups: lookups(section, beside),
        outputs: Some(outputs(section)),
        config,
        limits,
    })
}

/// Names and files.
fn lookups<K: Keys>(section: &K, beside: &Path) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    let given = match section.json("lookups") {
        None => return files,
        Some(Value::Object(given)) => given,
        Some(_) => {
            let what = "expected names and files, like { sites: sites.csv }";
            section.complain("lookups", what.to_owned());
            return files;
        }
    };
    for (name, file) in given {
        let Some(file) = file.as_str().map(|file| beside.join(file)) else {
            section.complain("lookups", format!("{name} is no file's name"));
            continue;
        };
        if !file.is_file() {
            section.complain("lookups", format!("no file {}", file.display()));
        }
        files.insert(name, file);
    }
    files
}

/// Their names; what is below each is for whoever sends batches there.
fn outputs<K: Keys>(section: &K) -> Vec<String> {
    match section.json("outputs") {
        None => Vec::new(),
        Some(Value::Object(given)) => given
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| {
                let is_name = route::is_name(name);
                if !is_name {
                    let what = format!("{name:?} must be 1 to 64 of a-z, 0-9, - and _");
                    section.complain("outputs", what);
                }
                is_name
            })
            .collect(),
        Some(_) => {
            let what = "expected names of outputs, and below each where it leads";
            section.complain("outputs", what.to_owned());
            Vec::new()
        }
    }
}

fn stem(plugin: &str) -> String {
    let stem = Path::new(plugin).file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn limits<K: Keys>(section: K) -> PluginLimits {
    let mut limits = PluginLimits::default();
    if let Some(bytes) = section.parsed("memory_bytes", size) {
        match usize::try_from(bytes) {
            Ok(bytes) if (1 << 20..=1 << 30).contains(&bytes) => limits.memory_bytes = bytes,
            _ => section.complain("memory_bytes", "must be between 1MiB and 1GiB".to_owned()),
        }
    }
    if let Some(call) = section.parsed("call", duration) {
        limits.call = call;
    }
    if let Some(per_row) = section.parsed("per_row", duration) {
        limits.per_row = per_row;
    }
    if let Some(bytes) = section.parsed("component_bytes", size) {
        limits.component_bytes = bytes;
    }
    if let Some(bytes) = section.parsed("added_bytes", size) {
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= 64 << 20 => limits.added_bytes = bytes,
            _ => section.complain("added_bytes", "must be at most 64MiB".to_owned()),
        }
    }
    section.done();
    limits
}

/// One of a few words.
fn choice<K: Keys, T: Copy>(section: &K, key: &'static str, words: &[(&str, T)]) -> Option<T> {
    section.parsed(key, |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("{text:?} is none of {}", words.join(", "))
        })
    })
}

/// Reads `30s`, `5m`, `250ms`, `20us`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is not a duration; write it like \"30s\" or \"250ms\"");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(expected)?;
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| expected())?;
    let unit = match unit.trim() {
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(expected()),
    };
    Ok(unit * number)
}

/// Reads `2GiB`, `512MiB`, `64KiB` or a number of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let expected = || format!("{text:?} isn't a size; write \"2GiB\" or 2147483648");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(expected()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("{text:?} is larger than any disk"))
}

/// A scalar that is not quoted, by YAML's core schema.
pub fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let number = text
        .starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        .then(|| {
            let whole = text.parse::<i64>().map(serde_json::Number::from).ok();
            let broken = || text.parse::<f64>().ok();
            whole.or_else(|| broken().and_then(serde_json::Number::from_f64))
        })
        .flatten();
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}
