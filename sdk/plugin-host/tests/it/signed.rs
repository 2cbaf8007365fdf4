//! Signatures: who may vouch for what, and what is said to whoever has to mend it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use petrel_plugin_host::{
    Access, Chain, PluginLimits, ProcessorConfig, Scope, SecretKey, Signature, Trust, TrustedKey,
    inspect,
};
use petrel_wire::Limits;
use tempfile::TempDir;

use crate::guest::Guest;

fn key() -> SecretKey {
    SecretKey::generate().unwrap()
}

/// Signatures are asked for, and `key` may vouch for what `may` says.
fn trust(key: &SecretKey, may: Scope) -> Trust {
    Trust {
        require_signature: true,
        keys: vec![TrustedKey {
            name: "the team".into(),
            public_key: key.public(),
            may,
        }],
    }
}

fn sign(file: &Path, key: &SecretKey) {
    let nothing = serde_json::json!({});
    let papers = inspect(file, &nothing, &PluginLimits::default(), None).unwrap();
    fs::write(Signature::beside(file), key.sign(&papers).to_string()).unwrap();
}

/// A guest in a file, not signed.
fn guest(guest: &Guest, trust: Trust) -> (TempDir, ProcessorConfig) {
    guest.config(|config| config.trust = Arc::new(trust))
}

fn load(config: &ProcessorConfig) -> Result<Chain, String> {
    let loaded = Chain::load(std::slice::from_ref(config), None, Limits::default());
    loaded.map_err(|error| error.to_string())
}

fn refusal(config: &ProcessorConfig) -> String {
    load(config).unwrap_err()
}

#[test]
fn a_component_that_a_trusted_key_vouches_for_is_loaded() {
    let key = key();
    let (_dir, config) = guest(&Guest::default(), trust(&key, Scope::default()));
    let error = refusal(&config);
    assert!(
        error.contains("is not signed") && error.contains("petrel plugin sign"),
        "{error}"
    );
    sign(&config.plugin, &key);
    load(&config).unwrap();
}

#[test]
fn a_strangers_signature_is_no_signature() {
    let (_dir, config) = guest(&Guest::default(), trust(&key(), Scope::default()));
    let stranger = key();
    sign(&config.plugin, &stranger);
    let error = refusal(&config);
    assert!(
        error.contains("none of `plugins.keys`") && error.contains(&stranger.public().to_string()),
        "{error}"
    );
    // Nor if it says to be by somebody else.
    let beside = Signature::beside(&config.plugin);
    let trusted = config.trust.keys[0].public_key.to_string();
    let text = fs::read_to_string(&beside).unwrap();
    fs::write(
        &beside,
        text.replace(&stranger.public().to_string(), &trusted),
    )
    .unwrap();
    let error = refusal(&config);
    assert!(
        error.contains("was not made with the key \"the team\""),
        "{error}"
    );
}

#[test]
fn a_component_that_was_changed_after_it_was_signed_is_refused() {
    let key = key();
    let (_dir, config) = guest(&Guest::default(), trust(&key, Scope::default()));
    sign(&config.plugin, &key);
    let mut bytes = fs::read(&config.plugin).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&config.plugin, bytes).unwrap();
    let error = refusal(&config);
    assert!(error.contains("is for another file"), "{error}");
}

#[test]
fn a_signature_does_not_move_to_another_component() {
    let key = key();
    let (_dir, config) = guest(&Guest::default(), trust(&key, Scope::default()));
    let (_other_dir, other) = guest(&Guest::that("unreachable"), trust(&key, Scope::default()));
    sign(&other.plugin, &key);
    fs::copy(
        Signature::beside(&other.plugin),
        Signature::beside(&config.plugin),
    )
    .unwrap();
    let error = refusal(&config);
    assert!(error.contains("is for another file"), "{error}");
}

#[test]
fn what_was_signed_once_does_not_come_back_where_a_digest_is_pinned() {
    let key = key();
    let (_dir, mut config) = guest(&Guest::default(), trust(&key, Scope::default()));
    sign(&config.plugin, &key);
    let pin = load(&config).unwrap().stats()[0].sha256.clone();
    // An older version with its good signature, both put in the place of the newer ones.
    let old = Guest::that("unreachable").component();
    fs::write(&config.plugin, old).unwrap();
    sign(&config.plugin, &key);
    load(&config).unwrap();
    config.sha256 = Some(pin);
    let error = refusal(&config);
    assert!(error.contains("is not what `sha256:"), "{error}");
}

#[test]
fn a_key_vouches_for_what_it_may_and_nothing_else() {
    let key = key();
    let only = |list: &[&str]| Some(list.iter().map(|word| (*word).to_owned()).collect());
    let reads = |access| Guest {
        access,
        ..Guest::default()
    };
    let sampler = Scope {
        access: Some(vec![Access::Read]),
        ..Scope::default()
    };
    for (scope, access, error) in [
        (sampler.clone(), 1, None),
        (sampler, 3, Some("may not vouch for access to write")),
        (
            Scope {
                plugins: only(&["evil"]),
                ..Scope::default()
            },
            15,
            None,
        ),
        (
            Scope {
                plugins: only(&["sample"]),
                ..Scope::default()
            },
            1,
            Some("may not vouch for the plugin evil"),
        ),
    ] {
        let (_dir, config) = guest(&reads(access), trust(&key, scope));
        sign(&config.plugin, &key);
        let loaded = load(&config).err();
        match error {
            None => assert_eq!(loaded, None),
            Some(words) => {
                let loaded = loaded.unwrap();
                assert!(loaded.contains(words), "{loaded}");
            }
        }
    }
}

#[test]
fn an_import_beyond_the_keys_scope_is_refused() {
    let key = key();
    let logs = Guest {
        more: r#"(import "petrel:plugin/log@0.1.0" "write" (func (param i32 i32 i32)))"#.into(),
        ..Guest::default()
    };
    let scope = Scope {
        imports: Some(vec!["accel".into()]),
        ..Scope::default()
    };
    let (_dir, config) = guest(&logs, trust(&key, scope));
    sign(&config.plugin, &key);
    let error = refusal(&config);
    assert!(
        error.contains("may not vouch for the import log"),
        "{error}"
    );
}

#[test]
fn where_signatures_are_not_asked_for_those_that_are_there_must_be_good() {
    let key = key();
    let mut relaxed = trust(&key, Scope::default());
    relaxed.require_signature = false;
    let (_dir, config) = guest(&Guest::default(), relaxed);
    load(&config).unwrap();
    fs::write(Signature::beside(&config.plugin), "nonsense").unwrap();
    let error = refusal(&config);
    assert!(error.contains("is no signature"), "{error}");
    // Without keys nobody looks.
    let mut config = config;
    config.trust = Arc::default();
    load(&config).unwrap();
}

#[test]
fn keys_that_are_taken_away_count_from_the_next_reload_on() {
    let key = key();
    let (_dir, mut config) = guest(&Guest::default(), trust(&key, Scope::default()));
    sign(&config.plugin, &key);
    let chain = load(&config).unwrap();
    config.trust = Arc::new(trust(&self::key(), Scope::default()));
    let error = chain.reload(&[config]).unwrap_err().to_string();
    assert!(error.contains("none of `plugins.keys`"), "{error}");
}
