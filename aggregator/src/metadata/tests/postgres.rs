//! A PostgreSQL server of our own, from Debian's binaries, gone with the test.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::Connection as _;
use tempfile::TempDir;

use crate::metadata::Database;

/// It runs until dropped.
pub(crate) struct Server {
    process: Child,
    port: u16,
    _dir: TempDir,
}

impl Server {
    /// Starts one on a free port; `None` if PostgreSQL is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let bin = newest_binaries()?;
        let dir = tempfile::tempdir().unwrap();
        let owner = server_user();
        if let Some((uid, gid)) = owner {
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let data = dir.path().join("data");
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            // PostgreSQL refuses to run as root.
            if let Some((uid, gid)) = owner {
                command.uid(uid).gid(gid);
            }
            command
                .current_dir(dir.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let made = command("initdb")
            .args([
                "--auth=trust",
                "--username=petrel",
                "--no-sync",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(&data)
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-k", "", "-h", "127.0.0.1", "-F"])
            .spawn()
            .unwrap();
        let server = Self {
            process,
            port,
            _dir: dir,
        };
        server.wait_until_it_answers().await;
        Some(server)
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://petrel:secret@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    async fn wait_until_it_answers(&self) {
        let answered = tokio::time::timeout(Duration::from_secs(60), async {
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            loop {
                tick.tick().await;
                if sqlx::PgConnection::connect(&self.url("postgres"))
                    .await
                    .is_ok()
                {
                    break;
                }
            }
        });
        answered
            .await
            .expect("PostgreSQL did not come up within a minute");
    }

    /// A new, empty database.
    pub(crate) async fn create_database(&self, name: &str) -> Database {
        let mut connection = sqlx::PgConnection::connect(&self.url("postgres"))
            .await
            .unwrap();
        let sql = format!("CREATE DATABASE {name}");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        Database::Postgres(self.url(name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        // Immediate shutdown: its children end with it.
        let asked = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        if asked.is_err() {
            drop(self.process.kill());
        }
        drop(self.process.wait());
    }
}

fn newest_binaries() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop()
}

/// Whom to become when we are root: the user that Debian's package made.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .unwrap();
    let mut numbers = line.split(':').skip(2).map(|field| field.parse().unwrap());
    Some((numbers.next().unwrap(), numbers.next().unwrap()))
}
