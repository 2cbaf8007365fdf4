//! Questions about metrics, and what is made of the answers.
//!
//! Points are first reduced per series and step, by the store for numbers and by
//! [`super::histograms`] for distributions; then series fall into groups here.

use std::collections::{BTreeMap, HashMap};

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::{self, Filter, FilterError};
use super::histograms::{self, Distribution};
use super::traces::Pairs;
use super::{NANOS_PER_S, Scope, Select, Sql, Table, Window, push_step};
use crate::meaning::units;

/// Series that one chart is made of.
pub const MOST_SERIES: usize = 1000;
/// Histogram points that one chart is made of.
pub const MOST_HISTOGRAMS: usize = 200_000;
/// How far before the window a counter's previous point is looked for.
const LOOK_BACK: i64 = 300 * NANOS_PER_S;

/// A metric in the list.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct ListedMetric {
    /// Its name.
    pub name: String,
    /// `gauge` and its like.
    pub kind: String,
    /// UCUM.
    pub unit_code: String,
    /// From the sender.
    pub about: String,
    /// Series.
    pub total: u64,
    /// Unix nanoseconds.
    pub last: i64,
}

/// The metrics of a project.
pub fn list(scope: &Scope, window: Window) -> Select<ListedMetric> {
    let mut sql = Sql::new(
        "SELECT toString(metric) AS name, toString(argMax(type, last_seen)) AS kind, \
         toString(argMax(unit, last_seen)) AS unit_code, \
         toString(argMax(description, last_seen)) AS about, uniqExact(fingerprint) AS total, \
         toUnixTimestamp64Nano(max(last_seen)) AS last",
    );
    sql.from(Table::Series, scope, window);
    sql.push(" GROUP BY metric ORDER BY metric").limit(10_000);
    sql.finish()
}

/// What a chart shows of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Mean of the points; of a histogram its sum by its count.
    Avg,
    /// Counters and histograms: the increase in the step. Gauges: the sum of each series' last.
    Sum,
    /// Smallest point.
    Min,
    /// Largest point.
    Max,
    /// Newest point.
    Last,
    /// Increase per second.
    Rate,
    /// Points; of a histogram what it counted.
    Count,
    /// Median of a histogram.
    P50,
    /// 90th percentile of a histogram.
    P90,
    /// 99th percentile of a histogram.
    P99,
}

impl Aggregate {
    fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P90 => Some(0.9),
            Self::P99 => Some(0.99),
            _ => None,
        }
    }
}

/// What is asked of a metric.
#[derive(Clone, Debug)]
pub struct MetricQuestion<'a> {
    /// Its name.
    pub metric: &'a str,
    /// When.
    pub window: Window,
    /// Which series.
    pub filters: &'a [Filter],
    /// Length of a step.
    pub step_ms: i64,
}

/// A series that takes part.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct FoundSeries {
    /// Hash of metric, labels and resource.
    pub id: u64,
    /// `gauge` and its like.
    pub kind: String,
    /// `delta`, `cumulative` or `unspecified`.
    pub how: String,
    /// Only ever grows.
    pub grows: bool,
    /// UCUM.
    pub unit_code: String,
    /// `service.name`.
    pub service_name: String,
    /// Its resource.
    pub resource: u64,
    /// Labels.
    pub pairs: Pairs,
}

impl FoundSeries {
    fn is_counter(&self) -> bool {
        self.grows || self.is_distribution()
    }

    /// Whether its points are histograms or summaries.
    pub fn is_distribution(&self) -> bool {
        !matches!(self.kind.as_str(), "gauge" | "sum")
    }

    fn is_cumulative(&self) -> bool {
        self.how == "cumulative" || self.kind == "summary"
    }
}

