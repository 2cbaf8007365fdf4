//! The binary itself: exit codes, words, signals.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Reply, Site, client, logs, until};
use prost::Message as _;

fn agent(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petrel-agent"));
    command.args(arguments).arg("--config").arg(config);
    command.env_remove("PETREL_DSN");
    command
}

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
    let log = site.spool_dir().with_extension("log");
    let out = std::fs::File::create(&log).unwrap();
    let mut child = agent(&["run"], &site.config_file())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(out)
        .spawn()
        .unwrap();
    let mut http = None;
    until("the agent says where it listens", || {
        let text = std::fs::read_to_string(&log).unwrap();
        http = text
            .split_whitespace()
            .find_map(|word| word.strip_prefix("http=").map(str::to_owned));
        http.is_some()
    })
    .await;
    let url = format!("http://{}/v1/logs", http.unwrap());
    for n in 0..10 {
        let response = client()
            .post(&url)
            .header("content-type", "application/x-protobuf")
            .body(logs(&[&format!("record {n}")]).encode_to_vec())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 200);
    }
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
    let mut code = None;
    until("it ends", || {
        code = child.try_wait().unwrap();
        code.is_some()
    })
    .await;
    assert_eq!(code.and_then(|status| status.code()), Some(0));
    site.peer.revive().await;
    let next = site.agent().await;
    next.delivered(10).await;
    assert_eq!(site.peer.stored_once().len(), 10);
    next.stop().await;
}
