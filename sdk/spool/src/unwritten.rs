//! [`Unwritten`]: a file that is read and never written; what redb wants to write stays in memory.
//!
//! redb marks a file when it opens and closes it, and repairs it after a crash. A closed segment
//! needs none of that: it is read from a full disk, from one that has become read-only, beside
//! the process that owns it, and after an fsync of it failed, when a write that succeeds would
//! vouch for pages that never reached the disk.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

const PAGE: u64 = 4096;

#[derive(Debug)]
pub(crate) struct Unwritten {
    file: Box<dyn StorageBackend>,
    over: Mutex<Over>,
}

/// What lies over the file.
#[derive(Debug)]
struct Over {
    len: u64,
    /// Of the file, that much still shows through.
    shows: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Unwritten {
    pub(crate) fn new(file: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = file.len()?;
        let over = Over {
            len,
            shows: len,
            pages: BTreeMap::new(),
        };
        Ok(Self {
            file,
            over: Mutex::new(over),
        })
    }

    fn over(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the file from `offset` on, and zeros where it doesn't show.
    fn below(&self, shows: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let left = shows.saturating_sub(offset).min(out.len() as u64);
        let (there, beyond) = out.split_at_mut(index(left));
        beyond.fill(0);
        if there.is_empty() {
            return Ok(());
        }
        self.file.read(offset, there)
    }
}

/// Lengths and offsets of what is in memory fit in it.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// `(page, start in the page, length)` for each page that `len` bytes from `offset` on touch.
fn pages(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + len as u64;
    (offset / PAGE..end.div_ceil(PAGE)).map(move |page| {
        let from = offset.max(page * PAGE);
        let to = end.min((page + 1) * PAGE);
        (page, index(from - page * PAGE), index(to - from))
    })
}

impl StorageBackend for Unwritten {
    fn len(&self) -> io::Result<u64> {
        Ok(self.over().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let over = self.over();
        if offset + out.len() as u64 > over.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if over.pages.is_empty() {
            return self.below(over.shows, offset, out);
        }
        let mut rest = out;
        for (page, start, len) in pages(offset, rest.len()) {
            let (part, tail) = rest.split_at_mut(len);
            match over.pages.get(&page) {
                Some(bytes) => part.copy_from_slice(&bytes[start..start + len]),
                None => self.below(over.shows, page * PAGE + start as u64, part)?,
            }
            rest = tail;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut over = self.over();
        if len < over.len {
            over.pages.split_off(&len.div_ceil(PAGE));
            if let Some(last) = over.pages.get_mut(&(len / PAGE)) {
                last[index(len % PAGE)..].fill(0);
            }
        }
        over.len = len;
        over.shows = over.shows.min(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut over = self.over();
        let mut rest = data;
        for (page, start, len) in pages(offset, data.len()) {
            let (part, tail) = rest.split_at(len);
            let mut bytes = match over.pages.remove(&page) {
                Some(bytes) => bytes,
                None => {
                    let mut bytes = vec![0; index(PAGE)];
                    self.below(over.shows, page * PAGE, &mut bytes)?;
                    bytes
                }
            };
            bytes[start..start + len].copy_from_slice(part);
            over.pages.insert(page, bytes);
            rest = tail;
        }
        over.len = over.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    fn bytes_of(backend: &dyn StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0; index(backend.len().unwrap())];
        backend.read(0, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn it_reads_like_the_file_would_and_leaves_the_file_alone(
            content in proptest::collection::vec(any::<u8>(), 0..20_000),
            steps in proptest::collection::vec((0_u64..24_000, 0_usize..9000, any::<u8>()), 0..12),
        ) {
            let file = || {
                let file = InMemoryBackend::new();
                file.set_len(content.len() as u64).unwrap();
                file.write(0, &content).unwrap();
                file
            };
            let (model, over) = (file(), Unwritten::new(Box::new(file())).unwrap());
            for (at, len, byte) in steps {
                if len % 5 == 0 {
                    model.set_len(at).unwrap();
                    over.set_len(at).unwrap();
                } else {
                    let end = model.len().unwrap().max(at + len as u64);
                    model.set_len(end).unwrap();
                    over.set_len(end).unwrap();
                    model.write(at, &vec![byte; len]).unwrap();
                    over.write(at, &vec![byte; len]).unwrap();
                }
                prop_assert_eq!(bytes_of(&over), bytes_of(&model));
            }
            prop_assert_eq!(bytes_of(&*over.file), content);
        }
    }
}
