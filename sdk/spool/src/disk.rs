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
use rustix::fs::{FallocateFlags, FlockOperation, flock};

use crate::SpoolError;

/// One directory. Names are plain file names; none of the calls is made from an async context.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// The name of the network file system that it lies on, if it lies on one.
    fn network(&self) -> io::Result<Option<&'static str>> {
        Ok(None)
    }
    /// Makes this process the only user of the directory until the returned value is dropped.
    fn lock(&self) -> Result<Box<dyn Any + Send>, SpoolError>;
    /// Names of the files in it.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that exists.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;
    /// Opens a file that exists and will not be written; a read-only disk allows that.
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;
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
    /// Bytes of the blocks that everything in the directory occupies, and below it.
    fn used(&self) -> io::Result<u64>;
    /// What the file system has left.
    fn space(&self) -> io::Result<Space>;
    /// Makes a file that occupies so many bytes of blocks, in place of another one if there is one.
    fn occupy(&self, name: &str, bytes: u64) -> io::Result<()>;
}

/// A file system, as `statvfs` sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total_bytes: u64,
    /// What an unprivileged process may still take.
    pub free_bytes: u64,
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

impl Directory {
    /// A directory that is only looked at; it may be absent.
    pub(crate) fn existing(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// What the owner wrote into the lock file, while somebody holds it.
    pub(crate) fn owner(&self) -> Option<String> {
        let mut file = File::open(self.path.join("lock")).ok()?;
        let free = flock(&file, FlockOperation::NonBlockingLockShared).is_ok();
        if free {
            return None; // given up again with the file
        }
        let mut pid = String::new();
        file.read_to_string(&mut pid).ok()?;
        Some(pid.trim().to_owned())
    }
}

/// `f_type` of `statfs(2)`, and what it stands for. FUSE is not among them: what is behind it may be
/// this machine's.
const NETWORKS: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0102_1997, "9P"),
    (0x7375_7245, "Coda"),
];

fn network_of(kind: u32) -> Option<&'static str> {
    let found = NETWORKS.into_iter().find(|(number, _)| *number == kind);
    found.map(|(_, name)| name)
}

impl Disk for Directory {
    fn network(&self) -> io::Result<Option<&'static str>> {
        // The number has 32 bits everywhere, the field of some architectures a sign and 64.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "see above"
        )]
        let kind = rustix::fs::statfs(&self.path)?.f_type as u32;
        Ok(network_of(kind))
    }

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
        // Padded and in place: a full disk takes it too. A message is all that it is for.
        let written = file
            .rewind()
            .and_then(|()| writeln!(file, "{:<10}", std::process::id()));
        if let Err(error) = written {
            tracing::debug!(%error, "cannot write the owner's pid into the lock file");
        }
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

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        backend(File::open(self.path.join(name))?)
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

    fn used(&self) -> io::Result<u64> {
        used_below(&self.path)
    }

    fn space(&self) -> io::Result<Space> {
        let found = rustix::fs::statvfs(&self.path)?;
        Ok(Space {
            total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }

    fn occupy(&self, name: &str, bytes: u64) -> io::Result<()> {
        let path = self.path.join(name);
        let occupied = File::create(&path).and_then(|mut file| {
            match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
                // Not every file system can; then the bytes are written.
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                    io::copy(&mut io::repeat(0).take(bytes), &mut file).map(|_| ())
                }
                done => Ok(done?),
            }
        });
        if occupied.is_err() {
            // Half a file holds nothing that anybody counts on.
            let _absent = std::fs::remove_file(&path);
        }
        occupied
    }
}

/// What vanishes while it is counted is not counted.
fn used_below(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(about) = entry.metadata() else {
            continue;
        };
        bytes += about.blocks() * 512;
        if about.is_dir() {
            bytes += used_below(&entry.path()).unwrap_or(0);
        }
    }
    Ok(bytes)
}

fn backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    match FileBackend::new(file) {
        Ok(backend) => Ok(Box::new(backend)),
        Err(error) => Err(io::Error::other(error)),
    }
}
