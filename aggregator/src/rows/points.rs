//! Data points: `series` once, then `samples`, `histogram_samples` and `exemplars` by fingerprint.

use std::collections::HashMap;

use petrel_wire::Signal;
use petrel_wire::otlp::view::{
    self, Attributes, Exemplar, ExponentialPoint, HistogramPoint, Metric, MetricData, Number,
    NumberPoint, Repeated, Scope, SummaryPoint, Temporality,
};

use super::attributes::{Identity, Pairs, put_all, sorted, span_id, trace_id};
use super::columns::{
    Array, Day, Dictionary, Enum, Map, Maybe, Names, Nanos, Plain, Seconds, Seed, table,
};
use super::derived::Derived;
use super::groups::Whose;
use super::resources::{Handle, Resources};
use super::time::{Calendar, Moment, nanos};
use super::vocabulary::sample;
use super::{Block, Source};

#[derive(Debug)]
struct Type;

impl Names for Type {
    const KIND: &'static str = "Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, \
                                'exponential_histogram' = 4, 'summary' = 5)";
}

#[derive(Debug)]
struct Covers;

impl Names for Covers {
    const KIND: &'static str = "Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2)";
}

table! {
    /// As in `migrations/clickhouse`.
    SeriesColumns<'a> for "series" {
        project_id: Plain<u32>,
        metric: Dictionary<'a>,
        fingerprint: Plain<u64>,
        day: Plain<Day>,
        r#type: Enum<Type>,
        temporality: Enum<Covers>,
        monotonic: Plain<bool>,
        unit: Dictionary<'a>,
        description: Dictionary<'a>,
        service: Dictionary<'a>,
        scope_name: Dictionary<'a>,
        scope_version: Dictionary<'a>,
        resource_id: Plain<u64>,
        attributes: Map<'a>,
        last_seen: Plain<Nanos>,
        accepted: Plain<Seconds>,
    }
}

table! {
    /// As in `migrations/clickhouse`.
    SampleColumns<'a> for "samples" {
        project_id: Plain<u32>,
        metric: Dictionary<'a>,
        fingerprint: Plain<u64>,
        bucket: Plain<Seconds>,
        time: Plain<Nanos>,
        start_time: Plain<Nanos>,
        value: Plain<f64>,
        integer_rest: Plain<i64>,
        claimed_time: Plain<u64>,
        flags: Plain<u32>,
        accepted: Plain<Seconds>,
        batch: Dictionary<'a>,
    }
}

table! {
    /// As in `migrations/clickhouse`.
    HistogramColumns<'a> for "histogram_samples" {
        project_id: Plain<u32>,
        metric: Dictionary<'a>,
        fingerprint: Plain<u64>,
        bucket: Plain<Seconds>,
        time: Plain<Nanos>,
        start_time: Plain<Nanos>,
        count: Plain<u64>,
        sum: Maybe<f64>,
        min: Maybe<f64>,
        max: Maybe<f64>,
        bounds: Array<Plain<f64>>,
        bucket_counts: Array<Plain<u64>>,
        scale: Plain<i32>,
        zero_count: Plain<u64>,
        zero_threshold: Plain<f64>,
        positive_offset: Plain<i32>,
        positive_counts: Array<Plain<u64>>,
        negative_offset: Plain<i32>,
        negative_counts: Array<Plain<u64>>,
        quantiles: Array<Plain<f64>>,
        quantile_values: Array<Plain<f64>>,
        claimed_time: Plain<u64>,
        flags: Plain<u32>,
        accepted: Plain<Seconds>,
        batch: Dictionary<'a>,
    }
}

table! {
    /// As in `migrations/clickhouse`.
    ExemplarColumns<'a> for "exemplars" {
        project_id: Plain<u32>,
        metric: Dictionary<'a>,
        fingerprint: Plain<u64>,
        bucket: Plain<Seconds>,
        time: Plain<Nanos>,
        value: Plain<f64>,
        trace_id: Plain<[u8; 16]>,
        span_id: Plain<u64>,
        attributes: Map<'a>,
        accepted: Plain<Seconds>,
        batch: Dictionary<'a>,
    }
}

