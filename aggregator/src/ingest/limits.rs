//! [`Limits`]: how much a project may send.
//!
//! Every limit is one over time, so that every refusal says when to come again and a sender that
//! keeps what was refused loses nothing. Rates are counted in debts: a request is let in while the
//! project owes nothing, whatever its size, and paid for once it was taken; who owes is refused
//! before a body is read, until time has paid. New series and attribute keys are counted by the
//! hour: when there have been too many, batches that bring none are still taken.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use petrel_receiver::Refused;
use petrel_spool::ProjectId;
use petrel_wire::Batch;

use super::cardinality;
use super::counters::{header, line};
use crate::config::{Limit, Limits as Configured};

/// A rate may be exceeded for as long as this, after a pause as long.
const BURST_S: u64 = 10;
/// Nobody is told to come again later than this for a rate.
const LONGEST: Duration = Duration::from_secs(300);
const HOUR_S: u64 = 3600;

/// What projects may send and have sent.
#[derive(Debug, Default)]
pub struct Limits {
    configured: Configured,
    usage: Mutex<HashMap<ProjectId, Usage>>,
}

#[derive(Debug, Default)]
struct Usage {
    bytes: Account,
    items: Account,
    hour: u64,
    series: HashSet<u64>,
    keys: HashSet<u64>,
    refused: BTreeMap<&'static str, u64>,
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
            usage: Mutex::default(),
        }
    }

    /// Before a body is read: whether the project may send at all.
    pub(super) fn admit(&self, project: ProjectId, now: Duration) -> Result<(), Refused> {
        let limit = self.configured.of(project);
        if limit.bytes_per_second.is_none() && limit.items_per_second.is_none() {
            return Ok(());
        }
        let mut usage = self.lock();
        let usage = usage.entry(project).or_default();
        for (name, rate, account) in [
            ("bytes_per_second", limit.bytes_per_second, &mut usage.bytes),
            ("items_per_second", limit.items_per_second, &mut usage.items),
        ] {
            let Some(rate) = rate else { continue };
            account.settle(rate, now);
            if let Some(after) = account.debt(rate) {
                *usage.refused.entry(name).or_default() += 1;
                return Err(Refused::Throttled {
                    after,
                    reason: format!(
                        "project {} may send {rate} {} and has sent more; what was refused may be \
                         sent again later. The limit is limits.{name} of the aggregator",
                        project.0,
                        name.replace('_', " "),
                    ),
                });
            }
        }
        Ok(())
    }

    /// Before a batch is taken: whether it brings more new series or keys than the hour has left.
    /// `wall` is in Unix seconds.
    pub(super) fn look(&self, project: ProjectId, batch: &Batch, wall: u64) -> Result<(), Refused> {
        let limit = self.configured.of(project);
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
        for (name, most, known, found) in [
            (
                "series_per_hour",
                limit.series_per_hour,
                &usage.series,
                &found.series,
            ),
            (
                "attribute_keys_per_hour",
                limit.attribute_keys_per_hour,
                &usage.keys,
                &found.keys,
            ),
        ] {
            let Some(most) = most else { continue };
            let new = found.iter().filter(|one| !known.contains(*one)).count() as u64;
            // A batch that alone is beyond the limit is taken by an hour that is still empty:
            // refused, it would be refused for ever.
            if new > 0 && known.len() as u64 + new > most && !known.is_empty() {
                *usage.refused.entry(name).or_default() += 1;
                return Err(Refused::Throttled {
                    after: Duration::from_secs(HOUR_S - wall % HOUR_S),
                    reason: format!(
                        "project {} may have {most} {} and this request brings {new} more; requests \
                         with known ones are taken, this one from the next hour on. Take off the \
                         label with the most values, or raise limits.{name} of the aggregator",
                        project.0,
                        name.replace('_', " "),
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
        let limit = self.configured.of(project);
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
        let refused = "aggregator_limit_refused_requests_total";
        header(
            out,
            refused,
            "Requests refused for a project's limit",
            "counter",
        );
        for (project, usage) in &projects {
            for (limit, count) in &usage.refused {
                let mut labels = String::new();
                // Writing to a String cannot fail.
                let _ = write!(labels, "project=\"{}\",limit=\"{limit}\"", project.0);
                line(out, format_args!("{refused}{{{labels}}} {count}"));
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

impl Configured {
    /// What counts for a project: its own where it has one, else everybody's.
    pub fn of(&self, project: ProjectId) -> Limit {
        let own = self.projects.get(&project).copied().unwrap_or_default();
        let all = self.everybody;
        Limit {
            bytes_per_second: own.bytes_per_second.or(all.bytes_per_second),
            items_per_second: own.items_per_second.or(all.items_per_second),
            series_per_hour: own.series_per_hour.or(all.series_per_hour),
            attribute_keys_per_hour: own.attribute_keys_per_hour.or(all.attribute_keys_per_hour),
        }
    }
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
        limits.admit(SENDER, at(50)).unwrap();
        // The burst is a thousand; one request may go beyond.
        limits.pay(SENDER, 1, 1500);
        let refused = limits.admit(SENDER, at(50)).unwrap_err();
        assert_eq!((refused.http_status(), refused.grpc_code()), (429, 8));
        assert_eq!(after(&refused), 5);
        assert!(refused.to_string().contains("limits.items_per_second"));
        assert_eq!(after(&limits.admit(SENDER, at(52)).unwrap_err()), 3);
        limits.admit(SENDER, at(55)).unwrap();
        // Another project owes nothing, and its own limit counts.
        limits.pay(ProjectId(4), 1, 1_000_000);
        limits.admit(ProjectId(4), at(50)).unwrap();
    }

    #[test]
    fn a_pause_earns_one_burst_and_no_more() {
        let limits = limits(Limit {
            bytes_per_second: Some(10),
            ..Limit::default()
        });
        limits.admit(SENDER, Duration::ZERO).unwrap();
        limits
            .admit(SENDER, Duration::from_secs(1_000_000))
            .unwrap();
        limits.pay(SENDER, 101, 1);
        assert!(
            limits
                .admit(SENDER, Duration::from_secs(1_000_000))
                .is_err()
        );
    }

    #[test]
    fn without_a_limit_nothing_is_kept_of_anybody() {
        let limits = limits(Limit::default());
        limits.admit(SENDER, Duration::ZERO).unwrap();
        limits.pay(SENDER, u64::MAX, u64::MAX);
        limits.admit(SENDER, Duration::ZERO).unwrap();
        assert!(limits.lock().is_empty());
    }
}
