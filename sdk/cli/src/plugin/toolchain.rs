//! Finding a Rust toolchain that can build for wasm32-unknown-unknown.
//!
//! Where rustup's servers can be reached, that is a target to add. Where they can't, Debian and
//! Ubuntu carry all it takes: `rustc-web`, its sources to build the standard library from, and
//! LLVM's linker.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::bail;

/// What guests are compiled for: no operating system, nothing imported but what the plugin names.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCES: [&str; 2] = [
    "/usr/src/rustc-web",
    "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
];
const LINKERS: [&str; 4] = ["wasm-ld", "wasm-ld-19", "wasm-ld-20", "wasm-ld-18"];

/// A way to build for [`TARGET`] on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The toolchain in use has the target's standard library.
    Installed,
    /// Debian's compiler, which builds the standard library from Debian's sources.
    Debian {
        /// The linker's command.
        linker: &'static str,
    },
}

impl Toolchain {
    /// Looks for the target, asks rustup for it, then looks for Debian's packages. `dir` is the
    /// plugin's: rustup may have been told to use another toolchain there.
    pub(crate) fn find(dir: &Path) -> anyhow::Result<Self> {
        if has_target(dir) {
            return Ok(Self::Installed);
        }
        let rustup = rustup_adds_target(dir);
        if rustup == Rustup::Added && has_target(dir) {
            return Ok(Self::Installed);
        }
        let linker = LINKERS.into_iter().find(|linker| runs(linker));
        let sources = DEBIAN_SOURCES.iter().any(|path| Path::new(path).exists());
        match linker {
            Some(linker) if sources && Path::new(DEBIAN_RUSTC).exists() => {
                Ok(Self::Debian { linker })
            }
            _ => bail!(
                "{}",
                remedy(&rustup, Path::new("/usr/bin/apt-get").exists())
            ),
        }
    }

    /// `cargo build` with all that this toolchain needs.
    pub(crate) fn cargo_build(self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--target", TARGET]);
        // The guest's own: what the host's build was told is not meant for it.
        cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
        if let Self::Debian { linker } = self {
            cargo
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTC", DEBIAN_RUSTC)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        cargo
    }
}

fn has_target(dir: &Path) -> bool {
    Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(dir)
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .is_some_and(|directory| Path::new(directory.trim()).is_dir())
}

/// What became of asking rustup for the target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rustup {
    Missing,
    Added,
    /// Its words.
    Failed(String),
}

fn rustup_adds_target(dir: &Path) -> Rustup {
    let mut rustup = Command::new("rustup");
    match rustup
        .args(["target", "add", TARGET])
        .current_dir(dir)
        .output()
    {
        Err(_) => Rustup::Missing,
        Ok(output) if output.status.success() => Rustup::Added,
        Ok(output) => Rustup::Failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn runs(command: &str) -> bool {
    Command::new(command)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The one command that helps here.
fn remedy(rustup: &Rustup, apt: bool) -> String {
    let (what, command) = match rustup {
        Rustup::Failed(words) => (
            format!(
                "rustup could not add {TARGET} ({words}); where its servers can be reached, run"
            ),
            format!("rustup target add {TARGET}"),
        ),
        _ if apt => (
            format!("no Rust toolchain here can build for {TARGET}; install one with"),
            "apt-get install -y rustc-web rust-web-src lld-19".into(),
        ),
        _ => (
            format!("no Rust toolchain here can build for {TARGET}; install one with"),
            format!(
                "curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y --target {TARGET}"
            ),
        ),
    };
    format!("{what}\n\n    {command}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_a_command_to_copy() {
        let failed = Rustup::Failed("error: no such host".into());
        let words = remedy(&failed, true);
        assert!(words.contains("no such host"), "{words}");
        assert!(words.contains("\n    rustup target add wasm32-unknown-unknown\n"));
        assert!(remedy(&Rustup::Missing, true).contains("\n    apt-get install -y rustc-web"));
        let words = remedy(&Rustup::Missing, false);
        assert!(words.contains("sh.rustup.rs | sh -s -- -y --target wasm32-unknown-unknown"));
    }

    #[test]
    fn the_debian_toolchain_builds_the_standard_library_itself() {
        let cargo = Toolchain::Debian {
            linker: "wasm-ld-19",
        }
        .cargo_build();
        assert!(
            cargo
                .get_args()
                .any(|argument| argument == "-Zbuild-std=std,panic_abort")
        );
        assert!(cargo.get_envs().any(|(name, _)| name == "RUSTC_BOOTSTRAP"));
    }
}
