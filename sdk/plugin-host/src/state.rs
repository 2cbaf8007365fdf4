//! What a processor keeps from batch to batch and across restarts: a small map, best effort.
//!
//! The map is in memory, at most 1 MiB for a processor; whoever runs the chain saves what has changed
//! now and then, through a [`Store`]. Writes follow the batch like everything else it does: a plugin
//! sees its own at once while the batch is on its way, others see them when the batch was accepted,
//! and those of a batch that comes again are forgotten, so that it meets what it met the first time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_wire::{Clock, UnixNanos};

use crate::bindings::petrel::plugin::state;
use crate::bindings::petrel::plugin::types::Blob;
use crate::host::{HostState, Phase, Work};

/// Keys and values of one processor.
const MOST_BYTES: usize = 1 << 20;
/// What an entry weighs beside its key and value.
const ENTRY_BYTES: usize = 64;
const KEY_BYTES: usize = 1 << 10;
/// What one call may write, and what one call may be told.
const CALL_BYTES: usize = MOST_BYTES;
const ANSWER_BYTES: usize = 8 << 20;

/// Where what processors keep survives a restart.
pub trait Store: Debug + Send + Sync {
    /// Everything under this name. The error is for the operator.
    fn load(&self, name: &str) -> Result<Vec<Note>, String>;

    /// Writes what has changed, all or nothing. The error is for the operator.
    fn save(&self, name: &str, changes: &[Note]) -> Result<(), String>;
}

/// One entry, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The plugin's.
    pub key: Vec<u8>,
    /// The plugin's; nothing if the entry is gone.
    pub value: Option<Vec<u8>>,
    /// When it is over; zero for never.
    pub expires: UnixNanos,
}

/// Writes that nobody has accepted yet, by key; no value deletes.
pub(crate) type Pending = BTreeMap<Vec<u8>, Option<Value>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    bytes: Vec<u8>,
    expires: UnixNanos,
}

/// The maps of all processors, those of the past included until they are saved.
#[derive(Debug)]
pub(crate) struct States {
    store: Option<Arc<dyn Store>>,
    clock: Arc<dyn Clock>,
    by_name: Mutex<HashMap<String, Arc<State>>>,
}

impl States {
    pub(crate) fn new(store: Option<Arc<dyn Store>>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            by_name: Mutex::default(),
        }
    }

    /// The map under this name, with what is in the store.
    pub(crate) fn of(&self, name: &str) -> Arc<State> {
        let mut states = self.by_name();
        if let Some(state) = states.get(name) {
            return Arc::clone(state);
        }
        let state = State::default();
        let loaded = self.store.as_ref().map(|store| store.load(name));
        match loaded.transpose() {
            Ok(notes) => state
                .entries()
                .fill(notes.unwrap_or_default(), self.clock.wall()),
            Err(error) => {
                tracing::warn!(
                    state = name,
                    error,
                    "{name} begins without its state: {error}"
                );
            }
        }
        let state = Arc::new(state);
        states.insert(name.to_owned(), Arc::clone(&state));
        state
    }

    fn by_name(&self) -> MutexGuard<'_, HashMap<String, Arc<State>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what has changed. What cannot be written stays to be written. Blocks on the disk.
    pub(crate) fn save(&self) {
        let Some(store) = &self.store else {
            return;
        };
        let states: Vec<_> = self
            .by_name()
            .iter()
            .map(|(name, state)| (name.clone(), Arc::clone(state)))
            .collect();
        for (name, state) in states {
            let changes = state.entries().changes(self.clock.wall());
            if changes.is_empty() {
                continue;
            }
            if let Err(error) = store.save(&name, &changes) {
                tracing::warn!(
                    state = name,
                    error,
                    "the state of {name} is not written down yet"
                );
                let mut entries = state.entries();
                entries
                    .changed
                    .extend(changes.into_iter().map(|note| note.key));
            }
        }
    }
}

/// The map of one processor.
#[derive(Debug, Default)]
pub(crate) struct State(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Vec<u8>, (Value, u64)>,
    /// Those written longest ago make room for new ones.
    by_age: BTreeMap<u64, Vec<u8>>,
    next: u64,
    bytes: usize,
    /// Keys that the store does not know the newest of.
    changed: BTreeSet<Vec<u8>>,
}

impl State {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch was accepted.
    pub(crate) fn settle(&self, writes: Pending) {
        let mut entries = self.entries();
        for (key, value) in writes {
            entries.changed.insert(key.clone());
            entries.remove(&key);
            if let Some(value) = value {
                entries.insert(key, value);
            }
        }
    }

    fn get(&self, key: &[u8], now: UnixNanos) -> Option<Vec<u8>> {
        let entries = self.entries();
        let (value, _) = entries.by_key.get(key)?;
        value.at(now)
    }
}

impl Value {
    fn at(&self, now: UnixNanos) -> Option<Vec<u8>> {
        let is_over = self.expires.0 != 0 && self.expires <= now;
        (!is_over).then(|| self.bytes.clone())
    }
}

fn weight(key: &[u8], value: &Value) -> usize {
    key.len() + value.bytes.len() + ENTRY_BYTES
}

