//! Compiled components on disk, so that an agent starts without compiling.
//!
//! A compiled component is native code: whoever can write it runs in the agent. So it is only taken
//! from a directory that belongs to this user and to nobody else, from a file that this user wrote,
//! under a name that holds the checksum of its content, and never from the network.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::Hasher as _;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// A directory that only this user can write to.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Creates the directory if need be. The error is for the operator: without a cache the agent
    /// works, but compiles at each start.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot use {}: {error}", dir.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(failed)?;
        let metadata = fs::symlink_metadata(&dir).map_err(failed)?;
        if !metadata.is_dir() || metadata.uid() != me() {
            return Err(format!("{} does not belong to this user", dir.display()));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(format!(
                "others can reach {}; make it private with: chmod 700 {0}",
                dir.display()
            ));
        }
        Ok(Self { dir })
    }

    /// What was compiled from `bytes` by this very engine, if it is here and whole.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, bytes: &[u8]) -> Option<Component> {
        let prefix = name(engine, bytes);
        let entries = fs::read_dir(&self.dir).ok()?;
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let checksum = file_name
                .to_str()
                .and_then(|name| name.strip_prefix(prefix.as_str()))
                .and_then(|rest| rest.strip_suffix(".cwasm"));
            let Some(checksum) = checksum else { continue };
            let path = entry.path();
            if is_mine(&path) && fs::read(&path).is_ok_and(|code| sum(&code) == checksum) {
                return deserialize(engine, &path);
            }
            tracing::warn!(file = %path.display(), "a compiled plugin was damaged and is compiled anew");
            fs::remove_file(&path).ok();
        }
        None
    }

    /// Keeps `component`, and gives it back as it is on disk: mapped, not held in memory.
    pub(crate) fn store(
        &self,
        engine: &wasmtime::Engine,
        bytes: &[u8],
        component: &Component,
    ) -> Option<Component> {
        let code = component.serialize().ok()?;
        let path = self
            .dir
            .join(format!("{}{}.cwasm", name(engine, bytes), sum(&code)));
        match write(&path, &code) {
            Ok(()) => deserialize(engine, &path),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "cannot keep a compiled plugin: {error}");
                None
            }
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the file was written by this user, from a component this engine compiled, and is whole"
)]
fn deserialize(engine: &wasmtime::Engine, path: &Path) -> Option<Component> {
    // SAFETY: `load` and `store` come here only with files of this process's user, in a directory
    // that nobody else can write to, whose content has the checksum in its name; wasmtime itself
    // checks its version, configuration and processor.
    unsafe { Component::deserialize_file(engine, path) }.ok()
}

fn write(path: &Path, code: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(code)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

fn is_mine(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|file| file.is_file() && file.uid() == me() && file.mode() & 0o022 == 0)
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn sum(code: &[u8]) -> String {
    format!("{:032x}", xxh3_128(code))
}

/// Which component, compiled by which engine.
fn name(engine: &wasmtime::Engine, bytes: &[u8]) -> String {
    let mut hash = Xxh3::new();
    std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hash);
    format!("{}-{:016x}-", digest(bytes), hash.finish())
}

/// The SHA-256 of a component, in hex: its name for pins and caches.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").ok();
            hex
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn engine() -> wasmtime::Engine {
        crate::engine::Engine::new(1 << 20).unwrap().engine.clone()
    }

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_was_compiled_once_is_loaded_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache")).unwrap();
        let engine = engine();
        assert!(cache.load(&engine, EMPTY).is_none());
        let component = Component::new(&engine, EMPTY).unwrap();
        assert!(cache.store(&engine, EMPTY, &component).is_some());
        assert!(cache.load(&engine, EMPTY).is_some());
    }

    #[test]
    fn a_damaged_file_is_not_run_but_removed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache")).unwrap();
        let engine = engine();
        let component = Component::new(&engine, EMPTY).unwrap();
        drop(cache.store(&engine, EMPTY, &component));
        let file = fs::read_dir(&cache.dir).unwrap().next().unwrap().unwrap();
        let mut code = fs::read(file.path()).unwrap();
        let middle = code.len() / 2;
        code[middle] ^= 1;
        fs::write(file.path(), code).unwrap();
        assert!(cache.load(&engine, EMPTY).is_none());
        assert!(!file.path().exists());
    }

    #[test]
    fn a_directory_that_others_can_reach_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let error = Cache::open(dir.path().into()).unwrap_err();
        assert!(error.contains("chmod 700"), "{error}");
    }
}
