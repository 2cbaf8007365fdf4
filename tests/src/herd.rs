//! A herd: thousands of agents that come back at once, each with a backlog, over the real wire.
//!
//! Each agent is a task with a connection of its own, an identity and sealed batches under
//! contiguous numbers. It sends one batch at a time, takes an echo of its id as the only
//! acknowledgement, and after a refusal waits as agents do: what `Retry-After` says, and on top of
//! it a random part of a back-off that doubles. The three projects are of very different size,
//! so that one of them could crowd the others out.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use petrel_wire::{AgentId, Batch, BatchId, Clock as _, Limits, Sealed, Signal, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::central::Project;
use crate::telemetry::{Ids, Resource, SpanDraft, traces_request};

/// How many of a hundred agents belong to each project.
pub const PARTS: [usize; 3] = [80, 15, 5];
/// Different bodies; agents share them under their own ids.
const BODIES: usize = 64;
/// What agents do without a word from their peer: `agent/src/forward/backoff.rs`.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// When agents that reach nobody look again, by the same file.
const UNREACHED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// An answer that takes longer is a broken connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// How large the herd is.
#[derive(Clone, Copy, Debug)]
pub struct HerdOptions {
    /// Agents, one connection each.
    pub agents: usize,
    /// Batches that each has waiting.
    pub batches: usize,
    /// Spans of a batch.
    pub spans: usize,
    /// Whether all connect in the same instant. Agents that have found nobody do not: each looks
    /// again when its own pause is over.
    pub same_instant: bool,
}

impl Default for HerdOptions {
    fn default() -> Self {
        Self {
            agents: 10_000,
            batches: 3,
            spans: 200,
            same_instant: false,
        }
    }
}

impl HerdOptions {
    /// All batches of all agents.
    pub fn backlog(&self) -> u64 {
        (self.agents * self.batches) as u64
    }

    /// Which project an agent belongs to.
    fn project_of(agent: usize) -> usize {
        let place = agent % 100;
        usize::from(place >= PARTS[0]) + usize::from(place >= PARTS[0] + PARTS[1])
    }
}

/// What happened so far. Shared by all agents.
#[derive(Debug, Default)]
pub struct Tally {
    /// Acknowledged batches, by project.
    pub acknowledged: [AtomicU64; 3],
    /// Refusals by status: 429 and 503.
    pub throttled: AtomicU64,
    /// See above.
    pub busy: AtomicU64,
    /// Refusals by project.
    pub refused: [AtomicU64; 3],
    /// When each project had nothing left.
    finished: Mutex<[Option<Instant>; 3]>,
    /// Connections that could not be made or broke.
    pub broken: AtomicU64,
    /// Connections that were made.
    pub connected: AtomicU64,
    /// How long refusals took, from the first byte sent to the head of the answer.
    refusals: Mutex<Vec<Duration>>,
    /// The same for acknowledgements.
    acknowledgements: Mutex<Vec<Duration>>,
    /// What each project got and was refused, second by second.
    seconds: Mutex<Vec<Second>>,
}

/// A second of the run.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    acknowledged: [u64; 3],
    refused: [u64; 3],
}

impl Tally {
    /// All acknowledgements.
    pub fn done(&self) -> u64 {
        self.by_project().iter().sum()
    }

    /// Acknowledgements by project.
    pub fn by_project(&self) -> [u64; 3] {
        std::array::from_fn(|project| self.acknowledged[project].load(Relaxed))
    }

    /// In percent, what each project got of all that was acknowledged in those seconds in which it
    /// asked for more: some of it was refused. `None` for a project that always got what it asked for.
    pub fn shares_when_refused(&self) -> [Option<u64>; 3] {
        let seconds = lock(&self.seconds);
        std::array::from_fn(|project| {
            let hungry = seconds.iter().filter(|second| second.refused[project] > 0);
            let (mine, all) = hungry.fold((0, 0), |(mine, all), second| {
                let everybody: u64 = second.acknowledged.iter().sum();
                (mine + second.acknowledged[project], all + everybody)
            });
            (all > 0).then(|| mine * 100 / all)
        })
    }

    fn note(&self, since: Instant, count: impl FnOnce(&mut Second)) {
        let mut seconds = lock(&self.seconds);
        let now = usize::try_from(since.elapsed().as_secs()).unwrap_or(usize::MAX);
        while seconds.len() <= now {
            seconds.push(Second::default());
        }
        count(&mut seconds[now]);
    }