impl Entries {
    fn fill(&mut self, notes: Vec<Note>, now: UnixNanos) {
        for note in notes {
            let Some(bytes) = note.value else {
                continue;
            };
            let value = Value {
                bytes,
                expires: note.expires,
            };
            if value.at(now).is_some() {
                self.insert(note.key, value);
            } else {
                self.changed.insert(note.key);
            }
        }
    }

    /// Of a key that is not there.
    fn insert(&mut self, key: Vec<u8>, value: Value) {
        self.bytes += weight(&key, &value);
        self.next += 1;
        self.by_age.insert(self.next, key.clone());
        self.by_key.insert(key, (value, self.next));
        while self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                return;
            };
            self.remove(&oldest);
            self.changed.insert(oldest);
        }
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((value, age)) = self.by_key.remove(key) {
            self.by_age.remove(&age);
            self.bytes -= weight(key, &value);
        }
    }

    /// What the store should know, once; what is over goes.
    fn changes(&mut self, now: UnixNanos) -> Vec<Note> {
        let entries = self.by_key.iter();
        let over = entries.filter(|(_, (value, _))| value.at(now).is_none());
        let over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.remove(&key);
            self.changed.insert(key);
        }
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed
            .map(|key| {
                let value = self.by_key.get(&key).map(|(value, _)| value);
                Note {
                    value: value.map(|value| value.bytes.clone()),
                    expires: value.map_or(UnixNanos(0), |value| value.expires),
                    key,
                }
            })
            .collect()
    }
}

/// The map as one call sees it.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) state: Arc<State>,
    /// Of earlier calls for the same batch.
    pub(crate) before: Pending,
    written: Pending,
    bytes: usize,
}

impl Notes {
    pub(crate) fn new(state: Arc<State>, before: Pending) -> Self {
        Self {
            state,
            before,
            ..Self::default()
        }
    }

    /// What the batch has written so far, with this call or without.
    pub(crate) fn end(mut self, is_accepted: bool) -> (Arc<State>, Pending) {
        if is_accepted {
            self.before.append(&mut self.written);
        }
        (self.state, self.before)
    }

    fn get(&self, key: &[u8], now: UnixNanos) -> Option<Vec<u8>> {
        match self.written.get(key).or_else(|| self.before.get(key)) {
            Some(value) => value.as_ref()?.at(now),
            None => self.state.get(key, now),
        }
    }

    fn write(&mut self, key: &[u8], value: Option<Value>) -> Result<(), String> {
        if key.len() > KEY_BYTES {
            return Err(format!(
                "it keeps a key of {} bytes, {KEY_BYTES} are allowed",
                key.len()
            ));
        }
        let length = value.as_ref().map_or(0, |value| value.bytes.len());
        self.bytes += key.len() + length + ENTRY_BYTES;
        if self.bytes > CALL_BYTES {
            return Err(format!(
                "it writes more than {CALL_BYTES} bytes of state in a call"
            ));
        }
        self.written.insert(key.to_vec(), value);
        Ok(())
    }
}

/// The parts of a blob, or what is wrong with it.
fn parts(blob: &Blob) -> Result<Vec<&[u8]>, String> {
    let mut start = 0;
    let mut parts = Vec::with_capacity(blob.ends.len());
    for end in &blob.ends {
        let end = *end as usize;
        let part = blob.bytes.get(start..end);
        parts.push(part.ok_or("it gives keys or values whose ends do not fit their bytes")?);
        start = end;
    }
    Ok(parts)
}

impl HostState {
    fn at_work(&mut self, function: &str) -> wasmtime::Result<&mut Work> {
        match &mut self.phase {
            Phase::Process(work) => Ok(work),
            _ => Err(wasmtime::Error::msg(format!("{function} outside process"))),
        }
    }
}

impl state::Host for HostState {
    fn get_many(&mut self, keys: Blob) -> wasmtime::Result<Vec<Option<Vec<u8>>>> {
        let shared = Arc::clone(&self.shared);
        let work = self.at_work("state.get-many")?;
        let now = shared.clock.wall();
        let mut watch = work.watch(&shared);
        let mut told = 0;
        let mut values = Vec::with_capacity(keys.ends.len());
        for key in parts(&keys).map_err(wasmtime::Error::msg)? {
            watch.look()?;
            let value = work.notes.get(key, now);
            told += value.as_ref().map_or(0, Vec::len);
            if told > ANSWER_BYTES {
                return Err(wasmtime::Error::msg(format!(
                    "it asks for more than {ANSWER_BYTES} bytes of state at once"
                )));
            }
            values.push(value);
        }
        Ok(values)
    }

