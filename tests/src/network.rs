//! A network of its own for one test, whose packets get lost and whose bandwidth is small: what a
//! relay in user space cannot do, since it only ever sees what TCP has already mended.
//!
//! The test runs itself again in a new network namespace (`unshare(1)`), in which there is nothing
//! but loopback; the namespace is gone with it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

const INSIDE: &str = "PETREL_NETWORK_OF_ITS_OWN";

/// Loopback, and nobody else on it.
#[derive(Debug)]
pub struct Network(());

/// Runs `job` in a network of its own. `test` is the full name of the test that calls this.
///
/// # Errors
/// Not as root, or without iproute2 or nftables; whatever fails inside.
pub fn of_its_own(
    test: &str,
    job: impl FnOnce(&Network) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if is_inside() {
        // Packets of the size that they have outside, one by one: a loss must not be 64 KiB at once.
        run(Command::new("ip").args([
            "link",
            "set",
            "lo",
            "mtu",
            "1500",
            "gso_max_size",
            "1500",
            "gso_max_segs",
            "1",
            "up",
        ]))?;
        return job(&Network(()));
    }
    let output = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .context("cannot start unshare(1)")?;
    let said = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(
        output.status.success() && said.contains("1 passed"),
        "{test} in a network of its own:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how the test finds out which of the two it is"
)]
fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// What a link does to those who use it.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Packets of a hundred that get lost, either way.
    pub loss_percent: u32,
    /// What passes either way together, in kbit/s.
    pub kilobits: u32,
}

impl Network {
    /// From now on all that goes to and from `port` meets this link.
    pub fn degrade(&self, port: u16, link: Link) -> anyhow::Result<()> {
        let Link {
            loss_percent,
            kilobits,
        } = link;
        let tc = |words: String| run(Command::new("tc").args(words.split(' ')));
        tc("qdisc replace dev lo root handle 1: htb default 10".to_owned())?;
        tc("class add dev lo parent 1: classid 1:10 htb rate 10gbit quantum 60000".to_owned())?;
        tc(format!(
            "class add dev lo parent 1: classid 1:20 htb rate {kilobits}kbit burst 4k quantum 1500"
        ))?;
        let rules = format!(
            r#"table inet weather {{
                 counter up {{ }}
                 chain out {{
                   type filter hook output priority 0;
                   tcp dport {port} meta priority set "1:20"
                   tcp sport {port} meta priority set "1:20"
                 }}
                 chain in {{
                   type filter hook input priority 0;
                   tcp dport {port} counter name up
                   tcp dport {port} numgen random mod 100 < {loss_percent} drop
                   tcp sport {port} numgen random mod 100 < {loss_percent} drop
                 }}
               }}"#
        );
        let mut nft = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start nft(8): is nftables installed?")?;
        let mut stdin = nft.stdin.take().context("a pipe")?;
        stdin.write_all(rules.as_bytes())?;
        drop(stdin);
        anyhow::ensure!(nft.wait()?.success(), "nft refused {rules}");
        Ok(())
    }

    /// Bytes that were sent towards the port since then, headers and repeats and what got lost.
    pub fn sent(&self) -> anyhow::Result<u64> {
        let output = Command::new("nft")
            .args(["-j", "list", "counter", "inet", "weather", "up"])
            .output()?;
        let listed: Value = serde_json::from_slice(&output.stdout)?;
        let counters = listed["nftables"].as_array().context("a list")?;
        let bytes = counters
            .iter()
            .find_map(|entry| entry["counter"]["bytes"].as_u64());
        bytes.context("no counter")
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
