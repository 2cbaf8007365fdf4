//! A disk whose power can be cut: it forgets, tears and reorders whatever was not synced.
//!
//! Files keep what is durable and a list of writes since the last sync; names keep what is durable
//! and a list of creates, renames and unlinks since the last sync of the directory. A cut keeps
//! any subset of the pending 512-byte sectors and of the pending changes of names.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use petrel_spool::{Disk, Space, SpoolError};
use redb::StorageBackend;
use tokio::sync::watch;

use crate::entries::Random;

const SECTOR: u64 = 512;
const BLOCK: u64 = 4096;
const TOTAL: u64 = 1 << 40;

#[derive(Clone, Debug)]
enum Pending {
    Write(u64, Vec<u8>),
    Len(u64),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    blocks: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(String, usize),
    Rename(String, String),
    Unlink(String),
}

#[derive(Debug, Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    changes: Vec<NameChange>,
    operations: u64,
    cut_at: Option<u64>,
    dead: bool,
    locked: bool,
    /// One sync in so many fails, and which.
    failing: Option<(u64, Random)>,
    /// Every third sync only says that it was one.
    lies: bool,
    syncs: u64,
    /// Where it lies, if not in this machine.
    network: Option<&'static str>,
}

/// The disk; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk {
    world: Arc<Mutex<World>>,
    death: watch::Sender<bool>,
}

fn lost_power() -> io::Error {
    io::Error::other("the power is gone")
}

impl World {
    /// Counts an operation; true if this is the one that the power goes at.
    fn counts(&mut self) -> io::Result<bool> {
        if self.dead {
            return Err(lost_power());
        }
        self.operations += 1;
        if self.cut_at.is_some_and(|at| self.operations >= at) {
            self.dead = true;
        }
        Ok(self.dead)
    }
}

impl World {
    fn used(&self) -> u64 {
        let files = self.names.values();
        let blocks: usize = files.map(|inode| self.inodes[*inode].blocks.len()).sum();
        blocks as u64 * BLOCK
    }
}

impl Inode {
    fn write(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
        let offset = usize::try_from(offset).unwrap();
        if bytes.len() < offset + data.len() {
            bytes.resize(offset + data.len(), 0);
        }
        bytes[offset..offset + data.len()].copy_from_slice(data);
    }

    /// What a cut leaves of it; `keep` of 256 pending pieces survive.
    fn after_a_cut(&self, random: &mut Random, keep: u64) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for pending in &self.pending {
            match pending {
                Pending::Len(len) => {
                    if random.of_256(keep) {
                        bytes.resize(usize::try_from(*len).unwrap(), 0);
                    }
                }
                Pending::Write(offset, data) => {
                    let mut at = *offset;
                    let end = offset + data.len() as u64;
                    while at < end {
                        let next = ((at / SECTOR + 1) * SECTOR).min(end);
                        let (from, to) = (
                            usize::try_from(at - offset).unwrap(),
                            usize::try_from(next - offset).unwrap(),
                        );
                        let inside = next <= bytes.len() as u64;
                        if random.of_256(keep) && (inside || random.one_in(2)) {
                            Self::write(&mut bytes, at, &data[from..to]);
                        }
                        at = next;
                    }
                }
            }
        }
        bytes
    }
}

impl SimDisk {
    pub(crate) fn new() -> Self {
        Self::of(World::default())
    }

    fn of(world: World) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            death: watch::channel(false).0,
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The power goes at the n-th operation from now.
    pub(crate) fn cut_in(&self, operations: u64) {
        let mut world = self.world();
        world.cut_at = Some(world.operations + operations);
    }

    pub(crate) fn cut_now(&self) {
        self.world().dead = true;
        self.death.send_replace(true);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.world().dead
    }

    /// Returns once the power is gone.
    pub(crate) async fn died(&self) {
        let mut death = self.death.subscribe();
        // An error would mean that the disk, which we hold, is gone.
        let _died = death.wait_for(|dead| *dead).await;
    }

    /// From now on one sync in `n` fails, as the kernel does it: what was to be written stays
    /// readable, and no later sync writes it.
    pub(crate) fn fail_syncs(&self, n: u64, seed: u64) {
        self.world().failing = Some((n, Random::new(seed)));
    }

    pub(crate) fn stop_failing(&self) {
        self.world().failing = None;
    }

    /// It lies elsewhere.
    pub(crate) fn move_to(&self, network: &'static str) {
        self.world().network = Some(network);
    }

    pub(crate) fn lie(&self) {
        self.world().lies = true;
    }

    /// What the next start finds.
    pub(crate) fn after_a_cut(&self, random: &mut Random) -> Self {
        let world = self.world();
        let keep = match random.below(3) {
            0 => 0,
            1 => 256,
            _ => random.below(257),
        };
        let mut names = world.durable_names.clone();
        for change in &world.changes {
            if !random.of_256(keep) {
                continue;
            }
            match change {
                NameChange::Create(name, inode) => {
                    names.insert(name.clone(), *inode);
                }
                NameChange::Rename(from, to) => {
                    if let Some(inode) = names.remove(from) {
                        names.insert(to.clone(), inode);
                    }
                }
                NameChange::Unlink(name) => {
                    names.remove(name);
                }
            }
        }
        let mut after = World {
            lies: world.lies,
            ..World::default()
        };
        for (name, inode) in names {
            let bytes = world.inodes[inode].after_a_cut(random, keep);
            let blocks = (0..bytes.len() as u64 / BLOCK)
                .filter(|block| {
                    let at = usize::try_from(block * BLOCK).unwrap();
                    bytes[at..].iter().take(4096).any(|byte| *byte != 0)
                })
                .collect();
            after.durable_names.insert(name, after.inodes.len());
            after.inodes.push(Inode {
                live: bytes.clone(),
                durable: bytes,
                pending: Vec::new(),
                blocks,
            });
        }
        after.names = after.durable_names.clone();
        Self::of(after)
    }

