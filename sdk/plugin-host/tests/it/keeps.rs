//! What plugins keep: with the batch, past their instance, and past the host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use petrel_plugin_host::{Chain, Note, ProcessorConfig, Store, Verdict};
use petrel_wire::{Batch, Limits, SystemClock};

use crate::guest::keeps_count;
use crate::otlp::{decoded, secrets};

#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<(String, Vec<u8>), Note>>);

impl Store for Memory {
    fn load(&self, name: &str) -> Result<Vec<Note>, String> {
        let notes = self.0.lock().unwrap();
        let own = notes.iter().filter(|((of, _), _)| of == name);
        Ok(own.map(|(_, note)| note.clone()).collect())
    }

    fn save(&self, name: &str, changes: &[Note]) -> Result<(), String> {
        for note in changes {
            let key = (name.to_owned(), note.key.clone());
            self.0.lock().unwrap().insert(key, note.clone());
        }
        Ok(())
    }
}

fn chain(config: &ProcessorConfig, store: &Arc<Memory>) -> Chain {
    let configs = [config.clone()];
    let store: Arc<dyn Store> = Arc::<Memory>::clone(store);
    let (limits, clock) = (Limits::default(), SystemClock::shared());
    Chain::load_with_store(&configs, None, limits, &clock, Some(store)).unwrap()
}

fn batch() -> Batch {
    secrets(["a".to_owned()].into_iter())
}

/// The digit.
fn count(verdict: Verdict) -> u32 {
    let Verdict::Kept { batch, .. } = verdict else {
        panic!("{verdict:?}");
    };
    let text = decoded(&batch);
    let (_, behind) = text.split_once("number ").unwrap();
    behind
        .chars()
        .next()
        .and_then(|digit| digit.to_digit(10))
        .unwrap()
}

#[test]
fn what_a_plugin_keeps_is_there_for_the_next_batch_instance_and_process() {
    let store = Arc::new(Memory::default());
    let (_dir, config) = keeps_count().config(|_| {});
    let first = chain(&config, &store);
    assert_eq!(count(first.process(batch())), 1);
    assert_eq!(count(first.process(batch())), 2);
    let mut next = config.clone();
    next.config = serde_json::json!({"version": 2});
    // The rehearsal has counted, too, but for nobody.
    assert_eq!(first.reload(&[next]).unwrap().loaded, 1);
    assert_eq!(count(first.process(batch())), 3);
    // What is not saved is lost with the process.
    assert_eq!(count(chain(&config, &store).process(batch())), 1);
    first.save_states();
    drop(first);
    assert_eq!(count(chain(&config, &store).process(batch())), 4);
    // Another plugin, or another processor of the same one, has a state of its own.
    let mut other = config;
    other.name = "other".into();
    assert_eq!(count(chain(&other, &store).process(batch())), 1);
}

#[test]
fn a_batch_that_comes_again_meets_what_it_met_the_first_time() {
    let store = Arc::new(Memory::default());
    let (_dir, config) = keeps_count().config(|_| {});
    let chain = chain(&config, &store);
    let (verdict, effects) = chain.process_for(batch());
    assert_eq!(count(verdict), 1);
    drop(effects);
    let (verdict, effects) = chain.process_for(batch());
    assert_eq!(count(verdict), 1);
    effects.settle();
    assert_eq!(count(chain.process(batch())), 2);
}

#[test]
fn without_a_store_it_is_kept_as_long_as_the_chain() {
    let (_dir, chain) = keeps_count().chain(|_| {});
    for expected in 1..4 {
        assert_eq!(count(chain.process(batch())), expected);
    }
    chain.save_states();
}
