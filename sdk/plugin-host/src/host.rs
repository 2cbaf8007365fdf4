//! What guests may call: `log` and `accel`, and elsewhere `metrics` (`instruments`), `state` (`state`),
//! `lookup` (`lookup`), `clock` and `random` (`senses`). Nothing here blocks, and nothing trusts its arguments.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_wire::Clock;
use wasmtime::ResourceLimiter;

use crate::bindings::petrel::plugin::{accel, log, types};
use crate::config::ProcessorConfig;
use crate::dictionary::Dictionary;
use crate::instruments::{Instrument, Recordings};
use crate::keys::KeyRule;
use crate::lookup::{Joined, Tables};
use crate::patterns::PatternSet;
use crate::plan::Plan;
use crate::redact::Redaction;
use crate::registry::{ALL_SLOTS, access, code};
use crate::scrub::without_data;
use crate::senses::Senses;
use crate::state::Notes;
use crate::view::{Codes, ColumnView as _, View};

/// Lines that a processor may log in a second, and how long each may be.
const LOG_LINES: u32 = 10;
/// What plugins say; limited here, each plugin for itself, so nobody else needs to.
const GUEST: &str = "petrel_plugin_host::guest";
const LOG_BYTES: usize = 1 << 10;
/// Rules that one configuration may have.
const MAX_SETS: usize = 64;
/// Strings made by kernels, beyond twice what the batch has.
const KERNEL_BYTES: usize = 1 << 20;
/// Values between two looks at the clock: kernels run in the host, where epochs don't count.
const VALUES_PER_LOOK: u32 = 64;

/// What is shared by the instances of one processor.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) senses: Senses,
    pub(crate) tables: Arc<Tables>,
    /// Compiled once, though each instance asks for them. Held for lookups, never across a call.
    pattern_sets: Mutex<HashMap<Vec<String>, Arc<PatternSet>>>,
    lines: Mutex<Lines>,
    /// What calls have taken of memory at most, and of fuel where it is counted.
    pub(crate) memory: AtomicU64,
    pub(crate) fuel: AtomicU64,
}

#[derive(Debug, Default)]
struct Lines {
    second: u64,
    written: u32,
    suppressed: u64,
}

impl Shared {
    pub(crate) fn new(name: String, clock: Arc<dyn Clock>) -> Self {
        Self {
            name,
            senses: Senses::new(None, clock.as_ref()),
            tables: Arc::default(),
            clock,
            pattern_sets: Mutex::default(),
            lines: Mutex::default(),
            memory: AtomicU64::new(0),
            fuel: AtomicU64::new(0),
        }
    }

    /// As [`Shared::new`], with what the operator says of it.
    pub(crate) fn of(config: &ProcessorConfig, tables: Tables, clock: Arc<dyn Clock>) -> Self {
        Self {
            senses: Senses::new(config.random_seed, clock.as_ref()),
            tables: Arc::new(tables),
            ..Self::new(config.name.clone(), clock)
        }
    }

    fn pattern_set(&self, patterns: &[String]) -> Result<Arc<PatternSet>, String> {
        let mut sets = self
            .pattern_sets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = sets.get(patterns) {
            return Ok(Arc::clone(set));
        }
        let set = Arc::new(PatternSet::compile(patterns)?);
        if sets.len() >= MAX_SETS {
            sets.clear();
        }
        sets.insert(patterns.to_vec(), Arc::clone(&set));
        Ok(set)
    }

