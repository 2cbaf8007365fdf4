//! `user`, `project` and `token`, typed beside a running server and without one.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use petrel_aggregator::config::{Config, ListenAddr};
use petrel_aggregator::metadata::{Database, Metadata};
use petrel_aggregator::pipeline;
use petrel_wire::SystemClock;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::ingest::spans;
use crate::sender::post;

/// A data directory with its configuration.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::write(site.file(), site.text()).unwrap();
        site
    }

    fn text(&self) -> String {
        format!(
            "data_dir: {}\nsite: {{ addr: 'http://watch.example:14318' }}\n\
             ch: {{ addr: '127.0.0.1:1' }}\nprojects: [{{ id: 1, name: Shop, token: configured }}]\n\
             auth: {{ users: [{{ email: admin@example.com, password: configured }}] }}\n",
            self.dir.path().display()
        )
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("petrel.yml")
    }

    fn config(&self) -> Config {
        Config::load(&self.file()).unwrap().config
    }

    async fn metadata(&self) -> Metadata {
        let config = self.config();
        let metadata = Metadata::open(&Database::of(&config), SystemClock::shared())
            .await
            .unwrap();
        metadata.upsert_projects(&config.projects).await.unwrap();
        metadata.upsert_users(&config.users).await.unwrap();
        metadata
    }

    /// Types a command; `input` is what standard input says.
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_petrel-aggregator"))
            .args(arguments)
            .arg("--config")
            .arg(self.file())
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    /// What a command that succeeds prints.
    fn answer(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", words(&output));
        // The last cell of a line may be empty.
        let answer = String::from_utf8(output.stdout).unwrap();
        answer.trim_end_matches('\n').to_owned()
    }

    /// What a command that fails says.
    fn refusal(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{arguments:?}: {}",
            words(&output)
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
        words(&output)
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The cells of a list without its head.
fn cells(list: &str) -> Vec<Vec<&str>> {
    list.lines()
        .skip(1)
        .map(|line| line.split('\t').collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_and_a_new_limit_count_at_the_running_server_within_seconds() {
    let site = Site::new();
    let mut config = site.config();
    config.listen.grpc.addr = ListenAddr::loopback(0);
    config.listen.http.addr = ListenAddr::loopback(0);
    let (ready, listening) = oneshot::channel();
    let stop = CancellationToken::new();
    let run = pipeline::run(config, SystemClock::shared(), stop.clone(), |at| {
        ready.send(at).unwrap();
    });
    let server = tokio::spawn(run);
    let at = listening.await.unwrap().http;
    let send = async |dsn: &str| {
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("uptrace-dsn", dsn),
        ];
        post(at, "/v1/traces", &headers, &spans(1)).await.status
    };

    let dsn = site.answer(&["token", "add", "1", "--label", "edge"], "");
    assert!(
        dsn.starts_with("http://") && dsn.ends_with("@watch.example:14318?grpc=14317"),
        "{dsn}"
    );
    assert_eq!(send(&dsn).await, 200, "it counts at once");
    let list = site.answer(&["token", "list", "1"], "");
    let [configured, added] = &cells(&list)[..] else {
        panic!("{list}")
    };
    assert_eq!(configured[1..3], ["configuration", "configuration"]);
    assert_eq!(
        (added[1..3].to_vec(), added[4]),
        (vec!["edge", "command"], "")
    );
    let token = dsn
        .strip_prefix("http://")
        .unwrap()
        .split('@')
        .next()
        .unwrap();
    assert!(!list.contains(token), "a token is shown once");

    site.answer(&["token", "revoke", "1", added[0]], "");
    let turned_away = tokio::time::timeout(Duration::from_secs(20), async {
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        while send(&dsn).await != 401 {
            ticks.tick().await;
        }
    });
    assert!(
        turned_away.await.is_ok(),
        "it is taken for longer than seconds"
    );
    assert_eq!(send("http://configured@h").await, 200, "the others go on");

    site.answer(&["project", "limits", "1", "--items-per-second", "1"], "");
    let limited = tokio::time::timeout(Duration::from_secs(40), async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while send("http://configured@h").await != 429 {
            ticks.tick().await;
        }
    });
    assert!(limited.await.is_ok(), "a new limit counts within seconds");
    stop.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn users_are_added_changed_and_removed() {
    let site = Site::new();
    let metadata = site.metadata().await;
    let signs_in = async |email: &str, password: &str| {
        metadata
            .authenticate(email, password)
            .await
            .unwrap()
            .is_some()
    };
    site.answer(
        &[
            "user",
            "add",
            "Ada@example.com",
            "--name",
            "Ada",
            "--project",
            "1",
        ],
        "four grey petrels\n",
    );
    assert!(signs_in("ada@example.com", "four grey petrels").await);
    let made = site.answer(&["user", "add", "bob@example.com", "--generate"], "");
    assert!(signs_in("bob@example.com", &made).await, "{made}");
    let list = site.answer(&["user", "list"], "");
    assert_eq!(
        cells(&list),
        [
            vec!["ada@example.com", "Ada", "1", "yes"],
            vec!["admin@example.com", "admin@example.com", "all", "yes"],
            vec!["bob@example.com", "bob@example.com", "all", "yes"],
        ]
    );
    site.answer(&["user", "passwd", "ada@example.com"], "five grey petrels");
    assert!(!signs_in("ada@example.com", "four grey petrels").await);
    assert!(signs_in("ada@example.com", "five grey petrels").await);
    site.answer(&["user", "remove", "ADA@example.com"], "");
    assert!(!signs_in("ada@example.com", "five grey petrels").await);
    // Whoever the configuration names comes back, and that is said.
    let output = site.run(&["user", "remove", "admin@example.com"], "");
    assert!(
        words(&output).contains("brings the user back"),
        "{}",
        words(&output)
    );
}

#[tokio::test]
async fn projects_are_added_with_a_first_token() {
    let site = Site::new();
    let metadata = site.metadata().await;
    let dsn = site.answer(&["project", "add", "Mill"], "");
    let token = dsn
        .strip_prefix("http://")
        .unwrap()
        .split('@')
        .next()
        .unwrap();
    let token = petrel_wire::Token::parse(token).unwrap();
    let project = metadata.project_by_token(&token).await.unwrap().unwrap();
    assert_eq!((project.id.0, project.name.as_str()), (2, "Mill"));
    site.answer(&["project", "add", "Till", "--id", "9"], "");
    assert_eq!(
        cells(&site.answer(&["project", "list"], "")),
        [
            vec!["1", "Shop", "1"],
            vec!["2", "Mill", "1"],
            vec!["9", "Till", "1"]
        ]
    );
}

#[tokio::test]
async fn limits_are_set_lifted_and_given_back_beside_the_configuration() {
    let site = Site::new();
    let configured = format!("{}limits: {{ items_per_second: 100 }}\n", site.text());
    std::fs::write(site.file(), configured).unwrap();
    let _metadata = site.metadata().await;
    let limits = |options: &[&str]| {
        let arguments = [&["project", "limits", "1"], options].concat();
        let answer = site.answer(&arguments, "");
        cells(&answer)
            .iter()
            .map(|cells| cells.join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        limits(&[]),
        [
            "bytes_per_second none ",
            "items_per_second 100 configuration",
            "series_per_hour none ",
            "attribute_keys_per_hour none "
        ]
    );
    let set = [
        "--bytes-per-second",
        "20MiB",
        "--items-per-second",
        "none",
        "--series",
        "5",
    ];
    assert_eq!(
        limits(&set)[..3],
        [
            "bytes_per_second 20971520 project limits",
            "items_per_second none project limits",
            "series_per_hour 5 project limits"
        ]
    );
    let back = limits(&["--items-per-second", "default"]);
    assert_eq!(back[1], "items_per_second 100 configuration");
}

#[tokio::test]
async fn what_cannot_be_done_says_what_to_do() {
    let site = Site::new();
    let _metadata = site.metadata().await;
    for (arguments, input, words) in [
        (
            &["project", "add", "Other", "--id", "1"][..],
            "",
            "`project list`",
        ),
        (&["token", "add", "7"], "", "there is no project 7"),
        (&["token", "revoke", "1", "zzz"], "", "`token list 1`"),
        (&["token", "revoke", "1", ""], "", "`token list 1`"),
        (
            &["project", "limits", "7", "--series", "1"],
            "",
            "there is no project 7",
        ),
        (&["user", "add", "ada"], "", "not an e-mail address"),
        (
            &["user", "add", "ada@example.com"],
            "short\n",
            "at least 12 characters",
        ),
        (
            &["user", "add", "ada@example.com"],
            "",
            "at least 12 characters",
        ),
        (&["user", "add", "admin@example.com"], "", "`user passwd`"),
        (
            &["user", "add", "ada@example.com", "--project", "7"],
            "",
            "there is no project 7",
        ),
        (&["user", "passwd", "ada@example.com"], "", "`user list`"),
        (&["user", "remove", "ada@example.com"], "", "`user list`"),
    ] {
        let said = site.refusal(arguments, input);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    std::fs::write(site.file(), "data_dir: /nowhere/data\n").unwrap();
    let said = site.refusal(&["user", "list"], "");
    assert!(said.contains("/nowhere/data is not there"), "{said}");
}

#[test]
fn files_of_another_user_are_left_alone() {
    let site = Site::new();
    // Only root can give a directory away, and only root makes this mistake.
    if std::os::unix::fs::chown(site.dir.path(), Some(1), Some(1)).is_err() {
        return;
    }
    let said = site.refusal(&["project", "list"], "");
    assert!(said.contains("belongs to the user with number 1"), "{said}");
    assert!(!Path::new(&site.dir.path().join("meta.sqlite")).exists());
}
