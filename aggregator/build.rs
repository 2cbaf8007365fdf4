//! Makes sure that the folder of the built UI exists (it may be empty: the binary then serves a
//! page that says how to build it), and rebuilds when the UI or the migrations change.

use std::path::Path;

fn main() -> std::io::Result<()> {
    // Cargo reruns a script for ever whose watched path does not exist.
    std::fs::create_dir_all(Path::new("ui/dist"))?;
    for path in ["ui/dist", "migrations/metadata", "build.rs"] {
        let line = format!("cargo:rerun-if-changed={path}\n");
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    }
    Ok(())
}
