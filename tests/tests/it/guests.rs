//! A processor in every language that has an SDK, as its README tells it: from an empty directory,
//! by the commands that stand there, into an agent with the configuration that stands there, and at
//! last a look at what arrives.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use petrel_tests::edge::EdgeOptions;
use petrel_tests::process::{binary, repository, wait_until};
use petrel_tests::site::Site;
use petrel_tests::telemetry::{Ids, Resource, SpanDraft, traces_request};
use tempfile::TempDir;

/// A whole language's engine is compiled when its processor is first loaded.
const LOADED: Duration = Duration::from_secs(600);
const ARRIVES: Duration = Duration::from_secs(30);

#[test]
fn a_newcomer_with_rust_gets_to_a_running_processor() -> anyhow::Result<()> {
    let newcomer = Newcomer::follow("sdk/rust/README.md")?;
    newcomer.wrote("rust", "src/lib.rs")?;
    newcomer.heard(&["read+write   record     attributes greeting"])?;
    newcomer.runs_it()
}

#[test]
fn a_newcomer_with_javascript_gets_there_as_well() -> anyhow::Result<()> {
    let newcomer = Newcomer::follow("sdk/javascript/README.md")?;
    newcomer.wrote("js", "src/plugin.js")?;
    newcomer.heard(&[
        "read+write   record     attributes greeting",
        "limits: { component_bytes: 12MiB }",
    ])?;
    // An operator reads what was thrown.
    let refused = newcomer.types("! petrel plugin run dist/shout.wasm 2>&1 < /dev/null")?;
    anyhow::ensure!(
        refused.contains("config.keys must be a list; name an attribute"),
        "{refused}"
    );
    newcomer.runs_it()?;
    newcomer.goes_on("js", "sdk/javascript/example", "src")
}

#[test]
fn a_newcomer_with_go_gets_there_with_nothing_but_go() -> anyhow::Result<()> {
    let newcomer = Newcomer::follow("sdk/go/README.md")?;
    newcomer.wrote("go", "main.go")?;
    newcomer.heard(&["read+write   record     attributes greeting"])?;
    newcomer.runs_it()?;
    newcomer.goes_on("go", "sdk/go/example", ".")
}

#[test]
fn a_newcomer_with_python_gets_there_too() -> anyhow::Result<()> {
    let newcomer = Newcomer::follow("sdk/python/README.md")?;
    newcomer.wrote("python", "src/plugin.py")?;
    newcomer.heard(&["read+write   record     attributes greeting"])?;
    newcomer.runs_it()?;
    newcomer.goes_on("python", "sdk/python/example", "src")
}

/// Somebody with a README and an empty directory.
struct Newcomer {
    readme: String,
    dir: TempDir,
    heard: String,
}

impl Newcomer {
    /// Runs all that the README at `path` says to run.
    fn follow(path: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let bin = dir.path().join("bin");
        fs::create_dir(&bin)?;
        symlink(binary("petrel"), bin.join("petrel"))?;
        let mut newcomer = Self {
            readme: fs::read_to_string(repository(path))?,
            dir,
            heard: String::new(),
        };
        for lines in blocks(&newcomer.readme, "sh") {
            // The compiler's target is there already: tests install nothing for the whole machine.
            if !lines.contains("rustup target add") {
                let said = newcomer.types(&lines)?;
                newcomer.heard += &said;
            }
        }
        newcomer.heard(&["ok     first\n1 case\n", " -> ", "\"HELLO\""])?;
        Ok(newcomer)
    }

    fn plugin(&self) -> PathBuf {
        self.dir.path().join("shout")
    }

    /// Runs lines as somebody who types them, in the plugin's directory once there is one.
    fn types(&self, lines: &str) -> anyhow::Result<String> {
        let bin = self.dir.path().join("bin");
        let script = format!("set -eu; PATH={}:$PATH\n{lines}", bin.display());
        let plugin = self.plugin();
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(if plugin.exists() {
                &plugin
            } else {
                self.dir.path()
            })
            .env_remove("CARGO_TARGET_DIR")
            .output()?;
        let (out, notes) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        anyhow::ensure!(output.status.success(), "{lines}\n{out}\n{notes}");
        Ok(out.into_owned())
    }

