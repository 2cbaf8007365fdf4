//! `petrel-agent`: arguments, configuration, run, exit code.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use petrel_agent::forward::ForwardTiming;
use petrel_agent::pipeline::StartError;
use petrel_agent::telemetry::Level;
use petrel_agent::{
    Agent, Config, ConfigError, Environment, Surroundings, gaps, reload, shutdown, status, tellings,
};
use petrel_wire::SystemClock;
use sd_notify::NotifyState;

mod spool;

/// `EX_USAGE`: the configuration or the command line cannot be used; restarting will not help.
const CONFIGURATION: u8 = 64;
/// Two threads serve a site's sockets; the agent is a guest on the machine.
const WORKERS: usize = 2;
/// Guests, packing of large groups, opening of large bodies.
const BLOCKING_THREADS: usize = 8;

/// The edge agent: takes OTLP from local applications, runs processors over it, keeps it safe on
/// disk, and forwards it.
#[derive(Debug, Parser)]
#[command(name = "petrel-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT
    Run(ConfigFile),
    /// Say everything that is wrong with a configuration, and run nothing
    Check(ConfigFile),
    /// Show what a running agent has taken, holds and has delivered
    Status(StatusOptions),
    /// Look into the disk buffer, move what is in it, decide about dead letters
    Spool(spool::SpoolOptions),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct StatusOptions {
    /// The configuration file of the running agent; its admin port is asked
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// The admin port of the running agent
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:14319")]
    admin: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _no_terminal = error.print();
            let code = if error.use_stderr() { CONFIGURATION } else { 0 };
            return ExitCode::from(code);
        }
    };
    let outcome = match arguments.command {
        Command::Run(file) => run(&file),
        Command::Check(file) => check(&file),
        Command::Status(options) => show(&options),
        Command::Spool(options) => spool::run(options),
    };
    outcome.unwrap_or_else(|error| {
        let _no_terminal = writeln!(std::io::stderr(), "petrel-agent: {error:#}");
        let configuration = error.downcast_ref::<ConfigError>().is_some()
            || matches!(error.downcast_ref(), Some(StartError::Plugins(_)));
        ExitCode::from(if configuration { CONFIGURATION } else { 1 })
    })
}

fn load(path: &Path) -> Result<Config, ConfigError> {
    Config::load(path, &Environment::of_this_process())
}

fn check(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(&file.config)?;
    let path = file.config.display();
    writeln!(
        std::io::stdout(),
        "{path} is fine; forwards to {}",
        config.forward.base_url()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn run(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(&file.config)?;
    petrel_log::start(&config.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("agent")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(serve(config, &file.config));
    // Threads that a stuck disk holds are not waited for.
    runtime.shutdown_background();
    code
}

async fn serve(config: Config, path: &Path) -> anyhow::Result<ExitCode> {
    let watched = sd_notify::watchdog_enabled().is_some();
    let surroundings = Surroundings {
        clock: SystemClock::shared(),
        timing: ForwardTiming::default(),
        tell_gaps: gaps::EVERY,
        tell_counted: tellings::EVERY,
        beat: move || {
            if watched {
                tell_systemd(&[NotifyState::Watchdog]);
            }
        },
    };
    let mut hangups = reload::hangups().context("cannot listen for signals")?;
    let asked = shutdown::asked().context("cannot listen for signals")?;
    tokio::pin!(asked);
    let mut agent = Agent::start(config, surroundings).await?;
    tell_systemd(&[NotifyState::Ready]);
    let broken = loop {
        tokio::select! {
            () = &mut asked => break None,
            stage = agent.broken() => break Some(stage),
            Some(()) = hangups.recv() => {
                let mut reloading = vec![NotifyState::Reloading];
                reloading.extend(NotifyState::monotonic_usec_now().ok());
                tell_systemd(&reloading);
                agent.reload(load(path)).await;
                tell_systemd(&[NotifyState::Ready]);
            }
        }
    };
    tell_systemd(&[NotifyState::Stopping]);
    if let Some(stage) = broken {
        anyhow::bail!("{stage} has ended by itself; what was acknowledged is on the disk");
    }
    shutdown::within_deadline(agent.stop()).await;
    Ok(ExitCode::SUCCESS)
}

/// Without systemd this does nothing.
fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot tell the service manager");
    }
}

fn show(options: &StatusOptions) -> anyhow::Result<ExitCode> {
    let admin = match &options.config {
        Some(path) => format!("http://{}", load(path)?.admin),
        None => options.admin.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = runtime.block_on(status::ask(&admin))?;
    let mut out = std::io::stdout();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        out.write_all(status::page(&report).as_bytes())?;
    }
    Ok(match report.health.status {
        Level::Ok | Level::Degraded => ExitCode::SUCCESS,
        Level::Failed => ExitCode::FAILURE,
    })
}
