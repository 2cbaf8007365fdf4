//! `petrel capture`: what comes into an agent on this machine, as it came, in a file that
//! `petrel plugin run`, `diff` and, as a case's input, `test` and `dev` take.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use petrel_wire::otlp::json::{Layout, from_batch};
use petrel_wire::{Batch, Limits, Signal};

use crate::scrub::Scrubber;

/// An agent that runs answers at once.
const CONNECT: Duration = Duration::from_secs(5);
/// How much longer than asked for an answer may take.
const GRACE: Duration = Duration::from_secs(10);

/// What to write down, and where.
#[derive(Debug)]
pub(crate) struct Options {
    /// The agent's `admin.endpoint`.
    pub(crate) admin: String,
    /// For how long.
    pub(crate) seconds: u64,
    /// Whether values are replaced by others of their shape.
    pub(crate) scrub: bool,
    /// Where it goes; not there yet.
    pub(crate) output: PathBuf,
}

/// Writes what comes during the time asked for.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let admin = options.admin.trim_start_matches("http://");
    let admin = admin.trim_end_matches('/');
    let stream = connect(admin)?;
    let mut answer = ask(stream, admin, options.seconds)?;
    let mut file = create(&options.output)?;
    let scrubber = options.scrub.then(Scrubber::default);
    let (mut requests, mut items, mut missed) = (0_u64, 0_u64, 0);
    while let Some((signal, body)) = frame(&mut answer)? {
        let Some(signal) = signal else {
            missed = body.try_into().map_or(0, u64::from_be_bytes);
            break;
        };
        let batch = Batch::from_protobuf(signal, body.into(), &Limits::default())?;
        let mut line = from_batch(&batch, Layout::Line);
        if let Some(scrubber) = &scrubber {
            let mut request = serde_json::from_str(&line)?;
            scrubber.scrub(&mut request);
            line = request.to_string();
        }
        writeln!(file, "{line}")?;
        requests += 1;
        items += u64::from(batch.items());
    }
    let output = options.output.display();
    let mut told = format!("{requests} requests with {items} items in {output}");
    if missed > 0 {
        write!(told, "; {missed} came too fast and are not in it")?;
    }
    if !options.scrub {
        told += "\nthey are as they came, secrets included; --scrub would have replaced values";
    }
    write!(told, "\n\n    petrel plugin run PLUGIN.wasm < {output}")?;
    Ok(told)
}

fn connect(admin: &str) -> anyhow::Result<TcpStream> {
    use std::net::ToSocketAddrs as _;

    let addresses = admin
        .to_socket_addrs()
        .with_context(|| format!("{admin:?} is not an address like 127.0.0.1:14319"))?;
    let mut last = None;
    for address in addresses {
        ensure!(
            address.ip().is_loopback(),
            "{admin} is another machine; an agent shows what comes in on its own only"
        );
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into());
    Err(error).with_context(|| format!("no agent answers at {admin}; is it running?"))
}

/// HTTP/1.0, so that the body ends with the connection and is not in chunks.
fn ask(mut stream: TcpStream, admin: &str, seconds: u64) -> anyhow::Result<impl Read> {
    stream.set_read_timeout(Some(Duration::from_secs(seconds) + GRACE))?;
    write!(
        stream,
        "POST /capture?seconds={seconds} HTTP/1.0\r\nHost: {admin}\r\npetrel-capture: yes\r\n\
         Content-Length: 0\r\n\r\n"
    )?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    let mut line = String::new();
    while answer.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
        line.clear();
    }
    if status.split(' ').nth(1) == Some("200") {
        return Ok(answer);
    }
    let mut words = String::new();
    answer.take(4096).read_to_string(&mut words).ok();
    if words.is_empty() {
        words = format!(
            "what answers there is no agent of this version ({})",
            status.trim()
        );
    }
    bail!("{admin}: {words}");
}

/// The next frame; no signal with the last one, nothing if the agent has gone before that.
fn frame(answer: &mut impl Read) -> anyhow::Result<Option<(Option<Signal>, Vec<u8>)>> {
    let mut head = [0; 5];
    match answer.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error).context("the agent stopped talking"),
    }
    let [signal, length @ ..] = head;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    match answer.read_exact(&mut body) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error).context("the agent stopped talking"),
    }
    let signal = Signal::ALL.into_iter().find(|one| one.code() == signal);
    Ok(Some((signal, body)))
}

/// For this user alone, and never over something that is there.
fn create(path: &Path) -> anyhow::Result<File> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.with_context(|| {
        format!(
            "cannot make {}; name another file with --output",
            path.display()
        )
    })
}
