//! The binary itself: exit codes, words, signals.

use std::process::Command;

use crate::harness::{PATIENCE, Reply, Site};
use crate::process::{Process, agent};

#[test]
fn a_typo_ends_with_64_and_one_line_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.yaml");
    std::fs::write(&path, "dsn: http://t@h\nspol: {}\n").unwrap();
    for command in ["check", "run"] {
        let output = agent(&[command], &path).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{command}");
        let words = String::from_utf8(output.stderr).unwrap();
        let words = words.replace(&path.display().to_string(), "agent.yaml");
        assert_eq!(
            words,
            "petrel-agent: agent.yaml:2: spol: unknown key; did you mean \"spool\"?\n"
        );
    }
}

#[test]
fn a_good_configuration_is_fine_and_its_token_is_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.yaml");
    std::fs::write(&path, "dsn: http://hunter2@127.0.0.1:14318\n").unwrap();
    let output = agent(&["check"], &path).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("is fine; forwards to http://127.0.0.1:14318"));
    assert!(!words.contains("hunter2"));
}

#[test]
fn status_of_nobody_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_petrel-agent"))
        .args(["status", "--admin", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("is it running?"), "{words}");
}

#[tokio::test]
async fn sigterm_ends_it_with_0_and_what_was_acknowledged_is_delivered_by_the_next() {
    let mut site = Site::with(|_| Reply::Echo).await;
    site.peer.kill().await;
    let process = Process::start(&site, &[]).await;
    for n in 0..10 {
        process.send(&format!("record {n}")).await;
    }
    assert_eq!(process.stop().await, Some(0));
    site.peer.revive().await;
    let next = site.agent().await;
    next.delivered(10).await;
    assert_eq!(site.peer.stored_once().len(), 10);
    next.stop().await;
}

#[tokio::test]
async fn parked_data_goes_at_once_when_a_reload_brings_another_dsn() {
    let mut site = Site::with(|seen| {
        if seen.header("uptrace-dsn").contains("//old@") {
            return Reply::status(401);
        }
        Reply::Echo
    })
    .await;
    site.token = "old".to_owned();
    let process = Process::start(&site, &[]).await;
    process.send("kept").await;
    let report = process
        .shows("it is parked", |report| report.forward.state == "parked")
        .await;
    assert!(report.forward.retry_seconds > Some(30.0), "{report:?}");
    assert!(report.health.reasons[0].contains("401"), "{report:?}");
    site.token = "new".to_owned();
    site.config_file();
    process.signal("HUP");
    process
        .shows("it is delivered", |report| report.signals[1].delivered == 1)
        .await;
    assert_eq!(site.peer.stored(), ["kept"]);
    let log = process.log();
    assert!(!log.contains("//old@") && !log.contains("//new@"), "{log}");
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn a_bad_configuration_leaves_the_old_one_running_and_says_so() {
    let mut site = Site::with(|_| Reply::Echo).await;
    let process = Process::start(&site, &[]).await;
    site.extra = "forward: { in_flite: 2 }\nprocessors: [ { plugin: gone.wasm } ]\n".to_owned();
    let path = site.config_file();
    process.signal("HUP");
    let report = process
        .shows("it has looked", |report| report.reload.is_some())
        .await;
    let error = report.reload.clone().unwrap().error.unwrap();
    assert!(error.contains("did you mean \"in_flight\"?"), "{error}");
    assert!(error.contains("gone.wasm"), "all of it is checked: {error}");
    let page = petrel_agent::status::page(&report);
    assert!(page.contains("reload     failed"), "{page}");
    assert!(
        process.log().contains("cannot be used"),
        "{}",
        process.log()
    );
    process.send("all the same").await;
    process
        .shows("it is delivered", |report| report.signals[1].delivered == 1)
        .await;
    // Mended, it is taken up; what needs a restart is named.
    site.extra = "forward: { in_flight: 2 }\nlogging: { level: warn }\n".to_owned();
    assert_eq!(site.config_file(), path);
    process.signal("HUP");
    let report = process
        .shows("it is taken up", |report| {
            report
                .reload
                .as_ref()
                .is_some_and(|reload| reload.error.is_none())
        })
        .await;
    assert_eq!(report.reload.unwrap().needs_restart, ["logging"]);
    assert_eq!(process.stop().await, Some(0));
}

#[tokio::test]
async fn the_service_manager_hears_that_it_is_ready_and_that_it_moves() {
    let site = Site::with(|_| Reply::Echo).await;
    let path = site.spool_dir().with_extension("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let environment = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "60000000"),
    ];
    let process = Process::start(&site, &environment).await;
    let mut heard = Vec::new();
    let hear = async {
        while !["READY=1", "WATCHDOG=1"]
            .iter()
            .all(|word| heard.contains(&(*word).to_owned()))
        {
            let mut message = [0; 256];
            let length = socket.recv(&mut message).await.unwrap();
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            heard.extend(text.lines().map(str::to_owned));
        }
    };
    tokio::time::timeout(PATIENCE, hear).await.unwrap();
    assert_eq!(process.stop().await, Some(0));
}
