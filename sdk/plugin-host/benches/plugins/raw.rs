//! The control in a guest: an interface that hands over the request as it is.

use std::path::Path;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "tests/guests/raw/wit",
        world: "raw",
    });
}

/// One instance, called as the host would call it: with epochs, without limits.
pub(crate) struct RawGuest {
    store: Store<()>,
    guest: bindings::Raw,
}

impl RawGuest {
    pub(crate) fn load(file: &Path) -> Self {
        let mut config = Config::new();
        config.epoch_interruption(true).concurrency_support(false);
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::from_file(&engine, file).expect("make bench-plugins builds it");
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let guest = bindings::Raw::instantiate(&mut store, &component, &Linker::new(&engine));
        Self {
            store,
            guest: guest.expect("an instance"),
        }
    }

    pub(crate) fn process(&mut self, request: &[u8], keys: &[String]) -> Vec<u8> {
        self.guest
            .call_process(&mut self.store, request, keys)
            .expect("an answer")
    }
}
