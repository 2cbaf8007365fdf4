//! A file system of its own in a loop device, whose power can be cut: XFS's shutdown drops what was
//! not yet synced, as if the cable had been pulled (`xfs_io(8)`, "shutdown").

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// Unmounted when it is dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// A new XFS of `mebibytes` (at least 300, which XFS asks for) below `dir`, mounted.
    ///
    /// # Errors
    /// Not as root, or without loop devices or xfsprogs.
    pub fn make(dir: &Path, mebibytes: u64) -> anyhow::Result<Self> {
        let disk = Self {
            image: dir.join("disk.img"),
            mount: dir.join("disk"),
        };
        std::fs::create_dir(&disk.mount)?;
        std::fs::File::create(&disk.image)?.set_len(mebibytes << 20)?;
        run(Command::new("mkfs.xfs").arg("-q").arg(&disk.image))?;
        disk.attach()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// No power: every call fails from now on, and what was not synced is gone.
    pub fn cut(&self) -> anyhow::Result<()> {
        run(Command::new("xfs_io")
            .args(["-x", "-c", "shutdown"])
            .arg(&self.mount))
    }

    /// Mounts again what a cut has left; the file system repairs itself by its journal. Nobody may
    /// have a file open.
    pub fn restore(&self) -> anyhow::Result<()> {
        run(Command::new("umount").arg(&self.mount))?;
        self.attach()
    }

    /// Whoever writes is refused from now on.
    pub fn make_read_only(&self) -> anyhow::Result<()> {
        run(Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&self.mount))
    }

    fn attach(&self) -> anyhow::Result<()> {
        run(Command::new("mount")
            .args(["-o", "loop"])
            .args([&self.image, &self.mount]))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open is about to be stopped.
        drop(Command::new("umount").arg("-l").arg(&self.mount).status());
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}; packaging/prepare.sh installs it"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
