//! Outputs: where processors send records besides the project of everything else.
//!
//! Each has a spool of its own below the spool's directory, and a way out of its own. So what one peer
//! minds holds back nothing of another's, and the batches of each have numbers without holes, which is
//! how a peer's ledger wants them.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use petrel_spool::{Directory, Spool, SpoolConfig, SpoolError};
use petrel_wire::Clock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::Config;
use crate::custody::Books;
use crate::forward::{Client, ClientError, ForwardTiming, Forwarder, Meter};
use crate::gaps::Gaps;
use crate::pipeline::{StartError, open_spool, seal_config};
use crate::seal::{Seal, Sealer};

/// The directory of outputs, in the spool's.
const DIR: &str = "outputs";

/// The way into the spools of outputs, by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Outlets(Arc<BTreeMap<String, Sealer>>);

impl Outlets {
    /// Of one output.
    pub fn get(&self, output: &str) -> Option<&Sealer> {
        self.0.get(output)
    }
}

/// One output, for whoever looks on.
#[derive(Clone, Debug)]
pub struct Output {
    pub(crate) name: String,
    pub(crate) spool: Spool,
    pub(crate) forwarder: Forwarder,
}

/// What outputs share with the rest of the agent.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) books: Arc<Books>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timing: ForwardTiming,
    pub(crate) tell_gaps: Duration,
    pub(crate) stop_receiving: CancellationToken,
    pub(crate) stop_forwarding: CancellationToken,
}

/// The outputs of a running agent.
#[derive(Debug)]
pub(crate) struct Outputs {
    all: Vec<Output>,
    stages: Vec<Stages>,
}

#[derive(Debug)]
struct Stages {
    gaps: JoinHandle<()>,
    sealing: JoinHandle<()>,
    forwarding: JoinHandle<()>,
}

impl Outputs {
    /// Opens their spools and forwards what is in them.
    pub(crate) async fn open(
        config: &Config,
        shared: Shared,
    ) -> Result<(Self, Outlets), StartError> {
        let dir = config.spool.dir.join(DIR);
        if !config.outputs.is_empty() {
            make(dir.clone()).await?;
        }
        let (mut all, mut stages) = (Vec::new(), Vec::new());
        let mut outlets = BTreeMap::new();
        for output in &config.outputs {
            let client = Client::new(&output.forward, Arc::clone(&shared.meter))?;
            let spool = SpoolConfig {
                dir: dir.join(&output.name),
                max_bytes: output.max_bytes,
                ..config.spool.clone()
            };
            let spool = open_spool(spool, Arc::clone(&shared.clock)).await?;
            let forwarder = Forwarder::new(
                spool.clone(),
                client,
                Arc::clone(&shared.meter),
                shared.timing,
                shared.stop_forwarding.clone(),
            );
            let (seal, sealer) = Seal::new(
                spool.clone(),
                Arc::clone(&shared.clock),
                seal_config(config),
            );
            let gaps = Gaps::new(
                spool.clone(),
                sealer.clone(),
                Arc::clone(&shared.books),
                Arc::clone(&shared.clock),
            );
            stages.push(Stages {
                gaps: tokio::spawn(gaps.run(shared.tell_gaps, shared.stop_receiving.clone())),
                sealing: tokio::spawn(seal.run()),
                // The watchdog hears of the main one; health tells of each.
                forwarding: tokio::spawn(forwarder.clone().run(|| {})),
            });
            outlets.insert(output.name.clone(), sealer);
            all.push(Output {
                name: output.name.clone(),
                spool,
                forwarder,
            });
        }
        warn_of_forgotten(&dir, &all);
        Ok((Self { all, stages }, Outlets(Arc::new(outlets))))
    }

    pub(crate) fn all(&self) -> Arc<[Output]> {
        self.all.clone().into()
    }

    /// Ways out of a new configuration, none of them in use yet; the error names an output that a
    /// restart is needed for.
    pub(crate) fn prepare(
        &self,
        config: &Config,
        meter: &Arc<Meter>,
    ) -> Result<Result<Vec<(Forwarder, Client)>, ClientError>, String> {
        let mut ways = Vec::new();
        for output in &config.outputs {
            let Some(known) = self.all.iter().find(|known| known.name == output.name) else {
                return Err(output.name.clone());
            };
            match Client::new(&output.forward, Arc::clone(meter)) {
                Ok(client) => ways.push((known.forwarder.clone(), client)),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(ways))
    }

    /// Ready when a stage has ended by itself.
    pub(crate) fn poll_broken(&mut self, context: &mut Context<'_>) -> Poll<&'static str> {
        for stages in &mut self.stages {
            if Pin::new(&mut stages.sealing).poll(context).is_ready() {
                return Poll::Ready("sealing for an output");
            }
            if Pin::new(&mut stages.forwarding).poll(context).is_ready() {
                return Poll::Ready("forwarding to an output");
            }
        }
        Poll::Pending
    }

    /// The last groups, to the disk. Before this everybody else's sealers are gone.
    pub(crate) async fn sealed(&mut self) {
        for stages in &mut self.stages {
            let _panicked = (&mut stages.gaps).await;
            let _panicked = (&mut stages.sealing).await;
        }
    }

    /// Requests in flight, and the spools. Forwarding was told to stop before.
    pub(crate) async fn close(self) {
        for stages in self.stages {
            let _panicked = stages.forwarding.await;
        }
        for output in self.all {
            output.spool.close().await;
        }
    }
}

/// The directory above the spools, as durable as they are.
async fn make(dir: PathBuf) -> Result<(), StartError> {
    let shown = dir.display().to_string();
    let made = tokio::task::spawn_blocking(move || Directory::new(&dir).map(drop));
    let made = made.await.map_err(|_| StartError::Interrupted)?;
    made.map_err(|source| StartError::Spool {
        dir: shown,
        source: SpoolError::Disk {
            doing: "creating the directory of outputs",
            source: Arc::new(source),
        },
    })
}

/// What waits for an output that is configured no longer goes nowhere, least of all elsewhere.
fn warn_of_forgotten(dir: &Path, all: &[Output]) {
    let found = std::fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in found {
        let name = entry.file_name().to_string_lossy().into_owned();
        if all.iter().all(|output| output.name != name) {
            warn!(
                output = name,
                dir = %entry.path().display(),
                "output {name} is configured no longer: what its spool holds stays there; configure it \
                 again to send it, or remove the directory"
            );
        }
    }
}
