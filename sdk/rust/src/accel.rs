//! The host's kernels over the strings of a batch: native speed, and nothing is copied into the
//! plugin. Sets are made in `configure` and used in `process`.

use crate::column::Code;
use crate::edits::Edits;
use crate::error::Result;
use crate::plan::Slot;

#[cfg(target_arch = "wasm32")]
use crate::bindings::petrel::plugin::accel as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::kernels as host;

const NO_SET: u32 = u32::MAX;

/// Regular expressions, compiled by the host: the syntax of the crate `regex`, in linear time.
///
/// In [`redact`] a group `value` is the part that is replaced, and a match whose group `luhn` fails
/// the Luhn check is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patterns(u32);

impl Patterns {
    /// Only in `configure`. The error names the pattern that is wrong.
    pub fn compile(patterns: &[String]) -> Result<Self> {
        Ok(Self(host::regex_set(patterns)?))
    }

    /// Which strings of `slot` match any of them; only in `process`.
    pub fn matches(self, slot: Slot) -> Matches {
        Matches {
            bits: host::match_dict(self.0, slot.0),
        }
    }
}

/// A set of strings of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matches {
    bits: Vec<u64>,
}

impl Matches {
    /// Whether the string is one of them.
    pub fn contains(&self, code: Code) -> bool {
        let word = self.bits.get(code.0 as usize / 64);
        word.is_some_and(|word| word >> (code.0 % 64) & 1 == 1)
    }
}

/// Rules for keys inside JSON, spelled as in [`Selector::attributes`](crate::Selector::attributes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys(u32);

impl Keys {
    /// Only in `configure`.
    pub fn compile(rule: &str) -> Result<Self> {
        Ok(Self(host::key_set(rule)?))
    }
}

/// Replaces what `patterns` match in the strings of `slot`, and in JSON the whole value of every key
/// that `keys` cover. Looks into JSON values, into strings that hold JSON, and strings in those.
pub fn redact(
    edits: &mut Edits,
    patterns: Option<Patterns>,
    keys: Option<Keys>,
    slot: Slot,
    replacement: &str,
) {
    let (from, to) = redact_dict(patterns, keys, slot, replacement);
    edits.replace_many(slot, from, to);
}

/// What [`redact`] would replace, for plugins that want to have a look: strings and what they become.
pub fn redacted(
    patterns: Option<Patterns>,
    keys: Option<Keys>,
    slot: Slot,
    replacement: &str,
) -> Vec<(Code, Code)> {
    let (from, to) = redact_dict(patterns, keys, slot, replacement);
    let pairs = from.into_iter().zip(to);
    pairs.map(|(from, to)| (Code(from), Code(to))).collect()
}

fn redact_dict(
    patterns: Option<Patterns>,
    keys: Option<Keys>,
    slot: Slot,
    replacement: &str,
) -> (Vec<u32>, Vec<u32>) {
    let patterns = patterns.map_or(NO_SET, |patterns| patterns.0);
    let keys = keys.map_or(NO_SET, |keys| keys.0);
    host::redact_dict(patterns, keys, slot.0, replacement)
}

/// A 64-bit hash of each string, for sampling and sketches. Whoever knows the seed can make strings
/// with equal hashes: it hides nothing.
pub fn hash(codes: &[Code], seed: u64) -> Vec<u64> {
    let codes: Vec<u32> = codes.iter().map(|code| code.0).collect();
    host::hash_dict(&codes, seed)
}
