//! `petrel-aggregator`: the command line. Everything it does is in the library.
//!
//! Exit codes: 0 done, 1 failed, 64 the configuration (or the command line) is wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use petrel_aggregator::{
    config::{Config, ConfigError, Loaded},
    manage, memory, pipeline, telemetry,
};

/// For wrong configuration and wrong usage, as BSD's sysexits has it.
const EX_USAGE: u8 = 64;

/// Takes OpenTelemetry data, stores it in ClickHouse exactly once, and shows it.
#[derive(Debug, Parser)]
#[command(name = "petrel-aggregator", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the aggregator until SIGTERM or Ctrl-C.
    Serve(Configured),
    /// Say what is wrong with a configuration file, and which keys have no effect yet.
    Check(Configured),
    /// Ask the store of a running aggregator, read-only. Tables: spans, logs, points.
    Sql {
        #[command(flatten)]
        sql: petrel_aggregator::sql::SqlArgs,
        #[command(flatten)]
        configured: Configured,
    },
    /// Who may look: add, list, change and remove users.
    User(Managed<manage::UserCommand>),
    /// What data belongs to: add and list projects.
    Project(Managed<manage::ProjectCommand>),
    /// What senders show: add, list and revoke the tokens of a project.
    Token(Managed<manage::TokenCommand>),
    /// Put the batches of an archive (`petrel-agent spool export`) into the journal. The aggregator
    /// must be stopped, and stores them when it starts; what it knows already is recognised by its id.
    Import {
        #[command(flatten)]
        import: petrel_aggregator::import::ImportArgs,
        #[command(flatten)]
        configured: Configured,
    },
    /// The embedded ClickHouse; `serve` starts it by itself.
    #[command(hide = true)]
    Engine(petrel_aggregator::engine::EngineArgs),
}

#[derive(Debug, clap::Args)]
struct Managed<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Debug, clap::Args)]
struct Configured {
    /// The configuration file: petrel.yml, or the uptrace.yml of an Uptrace.
    #[arg(long, short, value_name = "FILE", env = "PETREL_CONFIG", global = true)]
    config: Option<PathBuf>,
}

impl Configured {
    /// `--config`, `PETREL_CONFIG`, `UPTRACE_CONFIG`, or where packages put it.
    fn load(self) -> Result<(PathBuf, Loaded), ConfigError> {
        let path = self
            .config
            .or_else(|| petrel_aggregator::config::environment("UPTRACE_CONFIG").map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from("/etc/petrel/petrel.yml"));
        let loaded = Config::load(&path)?;
        Ok((path, loaded))
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(why) => {
            let code = if why.use_stderr() { EX_USAGE } else { 0 };
            return match why.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("{why:#}"));
            if why.is::<ConfigError>() {
                ExitCode::from(EX_USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(configured) => {
            memory::bound_heaps();
            let (_, loaded) = configured.load()?;
            telemetry::start(&loaded.config.log_level);
            allow_descriptors();
            for notice in &loaded.notices {
                tracing::warn!("configuration, {notice}");
            }
            runtime()?.block_on(pipeline::serve(loaded.config))
        }
        Command::Check(configured) => {
            let (path, Loaded { notices, .. }) = configured.load()?;
            for notice in notices {
                say(&format!("{}, {notice}", path.display()));
            }
            say(&format!("{} is good", path.display()));
            Ok(())
        }
        Command::Sql { sql, configured } => {
            let (_, loaded) = configured.load()?;
            Ok(runtime()?.block_on(petrel_aggregator::sql::run(&loaded.config, &sql))?)
        }
        Command::User(user) => managed(user.configured, user.command.into()),
        Command::Project(project) => managed(project.configured, project.command.into()),
        Command::Token(token) => managed(token.configured, token.command.into()),
        Command::Import { import, configured } => {
            let (_, loaded) = configured.load()?;
            let done =
                runtime()?.block_on(petrel_aggregator::import::run(&loaded.config, &import))?;
            say(&format!(
                "{} batches are in the journal, {} were known",
                done.stored, done.known
            ));
            anyhow::ensure!(
                done.conflicting == 0,
                "{} batches were not imported: their numbers are known with other contents, perhaps of a \
                 cloned machine. `petrel-agent spool import` puts the archive into an agent's spool, which \
                 sends them under new numbers",
                done.conflicting
            );
            Ok(())
        }
        Command::Engine(engine) => Ok(petrel_aggregator::engine::run(&engine)?),
    }
}

/// Each connection takes one. The soft limit is a thousand on many systems, for the sake of programs
/// that use `select`.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

fn managed(configured: Configured, command: manage::Command) -> anyhow::Result<()> {
    let (_, loaded) = configured.load()?;
    Ok(runtime()?.block_on(manage::run(&loaded.config, command, &mut manage::Terminal))?)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

#[expect(
    clippy::print_stderr,
    reason = "words to whoever typed the command; there is no log yet"
)]
fn say(words: &str) {
    eprintln!("{words}");
}