/// What all points of a metric share.
#[derive(Clone, Copy, Debug)]
struct Family<'a> {
    project: u32,
    accepted: Moment,
    origin: &'a str,
    resource: Handle,
    resource_id: u64,
    service: &'a str,
    scope: Scope<'a>,
    metric: Metric<'a>,
    kind: u8,
    temporality: Temporality,
    monotonic: bool,
}

impl Family<'_> {
    fn temporality(&self) -> u8 {
        match self.temporality {
            Temporality::Unspecified => 0,
            Temporality::Delta => 1,
            Temporality::Cumulative => 2,
        }
    }

    fn fingerprint(&self, pairs: &Pairs<'_>) -> u64 {
        Identity::default()
            .text(self.metric.name())
            .text(self.metric.unit())
            .number(u64::from(self.kind))
            .number(u64::from(self.temporality()))
            .number(u64::from(self.monotonic))
            .text(self.scope.name())
            .text(self.scope.version())
            .number(self.resource_id)
            .pairs(pairs)
            .hash()
    }
}

/// Where a point belongs.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    project: u32,
    metric: &'a str,
    fingerprint: u64,
    at: Moment,
    start: u64,
    claimed: u64,
    accepted: Moment,
    origin: &'a str,
}

impl<'a> Place<'a> {
    fn key(&self) -> (u16, u32, &'a str, u64, Moment) {
        (
            self.at.day(),
            self.project,
            self.metric,
            self.fingerprint,
            self.at,
        )
    }
}

/// A point that is more than a number.
#[derive(Clone, Copy, Debug)]
enum Distribution<'a> {
    Explicit(HistogramPoint<'a>),
    Exponential(ExponentialPoint<'a>),
    Summary(SummaryPoint<'a>),
}

#[derive(Debug)]
struct Series<'a> {
    family: Family<'a>,
    pairs: Pairs<'a>,
    last_seen: Moment,
    accepted: Moment,
}

/// Everything found in the metrics of one cut.
#[derive(Debug, Default)]
struct Found<'a> {
    series: HashMap<(u16, u32, u64), Series<'a>, Seed>,
    samples: Vec<(Place<'a>, NumberPoint<'a>)>,
    distributions: Vec<(Place<'a>, Distribution<'a>)>,
    exemplars: Vec<(Place<'a>, Exemplar<'a>)>,
}

pub(super) fn blocks<'a>(
    sources: impl Iterator<Item = &'a Source<'a>>,
    calendar: &mut Calendar,
    resources: &mut Resources<'a>,
    derived: &mut Derived<'a>,
) -> Vec<Block> {
    let mut found = Found::default();
    for source in sources {
        find(source, calendar, resources, &mut found);
    }
    let mut blocks = series(&found, derived);
    found.samples.sort_by_key(|(place, _)| place.key());
    found.distributions.sort_by_key(|(place, _)| place.key());
    found.exemplars.sort_by_key(|(place, _)| place.key());
    for rows in days(&found.samples) {
        blocks.push(samples(rows).finish(rows[0].0.at.day()));
    }
    for rows in days(&found.distributions) {
        blocks.push(distributions(rows).finish(rows[0].0.at.day()));
    }
    for rows in days(&found.exemplars) {
        blocks.push(exemplars(rows).finish(rows[0].0.at.day()));
    }
    blocks
}

fn days<'r, 'a, T>(rows: &'r [(Place<'a>, T)]) -> impl Iterator<Item = &'r [(Place<'a>, T)]> {
    rows.chunk_by(|a, b| a.0.at.day() == b.0.at.day())
}

