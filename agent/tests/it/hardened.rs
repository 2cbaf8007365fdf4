//! Hosts that forbid executable memory: systemd's `MemoryDenyWriteExecute=yes`.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::harness::{Reply, Seen, Site, until};
use crate::process::{Process, agent};
use crate::processors::secrets;

/// What systemd does on kernels that can (6.3 and later): memory never becomes executable.
#[expect(
    unsafe_code,
    reason = "between fork and exec: one system call, no memory of ours"
)]
fn without_executable_memory(command: &mut Command) -> &mut Command {
    const PR_SET_MDWE: libc::c_int = 65;
    const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    let deny = || {
        // SAFETY: prctl with plain numbers; it touches nothing of this process's memory.
        match unsafe { libc::prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0_u64, 0_u64, 0_u64) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure allocates nothing and takes no lock.
    unsafe { command.pre_exec(deny) }
}

/// Whether this kernel can.
#[expect(
    clippy::print_stdout,
    reason = "who reads the test's output should know"
)]
fn can_forbid() -> bool {
    let can = without_executable_memory(&mut Command::new("true"))
        .status()
        .is_ok();
    if !can {
        println!("SKIPPED: this needs Linux 6.3");
    }
    can
}

fn redact() -> String {
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/redact.wasm");
    format!("processors: [ {{ name: redact, plugin: {plugin}, on_error: closed }} ]\n")
}

#[tokio::test]
async fn with_the_interpreter_an_agent_runs_without_executable_memory() {
    if !can_forbid() {
        return;
    }
    let mut site = Site::with(|_| Reply::Echo).await;
    site.extra = redact() + "plugins: { engine: interpreter }\n";
    let process = Process::start_as(&site, &[], without_executable_memory).await;
    let (status, _) = process.post(&secrets(&["canary91c2".to_owned()])).await;
    assert_eq!(status, 200);
    let mut unpacked = Vec::new();
    until("the peer has it", || {
        unpacked = site.peer.seen().iter().map(Seen::unpacked).collect();
        !unpacked.is_empty()
    })
    .await;
    let has = |needle: &str| {
        let mut windows = unpacked[0].windows(needle.len());
        windows.any(|part| part == needle.as_bytes())
    };
    assert!(has("[redacted]") && !has("canary91c2"));
}

#[tokio::test]
async fn where_machine_code_is_forbidden_the_agent_says_what_to_write() {
    if !can_forbid() {
        return;
    }
    let mut site = Site::with(|_| Reply::Echo).await;
    site.extra = redact();
    let mut command = agent(&["run"], &site.config_file());
    let output = without_executable_memory(&mut command).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("plugins: { engine: interpreter }"),
        "{words}"
    );
}
