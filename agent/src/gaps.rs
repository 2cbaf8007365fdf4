//! Gaps: what this agent took and will never deliver, told to whoever reads the data.
//!
//! Counters on the agent's own port say how much is missing; nobody looks there. So whatever the
//! books write off (evicted at the disk's bound, damaged on the disk, refused by the peer) becomes a
//! log record of the agent's own, which goes the way of all data: counted, spooled, delivered. One
//! record a signal and reason, at most once a minute. That such a record is lost itself is no news.

use std::sync::Arc;
use std::time::Duration;

use petrel_spool::{SignalStats, Spool};
use petrel_wire::{Batch, Clock, Limits, Signal};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::custody::{Admitted, Books};
use crate::seal::Sealer;

/// Between looks at the books.
pub const EVERY: Duration = Duration::from_secs(60);
/// `ERROR` of the OpenTelemetry log data model: data is lost, and the spool keeps errors longest.
const ERROR: u8 = 17;

/// What may be written off, and the words for it.
type Column = (&'static str, &'static str, fn(&SignalStats) -> u64);
const COLUMNS: [Column; 3] = [
    ("disk_limit", "dropped at the disk's bound", |s| s.evicted),
    ("corrupt_on_disk", "damaged on the disk", |s| s.corrupt),
    ("rejected_by_aggregator", "refused by the next hop", |s| {
        s.rejected
    }),
];

/// Looks at the books and tells what has gone since the last look.
#[derive(Debug)]
pub struct Gaps {
    spool: Spool,
    sealer: Sealer,
    books: Arc<Books>,
    clock: Arc<dyn Clock>,
    told: [SignalStats; 3],
    /// Records in the last telling.
    own: u64,
}

/// Items that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    signal: Signal,
    reason: &'static str,
    words: &'static str,
    items: u64,
}

impl Gaps {
    /// Tells what goes from now on; what went before the start is in the counters.
    pub fn new(spool: Spool, sealer: Sealer, books: Arc<Books>, clock: Arc<dyn Clock>) -> Self {
        let told = spool.stats().by_signal;
        Self {
            spool,
            sealer,
            books,
            clock,
            told,
            own: 0,
        }
    }

    /// Looks on until the stop.
    pub async fn run(mut self, every: Duration, stop: CancellationToken) {
        let mut looks = interval(every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => self.look().await,
            }
        }
    }

    async fn look(&mut self) {
        let now = self.spool.stats().by_signal;
        let gaps = between(&self.told, &now);
        if !is_news(&gaps, self.own) {
            return;
        }
        let (agent, epoch) = self.spool.identity();
        let text = records(&gaps, &agent.to_string(), epoch, self.clock.wall().0);
        let batch = match Batch::from_json(Signal::Logs, text.as_bytes(), &Limits::default()) {
            Ok(batch) => batch,
            Err(error) => {
                warn!(%error, "cannot write down what was lost");
                return;
            }
        };
        // Refused (a full disk), the same gaps are told at the next look.
        match self.sealer.spool(Admitted::new(&self.books, batch)).await {
            Ok(_told) => {
                self.told = now;
                self.own = gaps.len() as u64;
            }
            Err(_full) => warn!("cannot tell what was lost yet: the disk does not take it"),
        }
    }
}

fn between(told: &[SignalStats; 3], now: &[SignalStats; 3]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for signal in Signal::ALL {
        let index = usize::from(signal.code()) - 1;
        for (reason, words, read) in COLUMNS {
            let items = read(&now[index]).saturating_sub(read(&told[index]));
            if items > 0 {
                gaps.push(Gap {
                    signal,
                    reason,
                    words,
                    items,
                });
            }
        }
    }
    gaps
}

/// Whether more is gone than the records of the last telling.
fn is_news(gaps: &[Gap], own: u64) -> bool {
    let all: u64 = gaps.iter().map(|gap| gap.items).sum();
    all > own || gaps.iter().any(|gap| gap.signal != Signal::Logs)
}

/// An export request in OTLP's JSON.
fn records(gaps: &[Gap], agent: &str, epoch: u32, now: u64) -> String {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let number =
        |key: &str, value: u64| json!({"key": key, "value": {"intValue": value.to_string()}});
    let record = |gap: &Gap| {
        let (items, signal) = (gap.items, gap.signal.name());
        let what = match gap.signal {
            Signal::Traces => "spans",
            Signal::Logs => "log records",
            Signal::Metrics => "data points",
        };
        json!({
            "timeUnixNano": now.to_string(),
            "observedTimeUnixNano": now.to_string(),
            "severityNumber": ERROR,
            "severityText": "ERROR",
            "eventName": "petrel.agent.gap",
            "body": {"stringValue": format!("{what} {}: {items}", gap.words)},
            "attributes": [
                text("petrel.gap.signal", signal),
                text("petrel.gap.reason", gap.reason),
                number("petrel.gap.items", items),
            ],
        })
    };
    let records: Vec<Value> = gaps.iter().map(record).collect();
    let request = json!({"resourceLogs": [{
        "resource": {"attributes": [
            text("service.name", "petrel-agent"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", agent),
            number("petrel.agent.epoch", u64::from(epoch)),
        ]},
        "scopeLogs": [{"scope": {"name": "petrel-agent"}, "logRecords": records}],
    }]});
    request.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_gone_since_is_a_gap() {
        let mut told = [SignalStats::default(); 3];
        told[1].evicted = 5;
        let mut now = told;
        assert_eq!(between(&told, &now), []);
        now[1].evicted = 12;
        now[0].rejected = 1;
        now[0].delivered = 100;
        let gaps = between(&told, &now);
        let told: Vec<_> = gaps.iter().map(|gap| (gap.reason, gap.items)).collect();
        assert_eq!(told.len(), 2);
        assert!(told.contains(&("disk_limit", 7)) && told.contains(&("rejected_by_aggregator", 1)));
    }

    #[test]
    fn the_loss_of_a_telling_is_not_told() {
        let gap = |signal, items| Gap {
            signal,
            reason: "rejected_by_aggregator",
            words: "refused by the next hop",
            items,
        };
        assert!(!is_news(&[], 0));
        assert!(!is_news(&[gap(Signal::Logs, 1)], 1));
        assert!(is_news(&[gap(Signal::Logs, 2)], 1));
        assert!(is_news(&[gap(Signal::Traces, 1)], 1));
    }

    #[test]
    fn gaps_are_log_records_of_the_agent() {
        let gap = Gap {
            signal: Signal::Traces,
            reason: "disk_limit",
            words: "dropped at the disk's bound",
            items: 7,
        };
        let text = records(&[gap, gap], "agent-1", 2, 1_700_000_000_000_000_000);
        let batch = Batch::from_json(Signal::Logs, text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(batch.items(), 2);
    }
}
