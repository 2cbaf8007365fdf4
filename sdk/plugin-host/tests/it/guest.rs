//! Guests as text: a core module by hand, made into a component of the contract.
//!
//! Offsets are those of the canonical ABI for the records of `wit/plugin.wit`.

use std::path::PathBuf;

use petrel_plugin_host::{Chain, PluginError, PluginLimits, ProcessorConfig};
use petrel_wire::Limits;
use tempfile::TempDir;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../../../wit/plugin.wit");

/// What a hand-written guest does.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Its word on its own failure.
    pub(crate) fail_closed: bool,
    /// Instructions of `process`; the answer's address is 2048, zeroed = nothing to change.
    pub(crate) process: String,
    /// Instructions before `configure` answers.
    pub(crate) configure: String,
    /// Further fields of the module.
    pub(crate) more: String,
    /// Rights on the one selector: attributes `secret` of records, strings.
    pub(crate) access: u8,
    /// The contract it claims to be built for.
    pub(crate) version: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            fail_closed: true,
            process: String::new(),
            configure: String::new(),
            more: String::new(),
            access: 3,
            version: "0.1.0",
        }
    }
}

impl Guest {
    pub(crate) fn that(process: &str) -> Self {
        Self {
            process: process.into(),
            ..Self::default()
        }
    }

    pub(crate) fn component(&self) -> Vec<u8> {
        let Self {
            process,
            configure,
            more,
            access,
            version,
            ..
        } = self;
        let closed = i32::from(self.fail_closed);
        let text = format!(
            r#"(module
  {more}
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 65536))
  (data (i32.const 16) "evil")
  (data (i32.const 32) "secret")
  (data (i32.const 48) "new text")
  ;; the selector: record attributes
  (data (i32.const 512) "\02\00\00\00\20\00\00\00\06\00\00\00\02\00\00\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (block $fits (loop $grow
      (br_if $fits (i32.le_u (global.get $free) (i32.shl (memory.size) (i32.const 16))))
      (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
      (br $grow)))
    (local.get $at))
  (func (export "petrel:plugin/processor@{version}#describe") (result i32)
    (i32.store (i32.const 1024) (i32.const 16)) (i32.store (i32.const 1028) (i32.const 4))
    (i32.store (i32.const 1032) (i32.const 16)) (i32.store (i32.const 1036) (i32.const 4))
    (i32.store8 (i32.const 1040) (i32.const 7))
    (i32.store8 (i32.const 1052) (i32.const {closed}))
    (i32.store8 (i32.const 1053) (i32.const 1))
    (i32.const 1024))
  (func (export "petrel:plugin/processor@{version}#configure")
    (param i32 i32 i64 i32 i32 i32 i64 i64 i32 i32 i32) (result i32)
    {configure}
    (i32.store8 (i32.const 528) (i32.const {access}))
    (i32.store8 (i32.const 1540) (i32.const 7))
    (i32.store (i32.const 1544) (i32.const 512)) (i32.store (i32.const 1548) (i32.const 1))
    (i32.const 1536))
  (func (export "petrel:plugin/processor@{version}#process")
    (param i32 i64 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (global.set $free (i32.const 65536))
    {process}
    (i32.const 2048))
  (func (export "petrel:plugin/processor@{version}#tick") (param i64) (result i32) (i32.const 2048))
  (func (export "petrel:plugin/processor@{version}#flush") (param i32) (result i32) (i32.const 2048))
  (func (export "petrel:plugin/processor@{version}#save") (result i32) (i32.const 1008))
)"#
        );
        let mut module = wat::parse_str(&text).unwrap();
        let mut resolve = Resolve::default();
        let wit = WIT.replace("plugin@0.1.0", &format!("plugin@{version}"));
        let package = resolve.push_str("plugin.wit", &wit).unwrap();
        let world = resolve.select_world(&[package], Some("plugin")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        ComponentEncoder::default()
            .module(&module)
            .unwrap()
            .encode()
            .unwrap()
    }

    pub(crate) fn file(&self) -> (TempDir, PathBuf) {
        file(&self.component())
    }

    pub(crate) fn chain(&self, change: impl FnOnce(&mut ProcessorConfig)) -> (TempDir, Chain) {
        let (dir, config) = self.config(change);
        let chain = Chain::load(&[config], None, Limits::default()).unwrap();
        (dir, chain)
    }

    pub(crate) fn load_error(&self) -> String {
        let (_dir, config) = self.config(|_| {});
        let loaded: Result<_, PluginError> = Chain::load(&[config], None, Limits::default());
        loaded.unwrap_err().to_string()
    }

    pub(crate) fn config(
        &self,
        change: impl FnOnce(&mut ProcessorConfig),
    ) -> (TempDir, ProcessorConfig) {
        let (dir, plugin) = self.file();
        let mut config = ProcessorConfig {
            name: "guest".into(),
            plugin,
            limits: PluginLimits {
                memory_bytes: 4 << 20,
                ..PluginLimits::default()
            },
            ..ProcessorConfig::default()
        };
        change(&mut config);
        (dir, config)
    }
}

pub(crate) fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evil.wasm");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// A list in the answer: where its pointer and length are, and what they say.
pub(crate) fn list(offset: u32, at: u32, length: u32) -> String {
    let place = 2052 + offset;
    format!(
        "(i32.store (i32.const {place}) (i32.const {at})) (i32.store (i32.const {}) (i32.const {length}))\n",
        place + 4
    )
}
