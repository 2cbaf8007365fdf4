//! Child processes that are gone when the test ends, and waiting for conditions.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How long the slowest start may take on a busy machine.
pub(crate) const START: Duration = Duration::from_secs(60);

/// The system call at which strace kills a process.
#[derive(Clone, Copy, Debug)]
pub struct DeathAt {
    /// Its name.
    pub call: &'static str,
    /// Counted from one.
    pub nth: u32,
}

impl fmt::Display for DeathAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.call, self.nth)
    }
}

impl DeathAt {
    /// `command`, run by strace.
    pub(crate) fn around(self, command: &Command) -> Command {
        let Self { call, nth } = self;
        let mut strace = Command::new("strace");
        strace
            // Not with --seccomp-bpf: signals that it injects into some threads never arrive.
            .args(["-f", "-qqq", "-o", "/dev/null"])
            .args(["-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:signal=KILL:when={nth}")])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                strace.env(name, value);
            }
        }
        strace
    }
}

/// A child whose output goes to a file; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with both outputs appended to `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Itself, once it is up.
    pub(crate) fn once_up(
        mut self,
        within: Duration,
        what: &str,
        mut is_up: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<Self> {
        let up = wait_until(within, &format!("{}: {what}", self.name), || {
            anyhow::ensure!(self.is_running(), "{} has ended", self.name);
            is_up()
        });
        up.with_context(|| format!("the end of its log:\n{}", self.tail()))?;
        Ok(self)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// `kill -9` for it and whatever it has started; returns once all are gone.
    pub fn kill_with_children(&mut self) -> anyhow::Result<()> {
        let pid = self.pid().to_string();
        let found = Command::new("pgrep").args(["-P", &pid]).output()?;
        let children: Vec<String> = String::from_utf8_lossy(&found.stdout)
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        // Who has ended meanwhile is as good as killed.
        Command::new("pkill").args(["-KILL", "-P", &pid]).status()?;
        self.kill();
        wait_until(START, "its children have gone", || {
            let gone = |child: &String| !Path::new("/proc").join(child).exists();
            Ok(children.iter().all(gone))
        })
    }

    /// SIGTERM; returns the exit code once it has ended by itself.
    pub fn terminate(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        Command::new("kill").arg(self.pid().to_string()).status()?;
        let mut code = None;
        wait_until(within, &format!("{} ends", self.name), || {
            Ok(self
                .child
                .try_wait()?
                .map(|status| code = status.code())
                .is_some())
        })?;
        Ok(code)
    }

    /// Resident memory now, in bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.status_kib("VmRSS:").map(|kib| kib * 1024)
    }

    /// The most resident memory it ever had, in bytes.
    pub fn peak_resident_bytes(&self) -> anyhow::Result<u64> {
        self.status_kib("VmHWM:").map(|kib| kib * 1024)
    }

    fn status_kib(&self, field: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line
            .and_then(|line| line.split_whitespace().next())
            .context("no such field")?;
        Ok(number.parse()?)
    }

    /// User and system time used so far.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        cpu_time_of(&format!("/proc/{}", self.pid()))
    }

    /// The end of its output, for the report of a failed test.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// User and system time of a process or thread, by its directory in `/proc`.
pub fn cpu_time_of(directory: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("{directory}/stat"))?;
    let fields = stat.rsplit_once(')').context("a stat line")?.1;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map_while(|f| f.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux that Rust supports.
    Ok(Duration::from_millis(ticks * 10))
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until it is so. The only wait in the tests: never for time, always for a condition.
#[expect(
    clippy::disallowed_methods,
    reason = "a deadline for a test against real processes"
)]
pub fn wait_until(
    within: Duration,
    what: &str,
    mut holds: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    let mut last = None;
    loop {
        match holds() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => last = Some(error),
        }
        if Instant::now() > deadline {
            let seen = last.map_or(String::new(), |error| format!("; last: {error:#}"));
            anyhow::bail!("waited {within:?} in vain until {what}{seen}");
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// A path of this checkout.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A binary of the workspace, built by the same profile as this test.
///
/// # Panics
/// If it has not been built, with the command that builds it.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test
        .ancestors()
        .find(|dir| dir.join("deps").is_dir())
        .expect("a target folder");
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace --bins`",
        path.display()
    );
    path
}

/// Something that another part of the build makes.
///
/// # Panics
/// If it is missing, with the command that makes it.
pub fn artefact(path: &str) -> PathBuf {
    let path = repository(path);
    assert!(
        path.exists(),
        "{} is missing: run `make {}`",
        path.display(),
        path.display()
    );
    path.canonicalize().expect("an existing path")
}

/// A loopback port that nobody listens on now, and that this process has not been given before. It lies
/// below those that the system gives to whoever connects somewhere.
///
/// # Panics
/// If the machine has no free port.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 12_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at a time begin at different places.
    let begin = std::process::id().wrapping_mul(97);
    let free = PORTS.into_iter().find_map(|_| {
        let next = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + next % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).ok()?;
        let bound = std::net::TcpListener::bind(("127.0.0.1", port));
        bound.is_ok().then_some(port)
    });
    free.expect("a free port")
}

pub(crate) fn metric(port: u16, name: &str) -> anyhow::Result<f64> {
    let (status, text) = get(&format!("http://127.0.0.1:{port}/metrics"))?;
    anyhow::ensure!(status == 200, "/metrics said {status}");
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    let values = lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or("").parse::<f64>()?));
    let values: Vec<f64> = values.collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!values.is_empty(), "there is no metric {name}");
    Ok(values.into_iter().sum())
}

/// A plain GET for waiting: status and body.
pub fn get(url: &str) -> anyhow::Result<(u16, String)> {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "5", "-w", "\n%{http_code}", url])
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("curl prints a status")?;
    Ok((status.parse()?, body.to_owned()))
}
