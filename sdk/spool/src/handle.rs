//! [`Handle`]: one open redb file that is given up at its first error.
//!
//! redb latches a handle after an I/O error, and after a panic its locks may be poisoned; either
//! way the file is reopened, never the call repeated. A failed fsync says more: pages the kernel
//! has marked clean may never have reached the disk, so such a file is not written again at all.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Database, StorageBackend};

use crate::error::{Fault, guard};
use crate::unwritten::Unwritten;

/// An open database and whether its last fsync lied or failed.
pub(crate) struct Handle {
    db: Option<Database>,
    sync_failed: Arc<AtomicBool>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// Makes a database in an empty file.
    pub(crate) fn create(backend: Box<dyn StorageBackend>, cache: usize) -> Result<Self, Fault> {
        Self::start(backend, cache)
    }

    /// Opens an existing one; an empty file is damage, not a new database.
    pub(crate) fn open(backend: Box<dyn StorageBackend>, cache: usize) -> Result<Self, Fault> {
        let len = backend
            .len()
            .map_err(|error| Fault::io("measuring a file", error))?;
        if len == 0 {
            return Err(Fault::damaged("opening a file", "the file is empty"));
        }
        Self::start(backend, cache)
    }

    /// Opens an existing one and writes nothing.
    pub(crate) fn open_to_read(
        backend: Box<dyn StorageBackend>,
        cache: usize,
    ) -> Result<Self, Fault> {
        let unwritten =
            Unwritten::new(backend).map_err(|error| Fault::io("measuring a file", error))?;
        Self::open(Box::new(unwritten), cache)
    }

    fn start(backend: Box<dyn StorageBackend>, cache: usize) -> Result<Self, Fault> {
        let sync_failed = Arc::new(AtomicBool::new(false));
        let watched = Watched {
            inner: backend,
            sync_failed: Arc::clone(&sync_failed),
        };
        let db = guard("opening a file", move || {
            let mut builder = redb::Builder::new();
            builder.set_cache_size(cache);
            Ok(builder.create_with_backend(watched)?)
        })?;
        Ok(Self {
            db: Some(db),
            sync_failed,
        })
    }

    pub(crate) fn db(&self) -> &Database {
        self.db.as_ref().expect("taken only by drop")
    }

    /// True if an fsync failed, of the close itself too: the file must not be written again.
    pub(crate) fn close(self) -> bool {
        let sync_failed = Arc::clone(&self.sync_failed);
        drop(self);
        sync_failed.load(Ordering::Relaxed)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let db = self.db.take();
        // Closing writes; on a damaged file it may panic like everything else. Nothing that was
        // promised depends on it.
        if let Err(fault) = guard("closing a file", move || {
            drop(db);
            Ok(())
        }) {
            tracing::warn!(error = %fault.source, "a spool file did not close cleanly");
        }
    }
}

#[derive(Debug)]
struct Watched {
    inner: Box<dyn StorageBackend>,
    sync_failed: Arc<AtomicBool>,
}

impl Watched {
    /// An fsync after one that failed says nothing about what the first one should have written.
    fn still_vouches(&self) -> io::Result<()> {
        if self.sync_failed.load(Ordering::Relaxed) {
            return Err(io::Error::other("an earlier fsync of this file failed"));
        }
        Ok(())
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.still_vouches()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.still_vouches()?;
        let synced = self.inner.sync_data();
        if synced.is_err() {
            self.sync_failed.store(true, Ordering::Relaxed);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.still_vouches()?;
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
}