fn find<'a>(
    source: &'a Source<'a>,
    calendar: &mut Calendar,
    resources: &mut Resources<'a>,
    found: &mut Found<'a>,
) {
    let accepted = Calendar::accepted(source.accepted.0);
    for of_resource in view::metrics(source.batch) {
        let handle = resources.describe(&of_resource.resource(), of_resource.schema_url());
        let (service, resource_id) = {
            let described = resources.get(handle);
            (described.service, described.id)
        };
        for of_scope in of_resource.scopes() {
            for metric in of_scope.metrics() {
                let Some(data) = metric.data() else { continue };
                let (kind, temporality, monotonic) = match data {
                    MetricData::Gauge(_) => (1, Temporality::Unspecified, false),
                    MetricData::Sum(sum) => (2, sum.temporality(), sum.is_monotonic()),
                    MetricData::Histogram(data) => (3, data.temporality(), false),
                    MetricData::Exponential(data) => (4, data.temporality(), false),
                    MetricData::Summary(_) => (5, Temporality::Unspecified, false),
                };
                let family = Family {
                    project: source.project.0,
                    accepted,
                    origin: source.origin,
                    resource: handle,
                    resource_id,
                    service,
                    scope: of_scope.scope(),
                    metric,
                    kind,
                    temporality,
                    monotonic,
                };
                found.take(&family, data, calendar, resources);
            }
        }
    }
}

impl<'a> Found<'a> {
    fn take(
        &mut self,
        family: &Family<'a>,
        data: MetricData<'a>,
        calendar: &mut Calendar,
        resources: &mut Resources<'a>,
    ) {
        let mut place = |found: &mut Self, attributes, times| {
            found.place(family, attributes, times, calendar, resources)
        };
        match data {
            MetricData::Gauge(data) => self.numbers(data.points(), place),
            MetricData::Sum(data) => self.numbers(data.points(), place),
            MetricData::Histogram(data) => {
                for point in data.points() {
                    let times = (point.time_unix_nano(), point.start_time_unix_nano());
                    let place = place(self, point.attributes(), times);
                    self.keep(place, point.exemplars());
                    self.distributions
                        .push((place, Distribution::Explicit(point)));
                }
            }
            MetricData::Exponential(data) => {
                for point in data.points() {
                    let times = (point.time_unix_nano(), point.start_time_unix_nano());
                    let place = place(self, point.attributes(), times);
                    self.keep(place, point.exemplars());
                    self.distributions
                        .push((place, Distribution::Exponential(point)));
                }
            }
            MetricData::Summary(data) => {
                for point in data.points() {
                    let times = (point.time_unix_nano(), point.start_time_unix_nano());
                    let place = place(self, point.attributes(), times);
                    self.distributions
                        .push((place, Distribution::Summary(point)));
                }
            }
        }
    }

    fn numbers(
        &mut self,
        points: Repeated<'a, NumberPoint<'a>>,
        mut place: impl FnMut(&mut Self, Attributes<'a>, (u64, u64)) -> Place<'a>,
    ) {
        for point in points {
            let times = (point.time_unix_nano(), point.start_time_unix_nano());
            let place = place(self, point.attributes(), times);
            self.keep(place, point.exemplars());
            self.samples.push((place, point));
        }
    }

    fn place(
        &mut self,
        family: &Family<'a>,
        attributes: Attributes<'a>,
        (time, start): (u64, u64),
        calendar: &mut Calendar,
        resources: &mut Resources<'a>,
    ) -> Place<'a> {
        let (at, claimed) =
            calendar.place((family.project, Signal::Metrics), time, family.accepted);
        resources.refer(family.resource, family.project, at.day(), family.accepted);
        let pairs = sorted(attributes);
        let fingerprint = family.fingerprint(&pairs);
        let series = self
            .series
            .entry((at.day(), family.project, fingerprint))
            .or_insert_with(|| Series {
                family: *family,
                pairs,
                last_seen: at,
                accepted: family.accepted,
            });
        series.last_seen = series.last_seen.max(at);
        series.accepted = series.accepted.max(family.accepted);
        Place {
            project: family.project,
            metric: family.metric.name(),
            fingerprint,
            at,
            start,
            claimed: claimed.unwrap_or(0),
            accepted: family.accepted,
            origin: family.origin,
        }
    }

