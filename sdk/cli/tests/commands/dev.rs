//! `petrel plugin dev`, while somebody writes a processor.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn development_shows_what_a_change_does() {
    let dir = tempfile::tempdir().unwrap();
    let petrel = || Command::new(env!("CARGO_BIN_EXE_petrel"));
    let made = petrel()
        .args(["plugin", "new", "shout"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stdout);
    assert!(said.contains("cd shout\n"), "{said}");
    let plugin = dir.path().join("shout");
    let mut dev = Killed(
        petrel()
            .args(["plugin", "dev"])
            .current_dir(&plugin)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(dev.0.stdout.take().unwrap()).lines();
    let mut round = || {
        let said: Vec<_> = lines
            .by_ref()
            .map(Result::unwrap)
            .take_while(|line| !line.starts_with("watching"))
            .collect();
        said.join("\n")
    };
    let first = round();
    assert!(
        first.contains("- greeting: \"hello\"\n    + greeting: \"HELLO\"\n  as expected"),
        "{first}"
    );
    let source = plugin.join("src/lib.rs");
    let code = fs::read_to_string(&source).unwrap();
    fs::write(&source, code.replace("Some(text.to_uppercase())", "None")).unwrap();
    let second = round();
    assert!(second.contains("no edits\n  not as expected"), "{second}");
    fs::write(&source, "nonsense").unwrap();
    let third = round();
    assert!(
        third.contains("error: cargo could not build shout"),
        "{third}"
    );
}