    /// How long after `start` each project had nothing left.
    pub fn finished(&self, start: Instant) -> [Duration; 3] {
        lock(&self.finished).map(|at| at.map_or(Duration::MAX, |at| at - start))
    }

    /// A quantile of the time that refusals took, and of that of acknowledgements.
    pub fn latencies(&self, q: f64) -> (Duration, Duration) {
        (
            quantile(&mut lock(&self.refusals), q),
            quantile(&mut lock(&self.acknowledgements), q),
        )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
fn quantile(durations: &mut [Duration], q: f64) -> Duration {
    durations.sort_unstable();
    let index = (durations.len().saturating_sub(1) as f64 * q).round() as usize;
    durations.get(index).copied().unwrap_or_default()
}

/// The herd before it is let go.
#[derive(Debug)]
pub struct Herd {
    options: HerdOptions,
    bodies: Arc<Vec<(Bytes, u128)>>,
    port: u16,
    dsns: [String; 3],
    /// What happened so far.
    pub tally: Arc<Tally>,
}

impl Herd {
    /// Seals what will be sent to `port`.
    pub fn gather(
        options: HerdOptions,
        port: u16,
        projects: &[Project; 3],
    ) -> anyhow::Result<Self> {
        let bodies = (0..BODIES as u64).map(|seed| {
            let request = request(&mut Ids::seeded(seed * 7919 + 1), options.spans);
            let batch = Batch::from_protobuf(Signal::Traces, request.into(), &Limits::default())?;
            let sealed = Sealed::pack(&batch);
            anyhow::Ok((sealed.body().clone(), sealed.hash()))
        });
        Ok(Self {
            options,
            bodies: Arc::new(bodies.collect::<anyhow::Result<_>>()?),
            port,
            dsns: std::array::from_fn(|n| format!("http://{}@127.0.0.1:{port}", projects[n].token)),
            tally: Arc::default(),
        })
    }

    /// Mean size of a batch on the wire.
    pub fn packed_bytes(&self) -> usize {
        self.bodies
            .iter()
            .map(|(body, _)| body.len())
            .sum::<usize>()
            / BODIES
    }

    /// Lets all agents go at once; the handle ends when the last has nothing left.
    pub fn stampede(&self) -> tokio::task::JoinSet<()> {
        let sizes = (0..self.options.agents).fold([0; 3], |mut sizes: [u64; 3], agent| {
            sizes[HerdOptions::project_of(agent)] += self.options.batches as u64;
            sizes
        });
        let let_go = Instant::now();
        (0..self.options.agents)
            .map(|number| {
                let project = HerdOptions::project_of(number);
                let agent = Agent {
                    id: AgentId::random(),
                    number,
                    project,
                    size: sizes[project],
                    batches: self.options.batches,
                    same_instant: self.options.same_instant,
                    let_go,
                    port: self.port,
                    dsn: self.dsns[project].clone(),
                    bodies: Arc::clone(&self.bodies),
                    tally: Arc::clone(&self.tally),
                    stream: None,
                    ids: Ids::seeded(number as u64),
                };
                agent.run()
            })
            .collect()
    }
}

struct Agent {
    id: AgentId,
    number: usize,
    project: usize,
    /// Batches of the whole project.
    size: u64,
    batches: usize,
    same_instant: bool,
    let_go: Instant,
    port: u16,
    dsn: String,
    bodies: Arc<Vec<(Bytes, u128)>>,
    tally: Arc<Tally>,
    stream: Option<TcpStream>,
    ids: Ids,
}

/// The head of an answer.
struct Answer {
    status: u16,
    retry_after: Duration,
    echo: bool,
}

impl Agent {
    async fn run(mut self) {
        if !self.same_instant {
            let (least, most) = UNREACHED;
            let pause = least + most.saturating_sub(least).mul_f64(self.fraction());
            // Some had just begun to wait when the peer came back, some were about to look.
            tokio::time::sleep(pause.mul_f64(self.fraction())).await;
        }
        for seq in 1..=self.batches {
            let mut failures = 0;
            while let Err(floor) = self.send(seq).await {
                failures += 1;
                tokio::time::sleep(floor + self.wait(failures)).await;
            }
        }
    }

    fn wait(&mut self, failures: u32) -> Duration {
        let ceiling = BACKOFF
            .0
            .saturating_mul(1 << (failures - 1).min(16))
            .min(BACKOFF.1);
        ceiling.mul_f64(self.fraction())
    }

    /// Uniform between 0 and 1.
    fn fraction(&mut self) -> f64 {
        self.ids.below(1 << 20) as f64 / f64::from(1 << 20)
    }

    /// Sends one batch; otherwise says how long to wait at least.
    async fn send(&mut self, seq: usize) -> Result<(), Duration> {
        let tally = Arc::clone(&self.tally);
        let answer = match tokio::time::timeout(PATIENCE, self.exchange(seq)).await {
            Ok(Ok((answer, sent))) => (answer, sent.elapsed()),
            _ => {
                self.stream = None;
                tally.broken.fetch_add(1, Relaxed);
                return Err(Duration::ZERO);
            }
        };
        match answer {
            (
                Answer {
                    status: 200,
                    echo: true,
                    ..
                },
                took,
            ) => {
                lock(&tally.acknowledgements).push(took);
                tally.note(self.let_go, |second| second.acknowledged[self.project] += 1);
                let done = tally.acknowledged[self.project].fetch_add(1, Relaxed) + 1;
                if done == self.size {
                    lock(&tally.finished)[self.project] = Some(Instant::now());
                }
                Ok(())
            }
            (
                Answer {
                    status,
                    retry_after,
                    ..
                },
                took,
            ) => {
                lock(&tally.refusals).push(took);
                tally.refused[self.project].fetch_add(1, Relaxed);
                tally.note(self.let_go, |second| second.refused[self.project] += 1);
                match status {
                    429 => tally.throttled.fetch_add(1, Relaxed),
                    503 => tally.busy.fetch_add(1, Relaxed),
                    _ => tally.broken.fetch_add(1, Relaxed),
                };
                Err(retry_after)
            }
        }
    }

    /// The answer, and when its request was begun.
    async fn exchange(&mut self, seq: usize) -> anyhow::Result<(Answer, Instant)> {
        let (body, hash) = &self.bodies[(self.number + seq) % BODIES];
        let id = BatchId {
            agent: self.id,
            epoch: 1,
            seq: seq as u64,
            hash: *hash,
        };
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-type: application/x-protobuf\r\n\
             content-encoding: zstd\r\nuptrace-dsn: {}\r\n{}: {id}\r\ncontent-length: {}\r\n\r\n",
            self.port,
            self.dsn,
            BatchId::HEADER,
            body.len()
        );
        let message = [head.as_bytes(), body].concat();
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
                stream.set_nodelay(true)?;
                self.tally.connected.fetch_add(1, Relaxed);
                none.insert(stream)
            }
        };
        let sent = Instant::now();
        stream.write_all(&message).await?;
        let answer = read_answer(stream, &id.to_string()).await?;
        Ok((answer, sent))
    }
}

