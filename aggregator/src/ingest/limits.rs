//! [`Limits`]: how much a project may send.
//!
//! Every limit is one over time, so that every refusal says when to come again and a sender that
//! keeps what was refused loses nothing. Rates are counted in debts: a request is let in while the
//! project owes nothing, whatever its size, and paid for once it was taken; who owes is refused
//! before a body is read, until time has paid. New series and attribute keys are counted by the
//! hour: when there have been too many, batches that bring none are still taken.
//!
//! The configuration has limits, and the metadata database has some that win over them
//! ([`Limits::keep`]). What is refused for a rate is counted in bytes as its sender announces them,
//! because nobody has read it; what is refused for what is new, in items.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use petrel_receiver::{Head, Refused};
use petrel_spool::ProjectId;
use petrel_wire::Batch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::cardinality;
use super::counters::{header, line};
use crate::config::{Limit, LimitKind, Limits as Configured, OwnLimits};
use crate::metadata::Metadata;

/// A rate may be exceeded for as long as this, after a pause as long.
const BURST_S: u64 = 10;
/// Nobody is told to come again later than this for a rate.
const LONGEST: Duration = Duration::from_secs(300);
const HOUR_S: u64 = 3600;
/// How often the metadata database is asked, and so the longest time until a change counts.
const REFRESH: Duration = Duration::from_secs(5);

/// Limits that were set beside the configuration.
type Own = BTreeMap<ProjectId, OwnLimits>;

/// What projects may send and have sent.
#[derive(Debug, Default)]
pub struct Limits {
    configured: Configured,
    own: Mutex<Own>,
    usage: Mutex<HashMap<ProjectId, Usage>>,
}

#[derive(Debug, Default)]
struct Usage {
    bytes: Account,
    items: Account,
    hour: u64,
    series: HashSet<u64>,
    keys: HashSet<u64>,
    refused: BTreeMap<LimitKind, RefusedCount>,
}

/// What a limit has refused.
#[derive(Clone, Copy, Debug, Default)]
struct RefusedCount {
    requests: u64,
    items: u64,
    bytes: u64,
}

/// What is left of a rate. Below zero somebody owes.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    left: i128,
    at: Option<Duration>,
}

impl Account {
    /// Brings it up to date; nanounits, so that slow rates are not rounded away.
    fn settle(&mut self, rate: u64, now: Duration) {
        const NANOS: u128 = 1_000_000_000;
        let full = (u128::from(rate) * u128::from(BURST_S) * NANOS).cast_signed();
        let earned = match self.at {
            None => full,
            Some(at) => (now
                .saturating_sub(at)
                .as_nanos()
                .saturating_mul(u128::from(rate)))
            .cast_signed(),
        };
        self.left = self.left.saturating_add(earned).min(full);
        self.at = Some(now);
    }

    fn pay(&mut self, amount: u64) {
        self.left -= i128::from(amount) * 1_000_000_000;
    }

    /// When nothing is owed any more, if something is.
    fn debt(&self, rate: u64) -> Option<Duration> {
        let owed = u128::try_from(-self.left).ok().filter(|owed| *owed > 0)?;
        let nanos = owed.div_ceil(u128::from(rate.max(1)));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        Some(Duration::from_nanos(nanos).clamp(Duration::from_secs(1), LONGEST))
    }
}

impl Limits {
    /// With nothing sent yet.
    pub fn new(configured: Configured) -> Self {
        Self {
            configured,
            ..Self::default()
        }
    }