    fn put_many(&mut self, keys: Blob, values: Blob, ttl_s: u32) -> wasmtime::Result<()> {
        let shared = Arc::clone(&self.shared);
        let work = self.at_work("state.put-many")?;
        let mut watch = work.watch(&shared);
        let expires = match u64::from(ttl_s) {
            0 => UnixNanos(0),
            ttl_s => UnixNanos(shared.clock.wall().0.saturating_add(ttl_s * 1_000_000_000)),
        };
        let keys = parts(&keys).map_err(wasmtime::Error::msg)?;
        let values = parts(&values).map_err(wasmtime::Error::msg)?;
        if keys.len() != values.len() {
            let (keys, values) = (keys.len(), values.len());
            return Err(wasmtime::Error::msg(format!(
                "it puts {values} values under {keys} keys"
            )));
        }
        for (key, value) in keys.into_iter().zip(values) {
            watch.look()?;
            let value = Value {
                bytes: value.to_vec(),
                expires,
            };
            let written = work.notes.write(key, Some(value));
            written.map_err(wasmtime::Error::msg)?;
        }
        Ok(())
    }

    fn delete_many(&mut self, keys: Blob) -> wasmtime::Result<()> {
        let shared = Arc::clone(&self.shared);
        let work = self.at_work("state.delete-many")?;
        let mut watch = work.watch(&shared);
        for key in parts(&keys).map_err(wasmtime::Error::msg)? {
            watch.look()?;
            work.notes.write(key, None).map_err(wasmtime::Error::msg)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use petrel_wire::SystemClock;

    use super::*;

    fn put(key: &str, bytes: usize, expires: u64) -> (Vec<u8>, Option<Value>) {
        let value = Value {
            bytes: vec![b'x'; bytes],
            expires: UnixNanos(expires),
        };
        (key.into(), Some(value))
    }

    #[derive(Debug, Default)]
    struct Memory {
        notes: Mutex<BTreeMap<Vec<u8>, Note>>,
        is_broken: Mutex<bool>,
    }

    impl Store for Memory {
        fn load(&self, _: &str) -> Result<Vec<Note>, String> {
            Ok(self.notes.lock().unwrap().values().cloned().collect())
        }

        fn save(&self, _: &str, changes: &[Note]) -> Result<(), String> {
            if *self.is_broken.lock().unwrap() {
                return Err("no disk".into());
            }
            let mut notes = self.notes.lock().unwrap();
            for note in changes {
                match note.value {
                    Some(_) => notes.insert(note.key.clone(), note.clone()),
                    None => notes.remove(&note.key),
                };
            }
            Ok(())
        }
    }

    #[test]
    fn what_was_written_longest_ago_makes_room_and_what_is_over_is_not_there() {
        let state = State::default();
        let now = UnixNanos(100);
        for n in 0..20 {
            state.settle(Pending::from([put(&format!("key {n}"), 100 << 10, 0)]));
        }
        assert_eq!(state.get(b"key 9", now), None);
        assert!(state.get(b"key 10", now).is_some() && state.get(b"key 19", now).is_some());
        state.settle(Pending::from([put("short", 1, 100), put("long", 1, 101)]));
        assert_eq!(state.get(b"short", now), None);
        assert_eq!(state.get(b"long", now), Some(b"x".to_vec()));
        state.settle(Pending::from([(b"long".to_vec(), None)]));
        assert_eq!(state.get(b"long", now), None);
    }

    #[test]
    fn a_call_sees_what_its_batch_wrote_and_a_failed_one_leaves_nothing() {
        let state = Arc::new(State::default());
        let now = UnixNanos(100);
        let mut first = Notes::new(Arc::clone(&state), Pending::new());
        let (key, value) = put("a", 1, 0);
        first.write(&key, value.clone()).unwrap();
        assert!(first.get(b"a", now).is_some());
        let (_, pending) = first.end(true);
        let mut second = Notes::new(Arc::clone(&state), pending);
        assert!(second.get(b"a", now).is_some());
        second.write(b"a", None).unwrap();
        second.write(b"b", value).unwrap();
        assert_eq!(second.get(b"a", now), None);
        let (_, pending) = second.end(false);
        assert_eq!(state.get(b"a", now), None);
        state.settle(pending);
        assert!(state.get(b"a", now).is_some());
        assert_eq!(state.get(b"b", now), None);
        let mut greedy = Notes::default();
        assert!(greedy.write(&[0; 2_000], None).is_err());
        let (_, large) = put("", CALL_BYTES, 0);
        assert!(greedy.write(b"c", large).is_err());
    }

    #[test]
    fn what_the_store_did_not_take_is_offered_again_and_found_by_the_next() {
        let store = Arc::new(Memory::default());
        let states = || {
            let store: Arc<dyn Store> = Arc::<Memory>::clone(&store);
            States::new(Some(store), SystemClock::shared())
        };
        let first = states();
        first
            .of("one")
            .settle(Pending::from([put("a", 1, 0), put("b", 1, 1)]));
        *store.is_broken.lock().unwrap() = true;
        first.save();
        assert!(store.notes.lock().unwrap().is_empty());
        *store.is_broken.lock().unwrap() = false;
        first.save();
        let next = states();
        assert!(next.of("one").get(b"a", UnixNanos(5)).is_some());
        assert_eq!(next.of("one").get(b"b", UnixNanos(0)), None);
        // Nothing has changed since.
        assert!(next.of("one").entries().changes(UnixNanos(5)).is_empty());
    }
}
