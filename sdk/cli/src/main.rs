//! `petrel`: the developer's verbs.
//!
//! One verb a file under `plugin/`; this file is the arguments and the exit code.

mod plugin;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, inspect and test what you add to Petrel.
#[derive(Debug, Parser)]
#[command(name = "petrel", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// WASM processors.
    #[command(subcommand)]
    Plugin(PluginVerb),
}

#[derive(Debug, Subcommand)]
enum PluginVerb {
    /// Build a Rust plugin into a component that agent and aggregator can load.
    Build {
        /// The directory with the plugin's Cargo.toml.
        dir: PathBuf,
        /// Where the component goes; default: NAME.wasm in the plugin's target directory.
        #[arg(short, long)]
        output: Option<PathBuf>,
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

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command's answer"
)]
fn main() -> ExitCode {
    let Verb::Plugin(verb) = Arguments::parse().verb;
    let answer = match verb {
        PluginVerb::Build { dir, output } => plugin::build::run(&dir, output.as_deref()),
        PluginVerb::Inspect { file, config } => plugin::inspect::run(&file, &config),
    };
    match answer {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("petrel: {error:#}");
            ExitCode::FAILURE
        }
    }
}
