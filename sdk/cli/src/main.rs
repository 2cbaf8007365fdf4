//! `petrel`: the developer's verbs.
//!
//! One verb a file under `plugin/`; this file is the arguments and the exit code.

mod capture;
mod plugin;
mod scrub;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand};

use plugin::diff::Paint;

/// Make, build, inspect and test what you add to Petrel.
#[derive(Debug, Parser)]
#[command(name = "petrel", version, about)]
struct Arguments {
    /// Whether differences are coloured.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    #[arg(long, hide = true, global = true, env = "NO_COLOR")]
    no_color: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write down what comes into the agent on this machine, as it comes, for `plugin run`, `diff` and cases.
    /// The agent must allow it: `admin: { capture: true }`.
    Capture {
        /// Its admin.endpoint.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:14319")]
        admin: String,
        /// For how long.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Replace values by others of their shape: nothing that anybody sent is in the file.
        #[arg(long)]
        scrub: bool,
        /// Where it goes: one request in OTLP/JSON a line.
        #[arg(short, long, default_value = "capture.otlp.json")]
        output: PathBuf,
    },
    /// WASM processors.
    #[command(subcommand)]
    Plugin(PluginVerb),
}

#[derive(Debug, Subcommand)]
enum PluginVerb {
    /// Make a directory with a plugin that builds, runs and has a test.
    New {
        /// Its name, and the directory's: lower-case letters, digits and dashes.
        name: String,
        /// What to write it in.
        #[arg(long, value_enum, default_value_t = plugin::new::Language::Rust)]
        lang: plugin::new::Language,
        /// Depend on the SDK in this directory; default: a copy of it goes into the plugin's vendor/.
        #[arg(long)]
        sdk: Option<PathBuf>,
    },
    /// Build a plugin into a component that agent and aggregator can load.
    Build {
        /// The plugin's directory.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Where the component goes; default: NAME.wasm in the plugin's target directory.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Build a plugin and run its golden cases in the host: cases/*/input.otlp.json and config.json
    /// go in, expected.otlp.json must come out.
    Test {
        /// The plugin's directory.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Run this component instead of building one.
        #[arg(long)]
        component: Option<PathBuf>,
        /// Write what comes out as what is expected.
        #[arg(long)]
        update: bool,
    },
    /// Run a component over OTLP: requests on standard input, what the agent would pass on comes out.
    Run {
        /// The component.
        file: PathBuf,
        /// JSON for `configure`, as under `config:` in agent.yaml.
        #[arg(long, default_value = "{}")]
        config: String,
        /// The signal of a protobuf request; JSON says its own.
        #[arg(long, value_enum)]
        signal: Option<plugin::otlp::SignalName>,
        /// Indented JSON instead of a line for each request.
        #[arg(long)]
        pretty: bool,
    },
    /// Run two components over the same requests on standard input and show where they answer differently.
    Diff {
        /// The component that is in use.
        old: PathBuf,
        /// The one that shall take its place.
        new: PathBuf,
        /// JSON for `configure`, as under `config:` in agent.yaml.
        #[arg(long, default_value = "{}")]
        config: String,
        /// The signal of a protobuf request; JSON says its own.
        #[arg(long, value_enum)]
        signal: Option<plugin::otlp::SignalName>,
    },
    /// Watch a plugin: build it whenever it changes, run its cases and show what it edits.
    Dev {
        /// The plugin's directory.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Measure what a plugin costs, by the size of the batch: time and fuel for a record, memory,
    /// compiling, starting. Exits with 1 if it is worse than budget.toml in its directory says.
    Bench {
        /// The plugin's directory.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Measure this component instead of building one.
        #[arg(long)]
        component: Option<PathBuf>,
        /// Write budget.toml, with room to spare.
        #[arg(long)]
        update: bool,
        /// Compare only what is the same on every machine: fuel and memory.
        #[arg(long)]
        no_times: bool,
        /// Measure times with the interpreter (`engine: interpreter`), and compare none.
        #[arg(long)]
        interpreter: bool,
    },
    /// Give a plugin requests that nobody wrote, until one is too much for it; the smallest such one
    /// becomes a case that `test` runs.
    Fuzz {
        /// The plugin's directory.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Try this component instead of building one.
        #[arg(long)]
        component: Option<PathBuf>,
        /// Make the same requests again; it is printed each time.
        #[arg(long)]
        seed: Option<u64>,
        /// How many requests each configuration of the plugin's cases is tried with.
        #[arg(long, default_value_t = 500)]
        requests: usize,
    },
    /// Make a pair of keys: NAME.key, which signs plugins, and NAME.pub, which agents and aggregators
    /// check signatures with.
    Keygen {
        /// Whose they are; may be a path.
        name: PathBuf,
    },
    /// Vouch for a component: writes FILE.sig beside it, over its digest, name, version and contract.
    Sign {
        /// The component.
        file: PathBuf,
        /// The secret key: NAME.key of keygen.
        #[arg(long)]
        key: PathBuf,
    },
    /// Check FILE.sig.
    Verify {
        /// The component.
        file: PathBuf,
        /// The public key: ed25519:..., or the file NAME.pub of keygen.
        #[arg(long)]
        key: String,
    },
    /// Say what a component is, what it may do and what it asks to see.
    Inspect {
        /// The component.
        file: PathBuf,
        /// JSON for `configure`, as under `config:` in agent.yaml.
        #[arg(long, default_value = "{}")]
        config: String,
    },
}

/// What a verb has to say.
#[derive(Debug, Default)]
struct Answer {
    /// For standard output.
    out: Vec<u8>,
    /// For people, on standard error.
    notes: String,
    /// It did what it should, and what it found is bad news.
    failed: bool,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self {
            out: (text + "\n").into_bytes(),
            ..Self::default()
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let paint = arguments.paint();
    let verb = match arguments.verb {
        Verb::Plugin(verb) => verb,
        Verb::Capture {
            admin,
            seconds,
            scrub,
            output,
        } => {
            let options = capture::Options {
                admin,
                seconds,
                scrub,
                output,
            };
            return finish(capture::run(&options).map(Answer::from));
        }
    };
    let mut out = std::io::stdout();
    finish(match verb {
        PluginVerb::New { name, lang, sdk } => {
            plugin::new::run(&name, lang, sdk.as_deref()).map(Answer::from)
        }
        PluginVerb::Build { dir, output } => {
            plugin::build::run(&dir, output.as_deref()).map(|built| Answer::from(built.to_string()))
        }
        PluginVerb::Test {
            dir,
            component,
            update,
        } => plugin::test::run(&dir, component.as_deref(), update, paint),
        PluginVerb::Run {
            file,
            config,
            signal,
            pretty,
        } => plugin::run::run(&file, &config, signal, pretty),
        PluginVerb::Diff {
            old,
            new,
            config,
            signal,
        } => plugin::compare::run(&old, &new, &config, signal, paint),
        PluginVerb::Dev { dir } => {
            plugin::dev::run(&dir, paint, &mut out).map(|()| Answer::default())
        }
        PluginVerb::Bench {
            dir,
            component,
            update,
            no_times,
            interpreter,
        } => plugin::bench::run(&plugin::bench::Options {
            dir,
            component,
            update,
            times: !no_times && !interpreter,
            interpreter,
        }),
        PluginVerb::Fuzz {
            dir,
            component,
            seed,
            requests,
        } => plugin::fuzz::run(&plugin::fuzz::Options {
            dir,
            component,
            seed,
            requests,
        }),
        PluginVerb::Keygen { name } => plugin::signing::keygen(&name).map(Answer::from),
        PluginVerb::Sign { file, key } => plugin::signing::sign(&file, &key).map(Answer::from),
        PluginVerb::Verify { file, key } => plugin::signing::verify(&file, &key).map(Answer::from),
        PluginVerb::Inspect { file, config } => {
            plugin::inspect::run(&file, &config).map(Answer::from)
        }
    })
}

fn finish(answer: anyhow::Result<Answer>) -> ExitCode {
    let (mut out, mut notes) = (std::io::stdout(), std::io::stderr());
    match answer {
        // A reader that goes away (`| head`) is no failure of ours.
        Ok(answer) => {
            notes.write_all(answer.notes.as_bytes()).ok();
            out.write_all(&answer.out).and_then(|()| out.flush()).ok();
            ExitCode::from(u8::from(answer.failed))
        }
        Err(error) => {
            writeln!(notes, "petrel: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn paint(&self) -> Paint {
        match self.color {
            ColorChoice::Always => Paint::On,
            ColorChoice::Auto if self.no_color.is_none() && std::io::stdout().is_terminal() => {
                Paint::On
            }
            _ => Paint::Off,
        }
    }
}