    /// `batch`: the one in hand, if there is one.
    fn log(&self, level: u8, message: &str, batch: Option<&Work>) {
        let second = self.clock.monotonic().as_secs();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.second != second {
            if lines.suppressed > 0 {
                let (plugin, lines) = (&self.name, lines.suppressed);
                tracing::warn!(
                    plugin,
                    lines,
                    "{plugin} logs too much: {lines} lines left out"
                );
            }
            *lines = Lines {
                second,
                ..Lines::default()
            };
        }
        if lines.written >= LOG_LINES {
            lines.suppressed += 1;
            return;
        }
        lines.written += 1;
        drop(lines);
        let (plugin, said) = (&self.name, printable(message));
        let said = batch.map_or(Cow::Borrowed(said.as_str()), |work| work.scrubbed(&said));
        match level {
            0 | 1 => tracing::trace!(target: GUEST, plugin, "{plugin} says: {said}"),
            2 => tracing::debug!(target: GUEST, plugin, "{plugin} says: {said}"),
            3 => tracing::info!(target: GUEST, plugin, "{plugin} says: {said}"),
            4 => tracing::warn!(target: GUEST, plugin, "{plugin} says: {said}"),
            _ => tracing::error!(target: GUEST, plugin, "{plugin} says: {said}"),
        }
    }
}

/// At most `LOG_BYTES`, and nothing that a terminal would act on.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LOG_BYTES));
    for letter in text.chars() {
        if out.len() + letter.len_utf8() > LOG_BYTES {
            out.push('\u{2026}');
            break;
        }
        let harmless = !letter.is_control()
            && !matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        out.push(if harmless { letter } else { ' ' });
    }
    out
}

/// One instance's side of the host.
#[derive(Debug)]
pub(crate) struct HostState {
    pub(crate) shared: Arc<Shared>,
    pub(crate) memory: MemoryLimit,
    pub(crate) phase: Phase,
    pattern_sets: Vec<Arc<PatternSet>>,
    key_sets: Vec<KeyRule>,
    pub(crate) instruments: Vec<Arc<Instrument>>,
}

/// What the guest is being called for, and so what it may call.
#[derive(Debug, Default)]
pub(crate) enum Phase {
    #[default]
    Idle,
    Configure,
    Process(Work),
}

/// The batch in hand.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) plan: Arc<Plan>,
    pub(crate) view: Arc<View>,
    pub(crate) codes: Codes,
    pub(crate) dictionary: Dictionary,
    /// On the clock's monotonic time.
    pub(crate) deadline: Duration,
    pub(crate) recordings: Box<Recordings>,
    pub(crate) notes: Box<Notes>,
    pub(crate) joined: Box<Joined>,
}

impl HostState {
    pub(crate) fn new(shared: Arc<Shared>, memory_bytes: usize) -> Self {
        Self {
            shared,
            memory: MemoryLimit {
                cap: memory_bytes,
                used: 0,
            },
            phase: Phase::Idle,
            pattern_sets: Vec::new(),
            key_sets: Vec::new(),
            instruments: Vec::new(),
        }
    }

    /// Forgets the rules of an earlier configuration.
    pub(crate) fn begin_configure(&mut self) {
        self.pattern_sets.clear();
        self.key_sets.clear();
        self.instruments.clear();
        self.phase = Phase::Configure;
    }

    pub(crate) fn in_configure(&self, function: &str) -> wasmtime::Result<()> {
        match self.phase {
            Phase::Configure => Ok(()),
            _ => Err(wasmtime::Error::msg(format!(
                "{function} outside configure"
            ))),
        }
    }
}

fn at<T>(sets: &[T], index: u32) -> wasmtime::Result<Option<&T>> {
    if index == u32::MAX {
        return Ok(None);
    }
    match sets.get(index as usize) {
        Some(set) => Ok(Some(set)),
        None => Err(wasmtime::Error::msg(format!("set {index} was never made"))),
    }
}

fn config_error(message: String) -> types::Error {
    types::Error {
        code: 1,
        message,
        retryable: false,
    }
}