impl MetricQuestion<'_> {
    /// The series that take part.
    pub fn series(&self, scope: &Scope) -> Result<Select<FoundSeries>, FilterError> {
        let mut sql = Sql::new(
            "SELECT fingerprint AS id, toString(argMax(type, last_seen)) AS kind, \
             toString(argMax(temporality, last_seen)) AS how, \
             CAST(argMax(monotonic, last_seen), 'Bool') AS grows, \
             toString(argMax(unit, last_seen)) AS unit_code, toString(any(service)) AS service_name, \
             any(resource_id) AS resource, \
             CAST(any(s.attributes), 'Map(String, String)') AS pairs",
        );
        // A subquery, so that names in conditions are the table's and not those above.
        sql.push(" FROM (SELECT *");
        self.push_series(&mut sql, scope)?;
        sql.push(") AS s GROUP BY fingerprint ORDER BY fingerprint")
            .limit(MOST_SERIES + 1);
        Ok(sql.finish())
    }

    fn push_series(&self, sql: &mut Sql, scope: &Scope) -> Result<(), FilterError> {
        sql.from(Table::Series, scope, self.window);
        sql.push(" AND metric = ").text(self.metric);
        filters::push_all(sql, Table::Series, scope, self.filters)
    }

    /// The same series again, for the tables that know fingerprints alone.
    fn push_fingerprints(&self, sql: &mut Sql, scope: &Scope) -> Result<(), FilterError> {
        sql.push(" AND metric = ").text(self.metric);
        sql.push(" AND fingerprint IN (SELECT DISTINCT fingerprint");
        self.push_series(sql, scope)?;
        sql.push(" ORDER BY fingerprint")
            .limit(MOST_SERIES)
            .push(")");
        Ok(())
    }

    /// Points of gauges and sums, reduced per series and step.
    pub fn numbers(&self, scope: &Scope) -> Result<Select<NumberStep>, FilterError> {
        let mut sql = Sql::new(
            "SELECT fingerprint AS id, at, sum(value) AS total, count() AS points, \
             min(value) AS least, max(value) AS most, argMax(value, time) AS newest, \
             toUnixTimestamp64Nano(max(time)) AS newest_at, sum(increase) AS grown \
             FROM (SELECT fingerprint, time, value, ",
        );
        push_step(&mut sql, self.step_ms);
        // A counter that went down was restarted and counts from zero; one whose first point this
        // is counts from zero if it also started here.
        sql.push(
            " AS at, lagInFrame(toNullable(value)) OVER w AS before, \
             assumeNotNull(multiIf(isNotNull(before) AND value >= before, value - before, \
             isNotNull(before), value, start_time >= fromUnixTimestamp64Nano(",
        );
        let reach = self.window.starting_earlier(LOOK_BACK);
        sql.integer(reach.from());
        sql.push(", 'UTC') AND start_time < time, value, 0.)) AS increase");
        sql.from(Table::Samples, scope, reach);
        self.push_fingerprints(&mut sql, scope)?;
        sql.push(
            " AND NOT isNaN(value) WINDOW w AS (PARTITION BY fingerprint ORDER BY time \
             ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)) WHERE time >= fromUnixTimestamp64Nano(",
        );
        sql.integer(self.window.from());
        sql.push(", 'UTC') GROUP BY id, at ORDER BY id, at");
        Ok(sql.finish())
    }

    /// Points of histograms, as they are, series by series in order of time.
    pub fn distributions(&self, scope: &Scope) -> Result<Select<Distribution>, FilterError> {
        let mut sql = Sql::new(
            "SELECT fingerprint AS id, toUnixTimestamp64Nano(time) AS nanos, \
             toUnixTimestamp64Nano(start_time) AS since, count, sum, min, max, bounds, \
             bucket_counts, scale, zero_count, positive_offset, positive_counts, \
             negative_offset, negative_counts",
        );
        sql.from(
            Table::Histograms,
            scope,
            self.window.starting_earlier(LOOK_BACK),
        );
        self.push_fingerprints(&mut sql, scope)?;
        sql.push(" ORDER BY id, nanos").limit(MOST_HISTOGRAMS + 1);
        Ok(sql.finish())
    }
}

