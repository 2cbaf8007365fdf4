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
    /// Looks for the target, asks rustup for it, then looks for Debian's packages.
    pub(crate) fn find() -> anyhow::Result<Self> {
        if has_target() || (rustup_adds_target() && has_target()) {
            return Ok(Self::Installed);
        }
        let linker = LINKERS.into_iter().find(|linker| runs(linker));
        let sources = DEBIAN_SOURCES.iter().any(|path| Path::new(path).exists());
        match linker {
            Some(linker) if sources && Path::new(DEBIAN_RUSTC).exists() => {
                Ok(Self::Debian { linker })
            }
            _ => bail!("{}", remedy()),
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

fn has_target() -> bool {
    Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .is_some_and(|directory| Path::new(directory.trim()).is_dir())
}

fn rustup_adds_target() -> bool {
    Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
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
fn remedy() -> String {
    let command = if Path::new("/usr/bin/apt-get").exists() {
        "apt-get install -y rustc-web rust-web-src lld-19"
    } else {
        "rustup target add wasm32-unknown-unknown"
    };
    format!("no Rust toolchain here can build for {TARGET}; install one with\n\n    {command}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_a_command_to_copy() {
        let remedy = remedy();
        assert!(remedy.contains("    apt-get install") || remedy.contains("    rustup target add"));
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