impl Work {
    /// Codes of the values that `slot` means, ascending, each once.
    pub(crate) fn values(&self, slot: u16, needed: u8) -> wasmtime::Result<Vec<u32>> {
        let selectors = &self.plan.selectors;
        let all = slot == ALL_SLOTS;
        if !all && usize::from(slot) >= selectors.len() {
            return Err(wasmtime::Error::msg(format!(
                "slot {slot} was not selected"
            )));
        }
        let mut held = vec![false; self.codes.len(&self.dictionary)];
        for column in &self.view.batch.columns {
            let may = selectors[usize::from(column.slot)].may(needed);
            if !may || (column.slot != slot && !all) {
                continue;
            }
            for index in 0..column.coded_len() {
                if let Some((_, code)) = column.code_at(index)
                    && let Some(held) = held.get_mut(code as usize)
                {
                    *held = true;
                }
            }
        }
        let count = u32::try_from(held.len()).unwrap_or(code::NULL);
        Ok((0..count).filter(|code| held[*code as usize]).collect())
    }

    /// What the plugin says about this batch, without what it was shown of it.
    pub(crate) fn scrubbed<'a>(&self, said: &'a str) -> Cow<'a, str> {
        if self.plan.want_dict {
            without_data(said, &self.dictionary)
        } else {
            Cow::Borrowed(said)
        }
    }

    /// The string of one of the guest's codes.
    pub(crate) fn text(&self, code: u32) -> &[u8] {
        let code = self.codes.to_sheet(code);
        self.dictionary.get(code).unwrap_or_default()
    }
}

/// Epochs do not count in kernels, so they look at the clock themselves.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it ran past its deadline in a kernel")]
pub(crate) struct PastDeadline;

/// Ends a kernel that runs past the call's deadline.
pub(crate) struct Watch<'a> {
    clock: &'a dyn Clock,
    deadline: Duration,
    values: u32,
}

impl Watch<'_> {
    pub(crate) fn look(&mut self) -> wasmtime::Result<()> {
        self.values += 1;
        if self.values.is_multiple_of(VALUES_PER_LOOK) && self.clock.monotonic() > self.deadline {
            return Err(PastDeadline.into());
        }
        Ok(())
    }
}

impl types::Host for HostState {}

impl log::Host for HostState {
    fn write(&mut self, level: u8, message: String) -> wasmtime::Result<()> {
        let work = match &self.phase {
            Phase::Process(work) => Some(work),
            _ => None,
        };
        self.shared.log(level, &message, work);
        Ok(())
    }
}

impl accel::Host for HostState {
    fn regex_set(&mut self, patterns: Vec<String>) -> wasmtime::Result<Result<u32, types::Error>> {
        self.in_configure("accel.regex-set")?;
        if self.pattern_sets.len() >= MAX_SETS {
            return Ok(Err(config_error(format!(
                "more than {MAX_SETS} sets of patterns"
            ))));
        }
        Ok(self
            .shared
            .pattern_set(&patterns)
            .map(|set| {
                self.pattern_sets.push(set);
                u32::try_from(self.pattern_sets.len() - 1).unwrap_or(u32::MAX)
            })
            .map_err(config_error))
    }

    fn key_set(&mut self, keys: String) -> wasmtime::Result<Result<u32, types::Error>> {
        self.in_configure("accel.key-set")?;
        if self.key_sets.len() >= MAX_SETS {
            return Ok(Err(config_error(format!(
                "more than {MAX_SETS} sets of keys"
            ))));
        }
        let Some(rule) = KeyRule::parse(&keys) else {
            return Ok(Err(config_error(format!(
                "{keys:?} is not a rule for keys"
            ))));
        };
        self.key_sets.push(rule);
        Ok(Ok(
            u32::try_from(self.key_sets.len() - 1).unwrap_or(u32::MAX)
        ))
    }

    fn match_dict(&mut self, set: u32, slot: u16) -> wasmtime::Result<Vec<u64>> {
        let Phase::Process(work) = &self.phase else {
            return Err(wasmtime::Error::msg("accel.match-dict outside process"));
        };
        let mut bits = vec![0_u64; work.codes.len(&work.dictionary).div_ceil(64)];
        let Some(set) = at(&self.pattern_sets, set)? else {
            return Ok(bits);
        };
        let mut watch = work.watch(&self.shared);
        for code in work.values(slot, access::READ)? {
            watch.look()?;
            if set.is_match(work.text(code)) {
                bits[code as usize / 64] |= 1 << (code % 64);
            }
        }
        Ok(bits)
    }

