//! Disks that are slow, and disks that were never writable.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use petrel_tests::disk::Disk;
use petrel_tests::edge::{Edge, EdgeOptions};
use petrel_tests::http;
use petrel_tests::ledger::Outcome;
use petrel_tests::process::{Process, free_port, wait_until};
use petrel_tests::proxy::Proxy;
use petrel_tests::traffic::{Application, post};
use petrel_wire::Signal;

const TOKEN: &str = "disks_token";

/// An agent that reaches nobody.
fn alone(dir: &Path, spool_dir: Option<std::path::PathBuf>) -> anyhow::Result<Edge> {
    let options = EdgeOptions {
        redact: false,
        spool_dir,
        ..EdgeOptions::default()
    };
    let nobody = Proxy::without_memory(free_port());
    Edge::configure(dir, "agent", nobody, TOKEN, &options)
}

#[test]
fn senders_share_the_flushes_of_a_slow_disk() -> anyhow::Result<()> {
    const REQUESTS: u64 = 64;
    let dir = tempfile::tempdir()?;
    let mut edge = alone(dir.path(), None)?;
    edge.start()?;
    let (pid, calls) = (edge.running().pid(), dir.path().join("flushes"));
    let mut slow = Command::new("strace");
    slow.args([
        "-f",
        "-qqq",
        "-p",
        &pid.to_string(),
        "-e",
        "trace=fdatasync",
    ])
    // Half a second for each flush, in microseconds.
    .args(["-e", "inject=fdatasync:delay_exit=500000", "-o"])
    .arg(&calls);
    let _slow = Process::start("strace", &mut slow, &dir.path().join("strace.log"))?;
    wait_until(Duration::from_secs(30), "strace has taken hold", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(!status.contains("TracerPid:\t0"))
    })?;

    let application = Application {
        place: "c0p1".to_owned(),
        name: "app".to_owned(),
        port: edge.http_port,
        items: 1,
        pause: Duration::ZERO,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let client = runtime.block_on(async { http::client() });
    let requests: Vec<_> = (0..REQUESTS)
        .map(|number| {
            // All of one signal: 0, 3, 6 and so on.
            let (_, body) = application.request_number(number * 3);
            let (client, port) = (client.clone(), application.port);
            runtime.spawn(async move { post(&client, port, Signal::Traces, body).await })
        })
        .collect();
    for request in requests {
        assert_eq!(runtime.block_on(request)?, Outcome::Acknowledged);
    }
    let flushes = std::fs::read_to_string(&calls)?
        .matches("fdatasync(")
        .count() as u64;
    assert!(
        (1..=REQUESTS / 4).contains(&flushes),
        "{flushes} flushes for {REQUESTS} requests"
    );
    Ok(())
}

#[test]
fn an_agent_on_a_read_only_disk_says_so_and_ends() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let disk = Disk::make(dir.path(), 320)?;
    let spool = disk.path().join("spool");
    std::fs::create_dir(&spool)?;
    disk.make_read_only()?;
    let edge = alone(dir.path(), Some(spool.clone()))?;
    let output = edge.run_to_its_end()?;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr)?;
    let spool = spool.display().to_string();
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.contains(&spool) && last.contains("Read-only file system"),
        "{said}"
    );
    Ok(())
}
