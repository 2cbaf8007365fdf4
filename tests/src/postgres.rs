//! A PostgreSQL server of a test's own, from Debian's binaries.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{Process, START, free_port, wait_until};

/// Gone with its last handle.
#[derive(Debug)]
pub struct Postgres {
    /// Where it listens, on loopback.
    pub port: u16,
    bin: PathBuf,
    process: Process,
}

impl Postgres {
    /// Who owns everything in it; no password is asked for.
    pub const USER: &'static str = "petrel";

    /// Starts one with its data below `dir`, and returns once it answers.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        let bin = newest_binaries().context("PostgreSQL is missing: run `make prepare-test`")?;
        let data = dir.join("postgres");
        std::fs::create_dir(&data)?;
        let owner = server_user()?;
        if let Some((uid, gid)) = owner {
            chown(&data, Some(uid), Some(gid))?;
        }
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            // PostgreSQL refuses to run as root.
            if let Some((uid, gid)) = owner {
                command.uid(uid).gid(gid);
            }
            command.current_dir("/").stdout(Stdio::null());
            command
        };
        let user = format!("--username={}", Self::USER);
        let made = command("initdb")
            .args(["--auth=trust", &user, "--encoding=UTF8", "-D"])
            .arg(&data)
            .status()?;
        anyhow::ensure!(made.success(), "initdb failed");
        let port = free_port();
        let mut server = command("postgres");
        server
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-k", "", "-h", "127.0.0.1"]);
        let process = Process::start("postgres", &mut server, &dir.join("postgres.log"))?;
        let postgres = Self { port, bin, process };
        wait_until(START, "PostgreSQL answers", || {
            Ok(postgres.client("pg_isready").status()?.success())
        })?;
        Ok(postgres)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", Self::USER])
            .stdout(Stdio::null());
        command
    }

    /// A new, empty database.
    pub fn create_database(&self, name: &str) -> anyhow::Result<()> {
        let made = self.client("createdb").arg(name).status()?;
        anyhow::ensure!(made.success(), "createdb {name} failed");
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killed outright it would leave shared memory behind. What cannot end is killed after.
        drop(self.process.terminate(Duration::from_secs(10)));
    }
}

fn newest_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let found = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    found.filter(|bin| bin.join("postgres").exists()).max()
}

/// Whom to become when we are root: the user that Debian's package made.
fn server_user() -> anyhow::Result<Option<(u32, u32)>> {
    let of = |flag: &str, user: &str| -> anyhow::Result<u32> {
        let output = Command::new("id").args([flag, user]).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    let ours = Command::new("id").arg("-u").output()?;
    if String::from_utf8(ours.stdout)?.trim() != "0" {
        return Ok(None);
    }
    let server = "postgres";
    Ok(Some((of("-u", server)?, of("-g", server)?)))
}