    /// Takes what the metadata database says, now and whenever it changes, until `stop`. While it
    /// is away, what was known goes on.
    pub async fn keep(&self, metadata: &Metadata, stop: CancellationToken) {
        let mut failing = false;
        loop {
            match metadata.limits().await {
                Ok(own) => {
                    self.set(own);
                    failing = false;
                }
                Err(why) if !failing => {
                    warn!(error = %why, cause = ?why, "limits of projects cannot be looked up");
                    failing = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    /// From now on these win over the configuration.
    pub fn set(&self, own: BTreeMap<ProjectId, OwnLimits>) {
        let mut known = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != own {
            info!(projects = own.len(), "limits of projects have changed");
            *known = own;
        }
    }

    /// What counts for a project.
    pub fn of(&self, project: ProjectId) -> Limit {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        self.configured.of(project, own.get(&project))
    }

    /// Before a body is read: whether the project may send at all.
    pub(super) fn admit(
        &self,
        project: ProjectId,
        head: &Head,
        now: Duration,
    ) -> Result<(), Refused> {
        let limit = self.of(project);
        if limit.bytes_per_second.is_none() && limit.items_per_second.is_none() {
            return Ok(());
        }
        let mut usage = self.lock();
        let usage = usage.entry(project).or_default();
        for (kind, account) in [
            (LimitKind::BytesPerSecond, &mut usage.bytes),
            (LimitKind::ItemsPerSecond, &mut usage.items),
        ] {
            let Some(rate) = limit.get(kind) else {
                continue;
            };
            account.settle(rate, now);
            if let Some(after) = account.debt(rate) {
                let refused = usage.refused.entry(kind).or_default();
                refused.requests += 1;
                refused.bytes += announced(head);
                return Err(Refused::Throttled {
                    after,
                    reason: format!(
                        "project {} may send {rate} {} and has sent more; what was refused may be \
                         sent again later. {}",
                        project.0,
                        kind.name().replace('_', " "),
                        whose(kind, project),
                    ),
                });
            }
        }
        Ok(())
    }

    /// Before a batch is taken: whether it brings more new series or keys than the hour has left.
    /// `wall` is in Unix seconds.
    pub(super) fn look(&self, project: ProjectId, batch: &Batch, wall: u64) -> Result<(), Refused> {
        let limit = self.of(project);
        if limit.series_per_hour.is_none() && limit.attribute_keys_per_hour.is_none() {
            return Ok(());
        }
        // Found before the lock: it is the longer part.
        let found = cardinality::of(batch, limit.series_per_hour.is_some());
        let mut usage = self.lock();
        let usage = usage.entry(project).or_default();
        let hour = wall / HOUR_S;
        if usage.hour != hour {
            usage.hour = hour;
            usage.series.clear();
            usage.keys.clear();
        }
        for (kind, known, found) in [
            (LimitKind::SeriesPerHour, &usage.series, &found.series),
            (LimitKind::AttributeKeysPerHour, &usage.keys, &found.keys),
        ] {
            let Some(most) = limit.get(kind) else {
                continue;
            };
            let new = found.iter().filter(|one| !known.contains(*one)).count() as u64;
            // A batch that alone is beyond the limit is taken by an hour that is still empty:
            // refused, it would be refused for ever.
            if new > 0 && known.len() as u64 + new > most && !known.is_empty() {
                let refused = usage.refused.entry(kind).or_default();
                refused.requests += 1;
                refused.items += u64::from(batch.items());
                refused.bytes += batch.bytes().len() as u64;
                return Err(Refused::Throttled {
                    after: Duration::from_secs(HOUR_S - wall % HOUR_S),
                    reason: format!(
                        "project {} may have {most} {} and this request brings {new} more; requests \
                         with known ones are taken, this one from the next hour on. Take off the \
                         label with the most values. {}",
                        project.0,
                        kind.name().replace('_', " "),
                        whose(kind, project),
                    ),
                });
            }
        }
        usage.series.extend(&found.series);
        usage.keys.extend(&found.keys);
        Ok(())
    }

    /// After a batch was taken.
    pub(super) fn pay(&self, project: ProjectId, bytes: u64, items: u64) {
        let limit = self.of(project);
        if limit.bytes_per_second.is_none() && limit.items_per_second.is_none() {
            return;
        }
        let mut usage = self.lock();
        let usage = usage.entry(project).or_default();
        usage.bytes.pay(bytes);
        usage.items.pay(items);
    }

    /// In the text format of Prometheus.
    pub fn render(&self, out: &mut String) {
        let usage = self.lock();
        let mut projects: Vec<_> = usage.iter().collect();
        projects.sort_unstable_by_key(|(project, _)| project.0);
        for (name, help, of) in [
            (
                "aggregator_limit_refused_requests_total",
                "Requests refused for a project's limit",
                (|refused| refused.requests) as fn(&RefusedCount) -> u64,
            ),
            (
                "aggregator_limit_refused_items_total",
                "Items refused for a project's limit; none where a body was not read",
                |refused| refused.items,
            ),
            (
                "aggregator_limit_refused_bytes_total",
                "Bytes refused for a project's limit; as announced where a body was not read",
                |refused| refused.bytes,
            ),
        ] {
            header(out, name, help, "counter");
            for (project, usage) in &projects {
                for (limit, refused) in &usage.refused {
                    let (project, limit, value) = (project.0, limit.name(), of(refused));
                    line(
                        out,
                        format_args!("{name}{{project=\"{project}\",limit=\"{limit}\"}} {value}"),
                    );
                }
            }
        }
        for (name, help, of) in [
            (
                "aggregator_hour_series",
                "Series that a project with a limit has sent in this hour",
                (|usage| usage.series.len()) as fn(&Usage) -> usize,
            ),
            (
                "aggregator_hour_attribute_keys",
                "Attribute keys that a project with a limit has sent in this hour",
                |usage| usage.keys.len(),
            ),
        ] {
            header(out, name, help, "gauge");
            for (project, usage) in &projects {
                let (project, value) = (project.0, of(usage));
                line(out, format_args!("{name}{{project=\"{project}\"}} {value}"));
            }
        }
    }

    // Held for a look into sets and never across an await.
    fn lock(&self) -> MutexGuard<'_, HashMap<ProjectId, Usage>> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The size of a body that is not read, if its sender says it.
fn announced(head: &Head) -> u64 {
    let length = head.headers.get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// Where to change it, for whoever reads the refusal.
fn whose(kind: LimitKind, project: ProjectId) -> String {
    format!(
        "The limit is limits.{} of the aggregator, or was set by `petrel-aggregator project limits \
         {}`",
        kind.name(),
        project.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: ProjectId = ProjectId(3);

    fn limits(everybody: Limit) -> Limits {
        Limits::new(Configured {
            everybody,
            projects: BTreeMap::from([(
                ProjectId(4),
                Limit {
                    items_per_second: Some(u64::MAX),
                    ..Limit::default()
                },
            )]),
        })
    }

    fn admit(limits: &Limits, project: ProjectId, now: Duration) -> Result<(), Refused> {
        let mut headers = http::HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 700.into());
        let head = Head {
            headers,
            query: None,
            signal: petrel_wire::Signal::Logs,
            transport: petrel_receiver::Transport::Grpc,
            peer: None,
        };
        limits.admit(project, &head, now)
    }

    fn after(refused: &Refused) -> u64 {
        refused.retry_after().unwrap().as_secs()
    }

    #[test]
    fn who_owes_is_told_when_to_come_again_and_is_let_in_then() {
        let limits = limits(Limit {
            items_per_second: Some(100),
            ..Limit::default()
        });
        let at = Duration::from_secs;
        admit(&limits, SENDER, at(50)).unwrap();
        // The burst is a thousand; one request may go beyond.
        limits.pay(SENDER, 1, 1500);
        let refused = admit(&limits, SENDER, at(50)).unwrap_err();
        assert_eq!((refused.http_status(), refused.grpc_code()), (429, 8));
        assert_eq!(after(&refused), 5);
        assert!(refused.to_string().contains("limits.items_per_second"));
        assert_eq!(after(&admit(&limits, SENDER, at(52)).unwrap_err()), 3);
        admit(&limits, SENDER, at(55)).unwrap();
        // Another project owes nothing, and its own limit counts.
        limits.pay(ProjectId(4), 1, 1_000_000);
        admit(&limits, ProjectId(4), at(50)).unwrap();
    }

    #[test]
    fn a_pause_earns_one_burst_and_no_more() {
        let limits = limits(Limit {
            bytes_per_second: Some(10),
            ..Limit::default()
        });
        admit(&limits, SENDER, Duration::ZERO).unwrap();
        admit(&limits, SENDER, Duration::from_secs(1_000_000)).unwrap();
        limits.pay(SENDER, 101, 1);
        assert!(admit(&limits, SENDER, Duration::from_secs(1_000_000)).is_err());
    }

    #[test]
    fn without_a_limit_nothing_is_kept_of_anybody() {
        let limits = limits(Limit::default());
        admit(&limits, SENDER, Duration::ZERO).unwrap();
        limits.pay(SENDER, u64::MAX, u64::MAX);
        admit(&limits, SENDER, Duration::ZERO).unwrap();
        assert!(limits.lock().is_empty());
    }

    #[test]
    fn a_limit_that_is_set_while_we_run_counts_at_once_and_so_does_its_end() {
        let limits = limits(Limit::default());
        let own = OwnLimits::from([(LimitKind::ItemsPerSecond, Some(10))]);
        limits.set(BTreeMap::from([(SENDER, own)]));
        admit(&limits, SENDER, Duration::ZERO).unwrap();
        limits.pay(SENDER, 1, 200);
        let refused = admit(&limits, SENDER, Duration::ZERO).unwrap_err();
        assert!(
            refused.to_string().contains("project limits 3"),
            "{refused}"
        );
        let mut text = String::new();
        limits.render(&mut text);
        let labels = "{project=\"3\",limit=\"items_per_second\"}";
        for count in ["requests_total", "bytes_total"] {
            let value = if count == "bytes_total" { 700 } else { 1 };
            let line = format!("aggregator_limit_refused_{count}{labels} {value}\n");
            assert!(text.contains(&line), "{text}");
        }
        limits.set(Own::new());
        admit(&limits, SENDER, Duration::ZERO).unwrap();
    }
}
