//! Views of `opentelemetry.proto.metrics.v1`.

use super::{
    Attributes, Doubles, Fields, Integers, Repeated, Resource, Scope, View as _, Wire, boolean,
    bytes, double, fixed64, int32, one, sint32, some, some_double, text, uint32, view,
};

view! {
    /// The metrics of one resource.
    ResourceMetrics {
        /// What the metrics are about; empty if the sender named none.
        1 resource: Resource<'a> = one;
        /// The schema of the resource's attributes.
        3 schema_url: &'a str = text;
    }
    repeated {
        /// The metrics, by the library that recorded them.
        2 scopes -> Repeated<'a, ScopeMetrics<'a>> = Repeated::new;
    }
}

view! {
    /// The metrics of one instrumentation scope.
    ScopeMetrics {
        /// Who recorded them; empty if the sender named none.
        1 scope: Scope<'a> = one;
        /// The schema of the scope's and the metrics' attributes.
        3 schema_url: &'a str = text;
    }
    repeated {
        /// The metrics.
        2 metrics -> Repeated<'a, Metric<'a>> = Repeated::new;
    }
}

view! {
    /// One metric with its data points.
    Metric {
        /// Its name.
        1 name: &'a str = text;
        /// What it measures, in words.
        2 description: &'a str = text;
        /// Its unit, in UCUM.
        3 unit: &'a str = text;
    }
    repeated {
        /// Attributes of the metric itself.
        12 metadata -> Attributes<'a> = Attributes::new;
    }
}

impl<'a> Metric<'a> {
    /// The data points and what kind they are; nothing if the sender gave none, or a kind that
    /// this version does not know.
    pub fn data(&self) -> Option<MetricData<'a>> {
        MetricData::find(self.bytes)
    }
}