    /// The same disk once more, to look at without touching it.
    pub(crate) fn copy(&self) -> Self {
        let world = self.world();
        Self::of(World {
            inodes: world.inodes.clone(),
            names: world.names.clone(),
            durable_names: world.durable_names.clone(),
            changes: world.changes.clone(),
            ..World::default()
        })
    }

    fn step(&self) -> io::Result<(MutexGuard<'_, World>, bool)> {
        let mut world = self.world();
        let last = world.counts()?;
        if last {
            self.death.send_replace(true);
        }
        Ok((world, last))
    }

    fn file(&self, inode: usize) -> Box<dyn StorageBackend> {
        Box::new(SimFile {
            disk: self.clone(),
            inode,
        })
    }
}

impl Disk for SimDisk {
    fn network(&self) -> io::Result<Option<&'static str>> {
        Ok(self.world().network)
    }

    fn lock(&self) -> Result<Box<dyn Any + Send>, SpoolError> {
        let mut world = self.world();
        assert!(!world.locked, "the lock was taken twice");
        world.locked = true;
        Ok(Box::new(SimLock(self.clone())))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.world().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let inode = self.world().names.get(name).copied();
        Ok(self.file(inode.ok_or(io::ErrorKind::NotFound)?))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        self.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let (mut world, last) = self.step()?;
        world.inodes.push(Inode::default());
        let inode = world.inodes.len() - 1;
        world.names.insert(name.to_owned(), inode);
        world
            .changes
            .push(NameChange::Create(name.to_owned(), inode));
        drop(world);
        if last {
            return Err(lost_power());
        }
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (mut world, last) = self.step()?;
        let inode = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), inode);
        world
            .changes
            .push(NameChange::Rename(from.to_owned(), to.to_owned()));
        if last { Err(lost_power()) } else { Ok(()) }
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let (mut world, last) = self.step()?;
        world.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        world.changes.push(NameChange::Unlink(name.to_owned()));
        if last { Err(lost_power()) } else { Ok(()) }
    }

    fn sync_dir(&self) -> io::Result<()> {
        let (mut world, last) = self.step()?;
        if last {
            return Err(lost_power());
        }
        world.durable_names = world.names.clone();
        world.changes.clear();
        Ok(())
    }

    fn allocated(&self, name: &str) -> io::Result<u64> {
        let world = self.world();
        let inode = *world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(world.inodes[inode].blocks.len() as u64 * BLOCK)
    }

    fn used(&self) -> io::Result<u64> {
        Ok(self.world().used())
    }

    fn space(&self) -> io::Result<Space> {
        let world = self.world();
        Ok(Space {
            total_bytes: TOTAL,
            free_bytes: TOTAL - world.used(),
        })
    }

    fn occupy(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = self.create(name)?;
        file.set_len(bytes)?;
        self.world()
            .inodes
            .last_mut()
            .unwrap()
            .blocks
            .extend(0..bytes.div_ceil(BLOCK));
        Ok(())
    }
}

struct SimLock(SimDisk);

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.world().locked = false;
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        let world = self.disk.world();
        if world.dead {
            return Err(lost_power());
        }
        Ok(world.inodes[self.inode].live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let world = self.disk.world();
        if world.dead {
            return Err(lost_power());
        }
        let offset = usize::try_from(offset).unwrap();
        let bytes = world.inodes[self.inode]
            .live
            .get(offset..offset + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut world, last) = self.disk.step()?;
        let inode = &mut world.inodes[self.inode];
        inode.pending.push(Pending::Len(len));
        if last {
            return Err(lost_power());
        }
        inode.live.resize(usize::try_from(len).unwrap(), 0);
        inode.blocks.retain(|block| block * BLOCK < len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut world, last) = self.disk.step()?;
        if last {
            return Err(lost_power());
        }
        world.syncs += 1;
        if world.lies && world.syncs.is_multiple_of(3) {
            return Ok(());
        }
        let world = &mut *world;
        let inode = &mut world.inodes[self.inode];
        let pending = std::mem::take(&mut inode.pending);
        if let Some((n, random)) = &mut world.failing
            && random.one_in(*n)
        {
            return Err(io::Error::from_raw_os_error(5));
        }
        for pending in pending {
            match pending {
                Pending::Len(len) => inode.durable.resize(usize::try_from(len).unwrap(), 0),
                Pending::Write(offset, data) => Inode::write(&mut inode.durable, offset, &data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut world, last) = self.disk.step()?;
        let inode = &mut world.inodes[self.inode];
        inode.pending.push(Pending::Write(offset, data.to_vec()));
        if last {
            return Err(lost_power());
        }
        let end = (offset + data.len() as u64).div_ceil(BLOCK);
        inode.blocks.extend(offset / BLOCK..end);
        Inode::write(&mut inode.live, offset, data);
        Ok(())
    }
}
