//! The processors we ship, with their golden cases, in the host.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::repository;

/// Their directories.
pub(crate) fn plugins() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository("plugins")).unwrap();
    let mut plugins: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    plugins.retain(|path| path.join("Cargo.toml").is_file());
    plugins.sort();
    assert!(plugins.len() > 1);
    plugins
}

#[test]
fn every_processor_that_we_ship_does_what_its_cases_say() {
    for plugin in plugins() {
        let name = plugin.file_name().unwrap().to_str().unwrap();
        let component = repository(&format!("target/plugins/{name}.wasm"));
        assert!(
            component.exists(),
            "{name} is not built; run: cargo run -p petrel-cli -- plugin build plugins/{name} -o target/plugins/{name}.wasm"
        );
        let output = Command::new(env!("CARGO_BIN_EXE_petrel"))
            .args(["plugin", "test"])
            .arg(&plugin)
            .arg("--component")
            .arg(&component)
            .output()
            .unwrap();
        let (out, notes) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{name}\n{out}\n{notes}");
    }
}
