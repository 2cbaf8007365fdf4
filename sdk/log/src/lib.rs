//! The log of both binaries: lines on standard error, of which a flood is counted instead of written.
//!
//! A link that flaps, a disk that fails or a sender that sends nonsense a thousand times a second
//! must not fill the journal of the host it happens on. So each place in the code writes at most
//! [`LINES`] lines in a [`WINDOW`]; what it would have written beyond is counted, and the count is
//! said with the first line that anybody writes after the window. What is asked for with `debug` or
//! `trace` is not limited, nor what has a limit of its own (targets that end with [`OWN_LIMIT`]).

mod moderated;
mod places;

use std::io::IsTerminal as _;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format;

use crate::moderated::Moderated;

/// What one place in the code may write in a [`WINDOW`].
pub const LINES: u32 = 30;
/// How long [`LINES`] have to suffice.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Targets that end with this count for themselves.
pub const OWN_LIMIT: &str = "::guest";

/// Starts logging what `directives` let through (`info`, `warn,petrel_agent=debug`; `info` if they
/// cannot be read). On a terminal lines are for people, elsewhere they are plain. Does nothing if
/// something has started it already.
pub fn start(directives: &str) {
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let lines = format::Format::default()
        .with_ansi(terminal)
        .with_target(terminal);
    let _already_started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .event_format(Moderated::new(lines))
        .try_init();
}

/// Lines that were counted instead of written since the process began.
pub fn left_out() -> u64 {
    moderated::left_out()
}