    /// Writes the README's second processor, of the files in `example`, into `sources`. It counts, keeps
    /// state from batch to batch, and holds spans until it has decided about their traces.
    fn goes_on(&self, language: &str, example: &str, sources: &str) -> anyhow::Result<()> {
        // What the first one did not use, no operator was asked for.
        self.heard(&["may use      nothing\n"])?;
        let plugin = self.plugin();
        let mut written = Vec::new();
        for entry in fs::read_dir(repository(example))? {
            let entry = entry?;
            if entry.path().is_file() {
                written.push(fs::read_to_string(entry.path())?);
                fs::copy(entry.path(), plugin.join(sources).join(entry.file_name()))?;
            }
        }
        let shown = blocks(&self.readme, language).split_off(1);
        anyhow::ensure!(!shown.is_empty(), "the README shows one processor only");
        for block in shown {
            let is_it = written.iter().any(|code| code.ends_with(&block));
            anyhow::ensure!(is_it, "{example} is not what the README shows:\n{block}");
        }
        let case = plugin.join("cases/lookout");
        fs::create_dir(&case)?;
        for entry in fs::read_dir(repository("tests/tests/it/lookout"))? {
            let entry = entry?;
            fs::copy(entry.path(), case.join(entry.file_name()))?;
        }
        let config = fs::read_to_string(case.join("config.json"))?;
        fs::remove_dir_all(plugin.join("cases/first"))?;
        let said = self.types("petrel plugin test")?;
        anyhow::ensure!(said == "ok     lookout\n1 case\n", "{said}");
        let papers = format!("petrel plugin inspect dist/shout.wasm --config '{config}'");
        let papers = self.types(&papers)?;
        let granted = "may use      metrics (counts of its own, with labels from what it reads), state (up to \
                       1 MiB that survives restarts)\n";
        anyhow::ensure!(papers.contains(granted), "{papers}");
        Ok(())
    }

    /// The code that the README shows first is the code that was made.
    fn wrote(&self, language: &str, file: &str) -> anyhow::Result<()> {
        let code = fs::read_to_string(self.plugin().join(file))?;
        let shown = blocks(&self.readme, language);
        let shown = shown.first().context("the README shows no processor")?;
        anyhow::ensure!(
            code.ends_with(shown),
            "the README shows another processor:\n{shown}"
        );
        Ok(())
    }

    fn heard(&self, parts: &[&str]) -> anyhow::Result<()> {
        for part in parts {
            let heard = &self.heard;
            anyhow::ensure!(heard.contains(part), "{part} was not said:\n{heard}");
        }
        Ok(())
    }

    /// Gives the processor to an agent, as the README says, and looks at what it does there.
    fn runs_it(&self) -> anyhow::Result<()> {
        let configuration = blocks(&self.readme, "yaml").concat();
        let configuration = configuration.replace("/path/to/shout", path(&self.plugin())?);
        let options = EdgeOptions {
            redact: false,
            ..EdgeOptions::default()
        };
        let mut site = Site::configure(&options)?;
        let file = site.edge.config();
        let written = fs::read_to_string(&file)? + &configuration;
        fs::write(file, written)?;
        site.central.start()?;
        site.edge.start_within(LOADED)?;

        let mut ids = Ids::seeded(7);
        let trace = ids.trace();
        let span = SpanDraft::server(&mut ids, trace, "GET /").with("greeting", "hello");
        let request = traces_request(&[(Resource::new("shop"), vec![span])]);
        let body = self.dir.path().join("request");
        fs::write(&body, request)?;
        let door = format!("http://127.0.0.1:{}/v1/traces", site.edge.http_port);
        let sent = Command::new("curl")
            .args(["-sS", "--fail-with-body", "--data-binary"])
            .arg(format!("@{}", path(&body)?))
            .args(["-H", "content-type: application/x-protobuf", &door])
            .output()?;
        anyhow::ensure!(sent.status.success(), "the agent refused: {sent:?}");

        let greeting = "SELECT attributes['greeting'] FROM spans WHERE service_name = 'shop'";
        wait_until(ARRIVES, "the span is stored", || {
            Ok(!site.sql(greeting)?.is_empty())
        })?;
        assert_eq!(site.sql(greeting)?, [["HELLO"]]);
        Ok(())
    }
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// The code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let parts = text.split(&open).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap_or_default().to_owned())
        .collect()
}