    fn redact_dict(
        &mut self,
        set: u32,
        keys: u32,
        slot: u16,
        replacement: String,
    ) -> wasmtime::Result<(Vec<u32>, Vec<u32>)> {
        let Phase::Process(work) = &mut self.phase else {
            return Err(wasmtime::Error::msg("accel.redact-dict outside process"));
        };
        let redaction = Redaction {
            patterns: at(&self.pattern_sets, set)?.map(AsRef::as_ref),
            keys: at(&self.key_sets, keys)?,
            replacement: &replacement,
        };
        let most = work.dictionary.bytes_len() * 3 + KERNEL_BYTES;
        let mut watch = work.watch(&self.shared);
        let (mut from, mut to) = (Vec::new(), Vec::new());
        let mut last = None;
        for code in work.values(slot, access::READ | access::WRITE)? {
            watch.look()?;
            if let Some(redacted) = redaction.apply(work.text(code)) {
                if work.dictionary.bytes_len() + redacted.len() > most {
                    return Err(wasmtime::Error::msg("its replacements outgrow the batch"));
                }
                from.push(code);
                // Whole values are replaced by the same: one string serves them.
                let again = last.filter(|(held, _)| work.dictionary.is(*held, &redacted));
                let (held, code) = again.unwrap_or_else(|| {
                    let held = work.dictionary.append(&redacted);
                    (held, work.codes.publish(held))
                });
                last = Some((held, code));
                to.push(code);
            }
        }
        Ok((from, to))
    }

    fn pseudonym_dict(
        &mut self,
        _: Vec<u32>,
        _: String,
        _: u8,
        _: u8,
    ) -> wasmtime::Result<Result<Vec<u32>, types::Error>> {
        Ok(Err(types::Error {
            code: 2,
            message: "pseudonyms are not offered by this version".into(),
            retryable: false,
        }))
    }

    fn hash_dict(&mut self, codes: Vec<u32>, seed: u64) -> wasmtime::Result<Vec<u64>> {
        let Phase::Process(work) = &self.phase else {
            return Err(wasmtime::Error::msg("accel.hash-dict outside process"));
        };
        // The hash of a value that the plugin did not ask for would tell it what that is.
        let mut own = vec![false; work.codes.len(&work.dictionary)];
        let keys = work.view.batch.columns.iter().map(|column| column.key);
        for code in work
            .values(ALL_SLOTS, access::READ)?
            .into_iter()
            .chain(keys)
        {
            if let Some(own) = own.get_mut(code as usize) {
                *own = true;
            }
        }
        let mut watch = work.watch(&self.shared);
        let mut hashes = Vec::with_capacity(codes.len());
        for code in codes {
            watch.look()?;
            let value = match own.get(code as usize) {
                Some(true) => work.text(code),
                _ => &[],
            };
            hashes.push(xxhash_rust::xxh3::xxh3_64_with_seed(value, seed));
        }
        Ok(hashes)
    }
}

impl Work {
    pub(crate) fn watch<'a>(&self, shared: &'a Shared) -> Watch<'a> {
        Watch {
            clock: shared.clock.as_ref(),
            deadline: self.deadline,
            values: 0,
        }
    }
}

/// Linear memory and tables of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryLimit {
    pub(crate) cap: usize,
    pub(crate) used: usize,
}

const MAX_TABLE_ELEMENTS: usize = 20_000;

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.cap {
            // A trap with a reason; a refusal would surface as some allocation failure.
            let cap = self.cap >> 20;
            return Err(wasmtime::Error::msg(format!(
                "it wants more than {cap} MiB of memory"
            )));
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    // An interpreter comes as some forty modules around one memory.
    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        4
    }

    fn memories(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_move_the_cursor_or_fill_the_disk() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a [2Jb c");
        assert_eq!(printable("\u{202e}evil"), " evil");
        let long = printable(&"x".repeat(5_000));
        assert!(long.len() <= LOG_BYTES + 3);
    }
}
