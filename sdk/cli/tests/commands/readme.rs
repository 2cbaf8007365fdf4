//! The READMEs of the SDKs, walked from an empty directory: every command in them is run.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::repository;

/// The code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let parts = text.split(&open).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// Runs lines as someone who types them; what they print.
fn types(dir: &Path, petrel: &Path, lines: &str) -> String {
    let script = format!("set -eu; PATH={}:$PATH\n{lines}", petrel.display());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir)
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("bash runs");
    let (out, notes) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{lines}\n{out}\n{notes}");
    out.into_owned()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_newcomer_gets_from_an_empty_directory_to_a_running_processor() {
    let readme = fs::read_to_string(repository("sdk/rust/README.md")).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let bin = empty.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_petrel"), bin.join("petrel")).unwrap();

    let said = types(empty.path(), &bin, "petrel plugin new shout");
    assert!(said.contains("cd shout\n"), "{said}");
    let plugin = empty.path().join("shout");
    let code = fs::read_to_string(plugin.join("src/lib.rs")).unwrap();
    let shown = blocks(&readme, "rust").concat();
    assert!(
        code.ends_with(&shown),
        "the README shows another processor:\n{shown}"
    );

    let mut said = Vec::new();
    for lines in blocks(&readme, "sh") {
        // The compiler's target is there already, and the plugin was just made.
        if !lines.contains("rustup target add") && !lines.contains("plugin new") {
            said.push(types(&plugin, &bin, &lines));
        }
    }
    let said = said.concat();
    for part in [
        "ok     first\n1 case\n",
        "shout 0.1.0 -> ",
        "read+write   record     attributes greeting",
        "\"HELLO\"",
    ] {
        assert!(said.contains(part), "{part} was not said:\n{said}");
    }
    development_shows_what_a_change_does(&plugin);
}

/// Downloads some 400 MB of tools: `make test-javascript`.
#[test]
#[ignore = "needs the tools for JavaScript, 400 MB from npm"]
fn a_newcomer_with_javascript_gets_there_as_well() {
    let readme = fs::read_to_string(repository("sdk/javascript/README.md")).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let bin = empty.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_petrel"), bin.join("petrel")).unwrap();

    let mut blocks_sh = blocks(&readme, "sh").into_iter();
    types(empty.path(), &bin, &blocks_sh.next().unwrap());
    let plugin = empty.path().join("shout");
    let code = fs::read_to_string(plugin.join("src/plugin.js")).unwrap();
    let shown = blocks(&readme, "js").concat();
    assert!(
        code.ends_with(&shown),
        "the README shows another processor:\n{shown}"
    );

    let said: String = blocks_sh
        .map(|lines| types(&plugin, &bin, &lines))
        .collect();
    for part in ["ok     first\n1 case\n", "shout 0.1.0 -> ", "\"HELLO\""] {
        assert!(said.contains(part), "{part} was not said:\n{said}");
    }
    // An operator reads what was thrown, and nothing was imported but what is used.
    let refused = types(
        &plugin,
        &bin,
        "! petrel plugin run dist/shout.wasm 2>&1 < /dev/null",
    );
    assert!(
        refused.contains("config.keys must be a list; name an attribute"),
        "{refused}"
    );
}

fn development_shows_what_a_change_does(plugin: &Path) {
    let mut dev = Killed(
        Command::new(env!("CARGO_BIN_EXE_petrel"))
            .args(["plugin", "dev"])
            .current_dir(plugin)
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
