//! Rows: OTLP in, blocks for ClickHouse out. Pure: no client, no I/O, no clock.
//!
//! [`build`] takes the batches of one piece of a journal cut and gives [`Block`]s: each for one
//! table and one day, rows sorted by the table's key, byte for byte the same whenever it is called
//! with the same batches. That is what makes a repeated insert recognisable, whoever repeats it.
//! Views read the request where it lies; text is copied once, into the column that carries it.

mod attributes;
mod block;
mod columns;
mod counts;
mod derived;
mod edges;
mod groups;
mod items;
mod kept;
mod logs;
mod points;
mod resources;
mod rollups;
mod spans;
mod time;
mod traces;
mod vocabulary;

use petrel_spool::ProjectId;
use petrel_wire::{Batch, Signal, UnixNanos};

pub use block::Block;
pub use time::{Displaced, Displacements};

use derived::Derived;
use resources::Resources;
use time::Calendar;

/// Changes whenever the same batches would become other bytes; part of every deduplication token.
pub const ENCODER_VERSION: u32 = 4;

/// A batch and what the journal knows about it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Whose it is.
    pub project: ProjectId,
    /// When the journal took it.
    pub accepted: UnixNanos,
    /// The sender's `agent:epoch:seq`, or nothing.
    pub origin: &'a str,
    /// The request.
    pub batch: &'a Batch,
}

/// Everything that has to be inserted so that `sources` are stored. What other rows refer to comes
/// first.
pub fn build(sources: &[Source<'_>]) -> Vec<Block> {
    build_noting(sources).0
}

/// The same, with what was not believed of the senders' clocks.
pub fn build_noting(sources: &[Source<'_>]) -> (Vec<Block>, Displacements) {
    let mut calendar = Calendar::default();
    let mut resources = Resources::default();
    let mut derived = Derived::default();
    let of = |signal| {
        sources
            .iter()
            .filter(move |source| source.batch.signal() == signal)
    };
    let spans = spans::blocks(
        of(Signal::Traces),
        &mut calendar,
        &mut resources,
        &mut derived,
    );
    let logs = logs::blocks(
        of(Signal::Logs),
        &mut calendar,
        &mut resources,
        &mut derived,
    );
    let points = points::blocks(
        of(Signal::Metrics),
        &mut calendar,
        &mut resources,
        &mut derived,
    );
    let mut blocks = resources.blocks();
    blocks.extend(points);
    blocks.extend(spans);
    blocks.extend(logs);
    blocks.extend(derived.blocks(&resources));
    (blocks, calendar.displacements())
}