    /// On the day of the point that they belong to, so that they travel in as few inserts.
    fn keep(&mut self, place: Place<'a>, exemplars: Repeated<'a, Exemplar<'a>>) {
        self.exemplars
            .extend(exemplars.map(|exemplar| (place, exemplar)));
    }
}

fn series<'a>(found: &Found<'a>, derived: &mut Derived<'a>) -> Vec<Block> {
    let mut rows: Vec<_> = found.series.iter().collect();
    rows.sort_unstable_by_key(|((day, project, fingerprint), series)| {
        (*day, *project, series.family.metric.name(), *fingerprint)
    });
    let (stride, sampled) = sample(rows.len());
    for (_, series) in sampled.map(|at| &rows[at]) {
        let whose = Whose {
            project: series.family.project,
            service: series.family.service,
            environment: 0,
            at: series.last_seen,
            accepted: series.accepted,
        };
        let resource = series.family.resource_id;
        derived
            .vocabulary
            .series(&whose, resource, &series.pairs, stride);
    }
    let mut blocks = Vec::new();
    for rows in rows.chunk_by(|a, b| a.0.0 == b.0.0) {
        let day = rows[0].0.0;
        let mut columns = SeriesColumns::default();
        for ((_, project, fingerprint), series) in rows {
            let family = &series.family;
            columns.rows += 1;
            columns.project_id.push(*project);
            columns.metric.push(family.metric.name());
            columns.fingerprint.push(*fingerprint);
            columns.day.push(Day(day));
            columns.r#type.push(family.kind);
            columns.temporality.push(family.temporality());
            columns.monotonic.push(family.monotonic);
            columns.unit.push(family.metric.unit());
            columns.description.push(family.metric.description());
            columns.service.push(family.service);
            columns.scope_name.push(family.scope.name());
            columns.scope_version.push(family.scope.version());
            columns.resource_id.push(family.resource_id);
            for (key, value) in &series.pairs {
                columns.attributes.put(key, value);
            }
            columns.attributes.end_row();
            columns.last_seen.push(series.last_seen.nanos());
            columns.accepted.push(series.accepted.seconds());
        }
        blocks.push(columns.finish(day));
    }
    blocks
}

/// A number as a double, and what of an integer a double cannot hold.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, as toInt64 of a reader must"
)]
fn split(number: Option<Number>) -> (f64, i64) {
    match number {
        None => (f64::NAN, 0),
        Some(Number::Double(value)) => (value, 0),
        Some(number @ Number::Int(exact)) => {
            let value = number.as_f64();
            let rest = i128::from(exact) - value as i128;
            (value, i64::try_from(rest).unwrap_or(0))
        }
    }
}

fn samples<'a>(rows: &[(Place<'a>, NumberPoint<'a>)]) -> SampleColumns<'a> {
    let mut columns = SampleColumns::default();
    for (place, point) in rows {
        let (value, rest) = split(point.value());
        columns.rows += 1;
        columns.project_id.push(place.project);
        columns.metric.push(place.metric);
        columns.fingerprint.push(place.fingerprint);
        columns.bucket.push(place.at.bucket());
        columns.time.push(place.at.nanos());
        columns.start_time.push(nanos(place.start));
        columns.value.push(value);
        columns.integer_rest.push(rest);
        columns.claimed_time.push(place.claimed);
        columns.flags.push(point.flags());
        columns.accepted.push(place.accepted.seconds());
        columns.batch.push(place.origin);
    }
    columns
}

