//! Guests as text: a core module by hand, made into a component of the contract.
//!
//! Offsets are those of the canonical ABI for the records of `wit/plugin.wit`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use petrel_plugin_host::{Chain, PluginError, PluginLimits, ProcessorConfig};
use petrel_wire::{Clock, Limits, UnixNanos};
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
    /// Instructions of `tick`; the answer's address is that of `process`.
    pub(crate) tick: String,
    /// Instructions of `save`; the answer's address is 1008.
    pub(crate) save: String,
    pub(crate) stateless: bool,
    /// Whether a table `site` is mounted, with the column `site`.
    pub(crate) lookup: bool,
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
            tick: String::new(),
            save: String::new(),
            stateless: true,
            lookup: false,
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
            tick,
            save,
            version,
            ..
        } = self;
        let stateless = i32::from(self.stateless);
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
    (i32.store8 (i32.const 1053) (i32.const {stateless}))
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
  (func (export "petrel:plugin/processor@{version}#tick") (param i64) (result i32)
    {tick}
    (i32.const 2048))
  (func (export "petrel:plugin/processor@{version}#flush") (param i32) (result i32) (i32.const 2048))
  (func (export "petrel:plugin/processor@{version}#save") (result i32)
    {save}
    (i32.const 1008))
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

    /// As [`Guest::chain`], on a clock that the test moves.
    pub(crate) fn chain_at(
        &self,
        clock: &Arc<ManualClock>,
        change: impl FnOnce(&mut ProcessorConfig),
    ) -> (TempDir, Chain) {
        let (dir, config) = self.config(change);
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
        let chain = Chain::load_with_clock(&[config], None, Limits::default(), &clock).unwrap();
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
        let table = dir.path().join("site.csv");
        let mut lookups = BTreeMap::new();
        if self.lookup {
            std::fs::write(&table, "value,site\na,Berlin\nb,\n").unwrap();
            lookups.insert("site".to_owned(), table);
        }
        let mut config = ProcessorConfig {
            name: "guest".into(),
            plugin,
            lookups,
            limits: PluginLimits {
                memory_bytes: 4 << 20,
                // It is wall time, and the machine may have better things to do.
                call: Duration::from_secs(30),
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

/// Time that passes when a test says so.
#[derive(Debug, Default)]
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UnixNanos {
        UnixNanos(1_732_150_000_000_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// One dictionary edit: whatever is in `slot` becomes `to`.
pub(crate) fn hide(slot: u32, to: u32) -> String {
    format!(
        "(i32.store16 (i32.const 4096) (i32.const {slot}))
         (i32.store (i32.const 4100) (i32.const 0xfffffffe))
         (i32.store (i32.const 4104) (i32.const {to}))\n{}{}{}",
        list(DICT_SLOT, 4096, 1),
        list(DICT_FROM, 4100, 1),
        list(DICT_TO, 4104, 1),
    )
}

/// A new string: what lies at `at`.
pub(crate) fn added(at: u32, length: u32) -> String {
    format!(
        "(i32.store (i32.const 4112) (i32.const {length}))\n{}{}",
        list(ADDED_ENDS, 4112, 1),
        list(ADDED_BYTES, at, length),
    )
}

/// Offsets of lists in `edits`.
pub(crate) const VERDICTS: u32 = 0;
pub(crate) const ADDED_ENDS: u32 = 8;
pub(crate) const ADDED_BYTES: u32 = 16;
pub(crate) const DICT_SLOT: u32 = 24;
pub(crate) const DICT_FROM: u32 = 32;
pub(crate) const DICT_TO: u32 = 40;
pub(crate) const ROUTE: u32 = 104;
pub(crate) const DECIDED: u32 = 112;
pub(crate) const DECIDED_VERDICT: u32 = 120;

/// Holds every span, and remembers the trace of each in 16 bytes from 8192 on. With a verdict, its
/// timer (every 100 ms) decides so about all that it remembers. It saves them, if it is to.
pub(crate) fn holder(decides: Option<u8>, saves: bool) -> Guest {
    let decide = decides.map(|verdict| {
        format!(
            "(memory.fill (i32.const 50000) (i32.const {verdict}) (global.get $count))
             (i32.store (i32.const {}) (i32.const 8192))
             (i32.store (i32.const {}) (i32.shl (global.get $count) (i32.const 1)))
             (i32.store (i32.const {}) (i32.const 50000))
             (i32.store (i32.const {}) (global.get $count))
             (global.set $count (i32.const 0))",
            2052 + DECIDED,
            2056 + DECIDED,
            2052 + DECIDED_VERDICT,
            2056 + DECIDED_VERDICT,
        )
    });
    let save = "(i32.store (i32.const 1008) (i32.const 8192))
                (i32.store (i32.const 1012) (i32.shl (global.get $count) (i32.const 4)))";
    // The third table is that of spans; the only column holds two words for each.
    let remember = format!(
        "(global.set $spans (i32.load offset=36 (local.get 4)))
         (memory.fill (i32.const 60000) (i32.const 2) (global.get $spans))
         (memory.copy
           (i32.add (i32.const 8192) (i32.shl (global.get $count) (i32.const 4)))
           (i32.load offset=28 (local.get 10))
           (i32.shl (global.get $spans) (i32.const 4)))
         (global.set $count (i32.add (global.get $count) (global.get $spans)))
         (i32.store (i32.const {}) (i32.const 60000))
         (i32.store (i32.const {}) (global.get $spans))\n{}{}",
        2052 + VERDICTS,
        2056 + VERDICTS,
        list(DECIDED, 0, 0),
        list(DECIDED_VERDICT, 0, 0),
    );
    Guest {
        fail_closed: false,
        stateless: false,
        access: 1,
        // What it says of itself beyond the rest: that it holds traces.
        more: r#"(global $count (mut i32) (i32.const 0))
            (global $spans (mut i32) (i32.const 0))
            (data (i32.const 1056) "\60\02\00\00\01\00\00\00")
            (data (i32.const 608) "\80\02\00\00\05\00\00\00\88\02\00\00\06\00\00\00")
            (data (i32.const 640) "holds\00\00\00traces")"#
            .into(),
        // Trace ids of spans, and the timer.
        configure: "(i32.store16 (i32.const 514) (i32.const 11))
            (i64.store (i32.const 516) (i64.const 0))
            (i32.store (i32.const 524) (i32.const 256))
            (i32.store (i32.const 1572) (i32.const 100))
            (if (local.get 8) (then
              (memory.copy (i32.const 8192) (local.get 9) (local.get 10))
              (global.set $count (i32.shr_u (local.get 10) (i32.const 4)))))"
            .into(),
        tick: decide.unwrap_or_default(),
        save: if saves { save.into() } else { String::new() },
        ..Guest::that(&remember)
    }
}

/// Writes "new text" into every cell that it sees, but does `then` if a value holds a `!`.
pub(crate) fn hides_unless(then: &str) -> Guest {
    let scan = format!(
        "(global.set $i (i32.const 0))
         (block $done (loop $next
           (br_if $done (i32.ge_u (global.get $i) (local.get 9)))
           (if (i32.eq (i32.load8_u (i32.add (local.get 8) (global.get $i))) (i32.const 0x21))
             (then {then}))
           (global.set $i (i32.add (global.get $i) (i32.const 1)))
           (br $next)))"
    );
    Guest {
        // It asks for the strings.
        configure: "(i32.store8 (i32.const 1560) (i32.const 1))".into(),
        more: "(global $i (mut i32) (i32.const 0))".into(),
        ..Guest::that(&(scan + &added(48, 8) + &hide(0, 0x8000_0000)))
    }
}

/// Counts its calls in its state and writes the count, a digit, as the last of eight letters into every
/// `secret`.
pub(crate) fn keeps_count() -> Guest {
    let import = "import \"petrel:plugin/state@0.1.0\"";
    Guest {
        more: format!(
            "({import} \"get-many\" (func $get (param i32 i32 i32 i32 i32)))
             ({import} \"put-many\" (func $put (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
             (global $count (mut i32) (i32.const 48))
             (data (i32.const 5000) \"number 0\")
             (data (i32.const 5100) \"calls\")
             (data (i32.const 5108) \"\\05\\00\\00\\00\")
             (data (i32.const 5112) \"\\01\\00\\00\\00\")"
        ),
        ..Guest::that(
            &("(call $get (i32.const 5108) (i32.const 1) (i32.const 5100) (i32.const 5) (i32.const 5120))
               (global.set $count (i32.const 48))
               (if (i32.load8_u (i32.load (i32.const 5120))) (then
                 (global.set $count
                   (i32.load8_u (i32.load (i32.add (i32.load (i32.const 5120)) (i32.const 4)))))))
               (global.set $count (i32.add (global.get $count) (i32.const 1)))
               (i32.store8 (i32.const 5007) (global.get $count))
               (call $put (i32.const 5108) (i32.const 1) (i32.const 5100) (i32.const 5)
                 (i32.const 5112) (i32.const 1) (i32.const 5007) (i32.const 1) (i32.const 0))"
                .to_owned()
                + &added(5000, 8)
                + &hide(0, 0x8000_0000)),
        )
    }
}

/// Names the outputs `audit` and `other`, and sends records as the bytes of `route` say.
pub(crate) fn router(route: &str, more: &str) -> Guest {
    let count = route.matches('\\').count();
    Guest {
        more: format!(
            r#"(data (i32.const 640) "audit")
            (data (i32.const 648) "other")
            (data (i32.const 656) "\00\00\00\00\00\00\00\00\80\02\00\00\05\00\00\00\88\02\00\00\05\00\00\00")
            (data (i32.const 6000) "{route}")"#
        ),
        configure: "(i32.store (i32.const 1564) (i32.const 656))
            (i32.store (i32.const 1568) (i32.const 3))"
            .into(),
        ..Guest::that(&(list(ROUTE, 6000, u32::try_from(count).unwrap()) + more))
    }
}