/// The five kinds of metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricData<'a> {
    /// Values as they are now.
    Gauge(Gauge<'a>),
    /// Values that add up.
    Sum(Sum<'a>),
    /// Distributions over explicit bounds.
    Histogram(Histogram<'a>),
    /// Distributions over bounds that grow exponentially.
    Exponential(Exponential<'a>),
    /// Quantiles computed by the source.
    Summary(Summary<'a>),
}

impl<'a> MetricData<'a> {
    fn find(metric: &'a [u8]) -> Option<Self> {
        let mut data = None;
        for field in Fields::new(metric) {
            let Wire::Len(bytes) = field.value else {
                continue;
            };
            data = match field.number {
                5 => Some(Self::Gauge(Gauge::read(bytes))),
                7 => Some(Self::Sum(Sum::read(bytes))),
                9 => Some(Self::Histogram(Histogram::read(bytes))),
                10 => Some(Self::Exponential(Exponential::read(bytes))),
                11 => Some(Self::Summary(Summary::read(bytes))),
                _ => data,
            };
        }
        data
    }
}

/// Whether a point covers the time since the last one or since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// The sender did not say, or said something this version does not know.
    #[default]
    Unspecified,
    /// Since the previous point.
    Delta,
    /// Since `start_time_unix_nano`.
    Cumulative,
}

fn temporality(value: Wire<'_>) -> Option<Temporality> {
    int32(value).map(|code| match code {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    })
}

view! {
    /// Values as they are now.
    Gauge {}
    repeated {
        /// The points.
        1 points -> Repeated<'a, NumberPoint<'a>> = Repeated::new;
    }
}

view! {
    /// Values that add up.
    Sum {
        /// What a point covers.
        2 temporality: Temporality = temporality;
        /// It never goes down.
        3 is_monotonic: bool = boolean;
    }
    repeated {
        /// The points.
        1 points -> Repeated<'a, NumberPoint<'a>> = Repeated::new;
    }
}

view! {
    /// Distributions over explicit bounds.
    Histogram {
        /// What a point covers.
        2 temporality: Temporality = temporality;
    }
    repeated {
        /// The points.
        1 points -> Repeated<'a, HistogramPoint<'a>> = Repeated::new;
    }
}

view! {
    /// Distributions over bounds that grow exponentially.
    Exponential {
        /// What a point covers.
        2 temporality: Temporality = temporality;
    }
    repeated {
        /// The points.
        1 points -> Repeated<'a, ExponentialPoint<'a>> = Repeated::new;
    }
}

view! {
    /// Quantiles computed by the source.
    Summary {}
    repeated {
        /// The points.
        1 points -> Repeated<'a, SummaryPoint<'a>> = Repeated::new;
    }
}

/// The value of a number point or an exemplar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `as_int`
    Int(i64),
    /// `as_double`
    Double(f64),
}

impl Number {
    /// As a float; integers beyond 2^53 lose their last digits.
    #[expect(clippy::cast_precision_loss, reason = "said so")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

fn some_number_double(value: Wire<'_>) -> Option<Option<Number>> {
    double(value).map(|value| Some(Number::Double(value)))
}

fn some_number_int(value: Wire<'_>) -> Option<Option<Number>> {
    fixed64(value).map(|value| Some(Number::Int(value.cast_signed())))
}

view! {
    /// One value of a gauge or a sum.
    NumberPoint {
        /// From when the value counts, nanoseconds since the Unix epoch; 0 if not known.
        2 start_time_unix_nano: u64 = fixed64;
        /// When it was taken, nanoseconds since the Unix epoch.
        3 time_unix_nano: u64 = fixed64;
        /// The value; nothing if the sender gave none.
        4 value: Option<Number> = some_number_double, 6 = some_number_int;
        /// `DataPointFlags`: 1 means that no value was recorded.
        8 flags: u32 = uint32;
    }
    repeated {
        /// The attributes.
        7 attributes -> Attributes<'a> = Attributes::new;
        /// Single measurements behind the value.
        5 exemplars -> Repeated<'a, Exemplar<'a>> = Repeated::new;
    }
}

view! {
    /// One distribution over explicit bounds.
    HistogramPoint {
        /// From when it counts, nanoseconds since the Unix epoch; 0 if not known.
        2 start_time_unix_nano: u64 = fixed64;
        /// When it was taken, nanoseconds since the Unix epoch.
        3 time_unix_nano: u64 = fixed64;
        /// How many measurements.
        4 count: u64 = fixed64;
        /// Their sum, if it means something.
        5 sum: Option<f64> = some_double;
        /// `DataPointFlags`: 1 means that no value was recorded.
        10 flags: u32 = uint32;
        /// The smallest measurement.
        11 min: Option<f64> = some_double;
        /// The largest measurement.
        12 max: Option<f64> = some_double;
    }
    repeated {
        /// The attributes.
        9 attributes -> Attributes<'a> = Attributes::new;
        /// How many fell into each bucket; one more than bounds, or none at all.
        6 bucket_counts -> Integers<'a> = Integers::fixed;
        /// Upper bounds of all buckets but the last, ascending.
        7 explicit_bounds -> Doubles<'a> = Doubles::new;
        /// Single measurements behind the distribution.
        8 exemplars -> Repeated<'a, Exemplar<'a>> = Repeated::new;
    }
}

view! {
    /// One distribution over bounds that grow by `2^(2^-scale)`.
    ExponentialPoint {
        /// From when it counts, nanoseconds since the Unix epoch; 0 if not known.
        2 start_time_unix_nano: u64 = fixed64;
        /// When it was taken, nanoseconds since the Unix epoch.
        3 time_unix_nano: u64 = fixed64;
        /// How many measurements.
        4 count: u64 = fixed64;
        /// Their sum, if it means something.
        5 sum: Option<f64> = some_double;
        /// The resolution.
        6 scale: i32 = sint32;
        /// Measurements too close to zero for a bucket.
        7 zero_count: u64 = fixed64;
        /// The positive buckets.
        8 positive: Option<Buckets<'a>> = some;
        /// The negative buckets.
        9 negative: Option<Buckets<'a>> = some;
        /// `DataPointFlags`: 1 means that no value was recorded.
        10 flags: u32 = uint32;
        /// The smallest measurement.
        12 min: Option<f64> = some_double;
        /// The largest measurement.
        13 max: Option<f64> = some_double;
        /// What counts as zero.
        14 zero_threshold: f64 = double;
    }
    repeated {
        /// The attributes.
        1 attributes -> Attributes<'a> = Attributes::new;
        /// Single measurements behind the distribution.
        11 exemplars -> Repeated<'a, Exemplar<'a>> = Repeated::new;
    }
}

view! {
    /// A run of exponential buckets.
    Buckets {
        /// The index of the first one.
        1 offset: i32 = sint32;
    }
    repeated {
        /// How many fell into each.
        2 counts -> Integers<'a> = Integers::varint;
    }
}

view! {
    /// One set of quantiles.
    SummaryPoint {
        /// From when it counts, nanoseconds since the Unix epoch; 0 if not known.
        2 start_time_unix_nano: u64 = fixed64;
        /// When it was taken, nanoseconds since the Unix epoch.
        3 time_unix_nano: u64 = fixed64;
        /// How many measurements.
        4 count: u64 = fixed64;
        /// Their sum.
        5 sum: f64 = double;
        /// `DataPointFlags`: 1 means that no value was recorded.
        8 flags: u32 = uint32;
    }
    repeated {
        /// The attributes.
        7 attributes -> Attributes<'a> = Attributes::new;
        /// The quantiles.
        6 quantiles -> Repeated<'a, Quantile<'a>> = Repeated::new;
    }
}

view! {
    /// A value that a share of the measurements stays below.
    Quantile {
        /// The share, from 0 to 1.
        1 quantile: f64 = double;
        /// The value.
        2 value: f64 = double;
    }
}

view! {
    /// A single measurement, with the trace it was made in.
    Exemplar {
        /// When, nanoseconds since the Unix epoch.
        2 time_unix_nano: u64 = fixed64;
        /// The value; nothing if the sender gave none.
        3 value: Option<Number> = some_number_double, 6 = some_number_int;
        /// The span; 8 bytes if valid, mostly empty.
        4 span_id: &'a [u8] = bytes;
        /// The trace; 16 bytes if valid, mostly empty.
        5 trace_id: &'a [u8] = bytes;
    }
    repeated {
        /// Attributes that the aggregation dropped.
        7 filtered_attributes -> Attributes<'a> = Attributes::new;
    }
}
