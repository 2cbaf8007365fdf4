//! What the programs cost, measured.
//!
//! ```text
//! load agent  [--spans N] [--per-request N] [--peer PATH]
//! load ingest [--items N] [--only spans|large-spans|logs|points|baseline|peer] [--peer PATH]
//! load outage [--rate N] [--seconds N]
//! load herd   [--agents N] [--batches N] [--spans N] [--same-instant true|false]
//! ```

mod agent;
mod baseline;
mod engine;
mod herd;
mod ingest;
mod outage;
mod rotel;
mod storage;

use std::path::PathBuf;

use anyhow::Context as _;
use petrel_tests::herd::HerdOptions;

const USAGE: &str = "usage: load agent [--spans N] [--per-request N] [--peer PATH]\n       load ingest [--items N] [--only spans|large-spans|logs|points|baseline|peer] [--peer PATH]\n       load outage [--rate N] [--seconds N]\n       load herd [--agents N] [--batches N] [--spans N] [--same-instant true|false]";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("agent") => {
            let (mut spans, mut per_request, mut peer) = (500_000, agent::PER_REQUEST, None);
            for (name, value) in pairs(arguments)? {
                match name.as_str() {
                    "--spans" => spans = value.parse()?,
                    "--per-request" => per_request = value.parse()?,
                    "--peer" => peer = Some(PathBuf::from(value)),
                    _ => anyhow::bail!("unknown argument {name}\n{USAGE}"),
                }
            }
            agent::run(spans, per_request, peer)
        }
        Some("ingest") => {
            let (mut items, mut only, mut peer) = (1_000_000, None, None);
            for (name, value) in pairs(arguments)? {
                match name.as_str() {
                    "--items" => items = value.parse()?,
                    "--only" => only = Some(value),
                    "--peer" => peer = Some(PathBuf::from(value)),
                    _ => anyhow::bail!("unknown argument {name}\n{USAGE}"),
                }
            }
            ingest::run(items, only.as_deref(), peer.as_deref())
        }
        Some("outage") => {
            let (mut rate, mut seconds) = (10_000, 60);
            for (name, value) in pairs(arguments)? {
                match name.as_str() {
                    "--rate" => rate = value.parse()?,
                    "--seconds" => seconds = value.parse()?,
                    _ => anyhow::bail!("unknown argument {name}\n{USAGE}"),
                }
            }
            outage::run(rate, seconds)
        }
        Some("herd") => {
            let mut options = HerdOptions::default();
            for (name, value) in pairs(arguments)? {
                match name.as_str() {
                    "--agents" => options.agents = value.parse()?,
                    "--batches" => options.batches = value.parse()?,
                    "--spans" => options.spans = value.parse()?,
                    "--same-instant" => options.same_instant = value.parse()?,
                    _ => anyhow::bail!("unknown argument {name}\n{USAGE}"),
                }
            }
            herd::run(options)
        }
        _ => anyhow::bail!(USAGE),
    }
}

fn pairs(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .with_context(|| format!("{name} needs a value"))?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

#[expect(
    clippy::print_stdout,
    reason = "the report is the product of this program"
)]
fn say(line: &str) {
    println!("{line}");
}
