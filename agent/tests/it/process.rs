//! A running agent in a process of its own, with its log and its admin port.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use petrel_agent::telemetry::Report;
use prost::Message as _;

use crate::harness::{PATIENCE, Site, client, logs, until};

/// The binary, with a configuration and nothing of our own environment that it would heed.
pub(crate) fn agent(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petrel-agent"));
    command.args(arguments).arg("--config").arg(config);
    for name in [
        "PETREL_DSN",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
    ] {
        command.env_remove(name);
    }
    command
}

/// A running agent in a process of its own.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    http: String,
    admin: String,
}

impl Process {
    pub(crate) async fn start(site: &Site, environment: &[(&str, &str)]) -> Self {
        Self::start_as(site, environment, |command| command).await
    }

    /// With a change to the command.
    pub(crate) async fn start_as(
        site: &Site,
        environment: &[(&str, &str)],
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let log = site.spool_dir().with_extension("log");
        let out = std::fs::File::create(&log).unwrap();
        let mut command = agent(&["run"], &site.config_file());
        let child = change(&mut command)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()
            .unwrap();
        let word = |text: &str, key: &str| {
            let mut words = text.split_whitespace();
            words.find_map(|word| word.strip_prefix(key).map(|word| format!("http://{word}")))
        };
        let mut addresses = None;
        until("the agent says where it listens", || {
            let text = std::fs::read_to_string(&log).unwrap();
            addresses = word(&text, "http=").zip(word(&text, "admin="));
            addresses.is_some()
        })
        .await;
        let (http, admin) = addresses.unwrap();
        Self {
            child,
            log,
            http,
            admin,
        }
    }

    pub(crate) async fn send(&self, record: &str) {
        assert_eq!(self.post(&logs(&[record])).await.0, 200);
    }

    /// Sends log records; returns status and answer.
    pub(crate) async fn post(&self, request: &ExportLogsServiceRequest) -> (u16, Vec<u8>) {
        let response = client()
            .post(format!("{}/v1/logs", self.http))
            .header("content-type", "application/x-protobuf")
            .body(request.encode_to_vec())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (status, response.bytes().await.unwrap().to_vec())
    }

    /// Sends spans; the status, if it answers.
    pub(crate) async fn post_spans(&self, request: &ExportTraceServiceRequest) -> Option<u16> {
        let sent = client()
            .post(format!("{}/v1/traces", self.http))
            .header("content-type", "application/x-protobuf")
            .body(request.encode_to_vec())
            .send()
            .await;
        Some(sent.ok()?.status().as_u16())
    }

    /// SIGKILL.
    pub(crate) fn kill(self) {
        drop(self);
    }

    pub(crate) async fn report(&self) -> Report {
        petrel_agent::status::ask(&self.admin).await.unwrap()
    }

    /// Waits for a state of the report.
    pub(crate) async fn shows(&self, what: &str, holds: impl Fn(&Report) -> bool) -> Report {
        let look = async {
            loop {
                let report = self.report().await;
                if holds(&report) {
                    return report;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let shown = tokio::time::timeout(PATIENCE, look).await;
        shown.unwrap_or_else(|_| panic!("waited in vain until {what}"))
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// The most memory that it has had so far.
    pub(crate) fn peak_resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() << 10
    }

    /// A page of the admin port.
    pub(crate) async fn page(&self, path: &str) -> String {
        let url = format!("{}{path}", self.admin);
        client()
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// SIGTERM; returns the exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        let mut code = None;
        until("it ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        })
        .await;
        code.and_then(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
