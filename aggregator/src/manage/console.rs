//! [`Console`]: whoever typed the command, or a test.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Who is asked and told.
pub trait Console {
    /// A line of the answer.
    fn print(&mut self, line: &str) -> io::Result<()>;
    /// Words beside it.
    fn tell(&mut self, words: &str);
    /// A new password, typed twice where somebody types.
    fn password(&mut self, whose: &str) -> io::Result<(String, String)>;
}

/// Standard input, output and error of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal;

impl Console for Terminal {
    fn print(&mut self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }

    fn tell(&mut self, words: &str) {
        // Whoever closed it does not want to know.
        drop(writeln!(io::stderr().lock(), "{words}"));
    }

    fn password(&mut self, whose: &str) -> io::Result<(String, String)> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            let line = read_line()?;
            return Ok((line.clone(), line));
        }
        let before = tcgetattr(&stdin)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO;
        silent.local_modes |= LocalModes::ECHONL;
        tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
        let typed = ask(&format!("New password for {whose}: "))
            .and_then(|first| Ok((first, ask("Again: ")?)));
        tcsetattr(&stdin, OptionalActions::Flush, &before)?;
        typed
    }
}

fn ask(prompt: &str) -> io::Result<String> {
    let mut err = io::stderr().lock();
    write!(err, "{prompt}")?;
    err.flush()?;
    read_line()
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