/// The points of one series in one step.
#[derive(Clone, Debug, Default, PartialEq, Row, Deserialize)]
pub struct NumberStep {
    /// Whose.
    pub id: u64,
    /// Unix milliseconds.
    pub at: i64,
    /// Sum of the values.
    pub total: f64,
    /// How many.
    pub points: u64,
    /// Smallest.
    pub least: f64,
    /// Largest.
    pub most: f64,
    /// Newest.
    pub newest: f64,
    /// Its time, Unix nanoseconds.
    pub newest_at: i64,
    /// What a cumulative counter grew by.
    pub grown: f64,
}

/// The labels of one line in a chart.
pub type Labels = BTreeMap<String, String>;

/// The lines of a chart, by their labels; `None` where there is nothing to show.
pub type Lines = BTreeMap<Labels, Vec<Option<f64>>>;

/// The group that a series falls into.
pub fn labels(
    series: &FoundSeries,
    resources: &HashMap<u64, Pairs>,
    group_by: &[String],
) -> Labels {
    let find = |pairs: &Pairs, key: &str| {
        pairs
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.clone())
    };
    group_by
        .iter()
        .map(|key| {
            let value = if key == "service.name" {
                Some(series.service_name.clone())
            } else {
                find(&series.pairs, key).or_else(|| {
                    resources
                        .get(&series.resource)
                        .and_then(|pairs| find(pairs, key))
                })
            };
            (key.clone(), value.unwrap_or_default())
        })
        .collect()
}

/// An aggregate that this kind of metric does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAggregate {
    /// `rate` of a gauge.
    #[error("rate is for counters; this metric goes up and down")]
    RateOfGauge,
    /// A percentile of numbers.
    #[error("percentiles are for histograms; this metric has single numbers")]
    PercentileOfNumbers,
    /// The last value of a histogram.
    #[error("a histogram has no last value; use avg, min, max, count, rate or a percentile")]
    LastOfHistogram,
}

/// Whether this can be asked of that series.
pub fn check(aggregate: Aggregate, series: &FoundSeries) -> Result<(), BadAggregate> {
    match aggregate {
        Aggregate::Rate if !series.is_counter() => Err(BadAggregate::RateOfGauge),
        Aggregate::Last if series.is_distribution() => Err(BadAggregate::LastOfHistogram),
        Aggregate::P50 | Aggregate::P90 | Aggregate::P99 if !series.is_distribution() => {
            Err(BadAggregate::PercentileOfNumbers)
        }
        _ => Ok(()),
    }
}

/// The steps of a chart.
#[derive(Clone, Debug)]
pub struct Grid<'a> {
    /// Unix milliseconds of each.
    pub times: &'a [i64],
    /// Their length.
    pub step_ms: i64,
}

impl Grid<'_> {
    fn row(&self, at_ms: i64) -> Option<usize> {
        let first = *self.times.first()?;
        let row = usize::try_from((at_ms - first).div_euclid(self.step_ms)).ok()?;
        (row < self.times.len()).then_some(row)
    }

    fn step_s(&self) -> f64 {
        self.step_ms as f64 / 1000.0
    }
}

