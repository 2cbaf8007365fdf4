//! The few things a spool asks of its directory, so that tests can fill it, break it and cut its
//! power.

use std::any::Any;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;
use rustix::fs::{FlockOperation, flock};

use crate::SpoolError;

/// One directory. Names are plain file names; none of the calls is made from an async context.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Makes this process the only user of the directory until the returned value is dropped.
    fn lock(&self) -> Result<Box<dyn Any + Send>, SpoolError>;
    /// Names of the files in it.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that exists.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;
    /// Makes an empty file, in place of another one if there is one.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;
    /// Renames a file, in place of another one if there is one.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn unlink(&self, name: &str) -> io::Result<()>;
    /// Returns once every create, rename and unlink before it would survive a power cut.
    fn sync_dir(&self) -> io::Result<()>;
    /// Bytes of the blocks that a file occupies; redb's files are sparse.
    fn allocated(&self, name: &str) -> io::Result<u64>;
}

/// A directory of the host.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`, made if absent.
    pub fn new(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        // A new directory is only as durable as its entry in the one above.
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Disk for Directory {
    fn lock(&self) -> Result<Box<dyn Any + Send>, SpoolError> {
        let failed = |error: io::Error| SpoolError::Disk {
            doing: "locking the directory",
            source: std::sync::Arc::new(error),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.join("lock"))
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // Best effort: the message is only as good as what the owner wrote.
                if file.read_to_string(&mut pid).is_err() || pid.trim().is_empty() {
                    "unknown".clone_into(&mut pid);
                }
                return Err(SpoolError::InUse {
                    dir: self.path.clone(),
                    pid: pid.trim().to_owned(),
                });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Box::new(file))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path.join(name))?;
        backend(file)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path.join(name))?;
        backend(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn allocated(&self, name: &str) -> io::Result<u64> {
        // st_blocks counts 512 bytes whatever the file system's block size.
        Ok(std::fs::metadata(self.path.join(name))?.blocks() * 512)
    }
}

fn backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    match FileBackend::new(file) {
        Ok(backend) => Ok(Box::new(backend)),
        Err(error) => Err(io::Error::other(error)),
    }
}