fn distributions<'a>(rows: &[(Place<'a>, Distribution<'a>)]) -> HistogramColumns<'a> {
    let mut columns = HistogramColumns::default();
    for (place, point) in rows {
        columns.rows += 1;
        columns.project_id.push(place.project);
        columns.metric.push(place.metric);
        columns.fingerprint.push(place.fingerprint);
        columns.bucket.push(place.at.bucket());
        columns.time.push(place.at.nanos());
        columns.start_time.push(nanos(place.start));
        columns.claimed_time.push(place.claimed);
        columns.accepted.push(place.accepted.seconds());
        columns.batch.push(place.origin);
        match point {
            Distribution::Explicit(point) => columns.explicit(point),
            Distribution::Exponential(point) => columns.exponential(point),
            Distribution::Summary(point) => columns.summary(point),
        }
    }
    columns
}

/// The part of a row that only exponential histograms have.
#[derive(Default)]
struct Exponents<'a> {
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: view::Buckets<'a>,
    negative: view::Buckets<'a>,
}

impl HistogramColumns<'_> {
    fn explicit(&mut self, point: &HistogramPoint<'_>) {
        self.totals(
            point.count(),
            (point.sum(), point.min(), point.max()),
            point.flags(),
        );
        self.bounds.push(point.explicit_bounds());
        self.bucket_counts.push(point.bucket_counts());
        self.exponents(&Exponents::default());
        self.no_quantiles();
    }

    fn exponential(&mut self, point: &ExponentialPoint<'_>) {
        self.totals(
            point.count(),
            (point.sum(), point.min(), point.max()),
            point.flags(),
        );
        self.no_bounds();
        self.exponents(&Exponents {
            scale: point.scale(),
            zero_count: point.zero_count(),
            zero_threshold: point.zero_threshold(),
            positive: point.positive().unwrap_or_default(),
            negative: point.negative().unwrap_or_default(),
        });
        self.no_quantiles();
    }

    fn summary(&mut self, point: &SummaryPoint<'_>) {
        self.totals(
            point.count(),
            (Some(point.sum()), None, None),
            point.flags(),
        );
        self.no_bounds();
        self.exponents(&Exponents::default());
        self.quantiles
            .push(point.quantiles().map(|quantile| quantile.quantile()));
        self.quantile_values
            .push(point.quantiles().map(|quantile| quantile.value()));
    }

    fn totals(
        &mut self,
        count: u64,
        (sum, min, max): (Option<f64>, Option<f64>, Option<f64>),
        flags: u32,
    ) {
        self.count.push(count);
        self.sum.push(sum);
        self.min.push(min);
        self.max.push(max);
        self.flags.push(flags);
    }

    fn exponents(&mut self, of: &Exponents<'_>) {
        self.scale.push(of.scale);
        self.zero_count.push(of.zero_count);
        self.zero_threshold.push(of.zero_threshold);
        self.positive_offset.push(of.positive.offset());
        self.positive_counts.push(of.positive.counts());
        self.negative_offset.push(of.negative.offset());
        self.negative_counts.push(of.negative.counts());
    }

    fn no_bounds(&mut self) {
        self.bounds.end_row(0);
        self.bucket_counts.end_row(0);
    }

    fn no_quantiles(&mut self) {
        self.quantiles.end_row(0);
        self.quantile_values.end_row(0);
    }
}

fn exemplars<'a>(rows: &[(Place<'a>, Exemplar<'a>)]) -> ExemplarColumns<'a> {
    let mut columns = ExemplarColumns::default();
    let mut buffer = String::new();
    for (place, exemplar) in rows {
        columns.rows += 1;
        columns.project_id.push(place.project);
        columns.metric.push(place.metric);
        columns.fingerprint.push(place.fingerprint);
        columns.bucket.push(place.at.bucket());
        columns.time.push(nanos(exemplar.time_unix_nano()));
        columns.value.push(split(exemplar.value()).0);
        columns.trace_id.push(trace_id(exemplar.trace_id()));
        columns.span_id.push(span_id(exemplar.span_id()));
        put_all(
            &mut columns.attributes,
            exemplar.filtered_attributes(),
            &mut buffer,
        );
        columns.attributes.end_row();
        columns.accepted.push(place.accepted.seconds());
        columns.batch.push(place.origin);
    }
    columns
}