/// Reads one answer of HTTP/1.1 with a length, which is what the aggregator gives.
async fn read_answer(stream: &mut TcpStream, id: &str) -> anyhow::Result<Answer> {
    let mut bytes = Vec::with_capacity(1024);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        anyhow::ensure!(bytes.len() < 16 << 10, "an endless head");
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "closed");
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let mut answer = Answer {
        status: status.context("no status")?.parse()?,
        retry_after: Duration::ZERO,
        echo: false,
    };
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse()?,
            "retry-after" => answer.retry_after = Duration::from_secs(value.parse()?),
            BatchId::HEADER => answer.echo = value == id,
            _ => {}
        }
    }
    let whole = end + 4 + length;
    while bytes.len() < whole {
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "closed");
    }
    Ok(answer)
}

fn request(ids: &mut Ids, spans: usize) -> Vec<u8> {
    let now = SystemClock::new().wall().0;
    let spans = (0..spans).map(|_| {
        let trace = ids.trace();
        let order = ids.below(1_000_000);
        SpanDraft::server(ids, trace, "GET /orders/{id}")
            .lasting(
                now + ids.below(1_000_000_000),
                1_000_000 + ids.below(50_000_000),
            )
            .with("http.request.method", "GET")
            .with("http.route", "/orders/{id}")
            .with("url.path", format!("/orders/{order}"))
            .with("http.response.status_code", 200)
    });
    let spans = spans.collect();
    let resource = Resource::new("till").with("host.name", "herd");
    traces_request(&[(resource, spans)])
}