/// Lines of gauges and sums.
pub fn number_lines(
    aggregate: Aggregate,
    series: &HashMap<u64, (&FoundSeries, Labels)>,
    steps: &[NumberStep],
    grid: &Grid<'_>,
) -> Lines {
    let mut groups: BTreeMap<&Labels, Vec<Option<NumberStep>>> = BTreeMap::new();
    for step in steps {
        let (Some((found, labels)), Some(row)) = (series.get(&step.id), grid.row(step.at)) else {
            continue;
        };
        let cells = groups
            .entry(labels)
            .or_insert_with(|| vec![None; grid.times.len()]);
        let mut step = step.clone();
        if !found.is_cumulative() {
            step.grown = step.total;
        }
        if !found.is_counter() {
            // What `sum` adds up of a gauge is where each series stands.
            step.grown = step.newest;
        }
        match &mut cells[row] {
            empty @ None => *empty = Some(step),
            Some(cell) => {
                cell.total += step.total;
                cell.points += step.points;
                cell.least = cell.least.min(step.least);
                cell.most = cell.most.max(step.most);
                cell.grown += step.grown;
                if step.newest_at > cell.newest_at {
                    (cell.newest, cell.newest_at) = (step.newest, step.newest_at);
                }
            }
        }
    }
    let value = |cell: &NumberStep| match aggregate {
        Aggregate::Avg => cell.total / cell.points as f64,
        Aggregate::Sum => cell.grown,
        Aggregate::Min => cell.least,
        Aggregate::Max => cell.most,
        Aggregate::Last | Aggregate::P50 | Aggregate::P90 | Aggregate::P99 => cell.newest,
        Aggregate::Rate => cell.grown / grid.step_s(),
        Aggregate::Count => cell.points as f64,
    };
    groups
        .into_iter()
        .map(|(labels, cells)| {
            let line = cells
                .iter()
                .map(|cell| cell.as_ref().map(value).filter(|v| v.is_finite()));
            (labels.clone(), line.collect())
        })
        .collect()
}

/// Lines of histograms.
pub fn distribution_lines(
    aggregate: Aggregate,
    series: &HashMap<u64, (&FoundSeries, Labels)>,
    points: &[Distribution],
    window: Window,
    grid: &Grid<'_>,
) -> Lines {
    let mut groups: BTreeMap<&Labels, Vec<Option<histograms::Merged>>> = BTreeMap::new();
    for line in points.chunk_by(|a, b| a.id == b.id) {
        let Some((found, labels)) = line.first().and_then(|point| series.get(&point.id)) else {
            continue;
        };
        let cells = groups
            .entry(labels)
            .or_insert_with(|| vec![None; grid.times.len()]);
        let mut before: Option<&Distribution> = None;
        for point in line {
            let grown = if found.is_cumulative() {
                let started_here = point.since >= window.starting_earlier(LOOK_BACK).from()
                    && point.since < point.nanos;
                match before.replace(point) {
                    Some(before) => point.since_then(before),
                    None if started_here => point.clone(),
                    None => continue,
                }
            } else {
                point.clone()
            };
            if point.nanos < window.from() {
                continue;
            }
            if let Some(row) = grid.row(point.nanos / super::NANOS_PER_MS) {
                cells[row].get_or_insert_default().add(&grown);
            }
        }
    }
    let value = |cell: &histograms::Merged| match aggregate {
        Aggregate::Avg | Aggregate::Last => cell.mean(),
        Aggregate::Sum => cell.sum(),
        Aggregate::Min => cell.min(),
        Aggregate::Max => cell.max(),
        Aggregate::Rate => Some(cell.count() / grid.step_s()),
        Aggregate::Count => Some(cell.count()),
        quantile => quantile.quantile().and_then(|q| cell.quantile(q)),
    };
    groups
        .into_iter()
        .map(|(labels, cells)| {
            let line = cells.iter().map(|cell| {
                cell.as_ref()
                    .and_then(value)
                    .filter(|value| value.is_finite())
            });
            (labels.clone(), line.collect())
        })
        .collect()
}

/// The unit of what is shown.
pub fn unit(aggregate: Aggregate, series: &FoundSeries) -> String {
    let unit = units::normalise(&series.unit_code);
    match aggregate {
        Aggregate::Count => "1".to_owned(),
        Aggregate::Rate if series.is_distribution() => "1/s".to_owned(),
        Aggregate::Rate if unit.is_empty() => "1/s".to_owned(),
        Aggregate::Rate => format!("{unit}/s"),
        _ => unit.to_owned(),
    }
}
