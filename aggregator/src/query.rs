//! Queries: from a question to SQL text, parameters and the type of a row.
//!
//! Pure: no client, no clock, no I/O. What a user typed is never part of the text: it travels as a
//! server-side parameter, also where it names a key of a map. Which rows a question may read is
//! decided in one place, [`Sql::from`]: no table is named anywhere else, and there the project, the
//! five-minute bucket and the time always stand together (`time` alone does not prune by bucket).

pub mod cardinality;
pub mod edges;
pub mod filters;
pub mod groups;
pub mod histograms;
pub mod keys;
pub mod logs;
pub mod metrics;
pub mod rollups;
pub mod services;
pub mod traces;

use std::marker::PhantomData;

use petrel_spool::ProjectId;
use serde::{Serialize, Serializer};

use crate::metadata::Project;

use rollups::Level;

pub use filters::{Filter, FilterError, Op, Value};

/// Proof that somebody may read these projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(Vec<u64>);

impl Scope {
    /// One project, which metadata has given out for a user.
    pub fn of(project: &Project) -> Self {
        Self(vec![u64::from(project.id.0)])
    }

    /// Every project that metadata has given out for a user.
    pub fn of_all(projects: &[Project]) -> Self {
        Self(
            projects
                .iter()
                .map(|project| u64::from(project.id.0))
                .collect(),
        )
    }

    /// The project, when it is one.
    pub fn project(&self) -> Option<ProjectId> {
        match self.0.as_slice() {
            [one] => u32::try_from(*one).ok().map(ProjectId),
            _ => None,
        }
    }
}

const NANOS_PER_MS: i64 = 1_000_000;
const NANOS_PER_S: i64 = 1_000_000_000;
/// What the column `bucket` is rounded down to.
const BUCKET_S: i64 = 300;

/// A stretch of time: from (included) to (excluded), Unix nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: i64,
    to: i64,
}

/// Tables reach no further; ClickHouse's `DateTime` ends in 2106.
const LAST: i64 = 4_294_967_295 * NANOS_PER_S;

impl Window {
    /// `None` if it is empty or beyond what tables hold.
    pub fn new(from: i64, to: i64) -> Option<Self> {
        (0 <= from && from < to && to <= LAST).then_some(Self { from, to })
    }

    /// Both ends belong to it.
    pub fn including(first: i64, last: i64) -> Self {
        let from = first.clamp(0, LAST - 1);
        Self {
            from,
            to: last.saturating_add(1).clamp(from + 1, LAST),
        }
    }

    /// Its first nanosecond.
    pub fn from(self) -> i64 {
        self.from
    }

    /// The nanosecond after its last.
    pub fn to(self) -> i64 {
        self.to
    }

    /// Reaches back further.
    #[must_use]
    pub fn starting_earlier(self, by_ns: i64) -> Self {
        Self {
            from: (self.from - by_ns).max(0),
            ..self
        }
    }

    /// The newest part, growing backwards to the whole: a list stops as soon as it is full. Each
    /// part contains the one before it, so that groups which straddle an edge come out whole.
    pub fn newest_first(self) -> impl Iterator<Item = Self> {
        const REACH: [i64; 3] = [
            900 * NANOS_PER_S,
            3 * 3600 * NANOS_PER_S,
            24 * 3600 * NANOS_PER_S,
        ];
        REACH
            .into_iter()
            .map(move |reach| self.to - reach)
            .filter(move |from| *from > self.from)
            .chain([self.from])
            .map(move |from| Self { from, ..self })
    }
}

/// A value on its way to the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// `String`.
    Text(String),
    /// `Array(UInt64)`, `Array(UInt32)`.
    Numbers(Vec<u64>),
    /// `Int64`.
    Integer(i64),
    /// `UInt64`.
    Unsigned(u64),
    /// `Float64`.
    Float(f64),
}

impl Serialize for Param {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Numbers(numbers) => numbers.serialize(serializer),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Unsigned(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
        }
    }
}

/// A question that can be asked: its rows are of type `R`, column by column.
#[derive(Clone, Debug)]
pub struct Select<R> {
    sql: String,
    params: Vec<(String, Param)>,
    rows: PhantomData<fn() -> R>,
}

impl<R> Select<R> {
    /// The text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What its `{name:Type}` stand for.
    pub fn params(&self) -> &[(String, Param)] {
        &self.params
    }
}

/// Where rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Spans,
    Logs,
    Samples,
    Histograms,
    TraceIndex,
    Resources,
    Series,
    Vocabulary,
    Groups(Level),
    Edges,
}

/// Text and parameters under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    text: String,
    params: Vec<(String, Param)>,
}

impl Sql {
    fn new(text: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            params: Vec::new(),
        }
    }

    /// Text of ours. `'static` keeps what users typed out of it.
    fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A value of theirs.
    fn value(&mut self, kind: &'static str, value: Param) -> &mut Self {
        // Equal values share a parameter: texts stay short and snapshots readable.
        let known = self.params.iter().position(|(name, known)| {
            *known == value && name.starts_with('p') && !matches!(value, Param::Numbers(_))
        });
        let number = known.unwrap_or(self.params.len());
        if known.is_none() {
            self.params.push((format!("p{number}"), value));
        }
        for part in ["{p", &number.to_string(), ":", kind, "}"] {
            self.text.push_str(part);
        }
        self
    }

    fn text(&mut self, value: impl Into<String>) -> &mut Self {
        self.value("String", Param::Text(value.into()))
    }

    fn integer(&mut self, value: i64) -> &mut Self {
        self.value("Int64", Param::Integer(value))
    }

    fn limit(&mut self, rows: usize) -> &mut Self {
        self.push(" LIMIT ")
            .value("UInt64", Param::Unsigned(rows as u64))
    }

    /// ` FROM table WHERE <project> AND <bucket> AND <time>`: the only way to name a table.
    fn from(&mut self, table: Table, scope: &Scope, window: Window) -> &mut Self {
        self.push(match table {
            Table::Spans => " FROM span_rows WHERE ",
            Table::Logs => " FROM log_rows WHERE ",
            Table::Samples => " FROM samples WHERE ",
            Table::Histograms => " FROM histogram_samples WHERE ",
            Table::TraceIndex => " FROM trace_index WHERE ",
            Table::Resources => " FROM resources WHERE ",
            Table::Series => " FROM series WHERE ",
            Table::Vocabulary => " FROM attribute_values WHERE ",
            Table::Groups(Level::Minutes) => " FROM group_minutes WHERE ",
            Table::Groups(Level::FiveMinutes) => " FROM group_five_minutes WHERE ",
            Table::Groups(Level::Hours) => " FROM group_hours WHERE ",
            Table::Edges => " FROM service_edges WHERE ",
        });
        match scope.0.as_slice() {
            [one] => {
                self.push("project_id = ")
                    .value("UInt32", Param::Unsigned(*one));
            }
            all => {
                self.push("has(")
                    .value("Array(UInt32)", Param::Numbers(all.to_vec()));
                self.push(", project_id)");
            }
        }
        let (from, last) = (window.from, window.to - 1);
        match table {
            Table::Spans | Table::Logs | Table::Samples | Table::Histograms => {
                let bucket = |at: i64| at.div_euclid(NANOS_PER_S * BUCKET_S) * BUCKET_S;
                self.push(" AND bucket >= toDateTime(")
                    .integer(bucket(from));
                self.push(", 'UTC') AND bucket <= toDateTime(")
                    .integer(bucket(last));
                self.push(", 'UTC') AND time >= fromUnixTimestamp64Nano(")
                    .integer(from);
                self.push(", 'UTC') AND time <= fromUnixTimestamp64Nano(")
                    .integer(last);
                self.push(", 'UTC')");
            }
            Table::Series => {
                let day = |at: i64| at.div_euclid(NANOS_PER_S);
                self.push(" AND day >= toDate(toDateTime(")
                    .integer(day(from));
                self.push(", 'UTC')) AND day <= toDate(toDateTime(")
                    .integer(day(last));
                self.push(", 'UTC'))");
            }
            // Steps that the window touches, as wholes.
            Table::Vocabulary => self.steps(window, Level::Hours),
            Table::Groups(level) => self.steps(window, level),
            Table::Edges => self.steps(window, Level::Minutes),
            // Looked up by id; resources are few and outlive the day on which they were noted.
            Table::TraceIndex | Table::Resources => {}
        }
        self
    }

    fn steps(&mut self, window: Window, level: Level) {
        let seconds = level.step_s();
        let step = |at: i64| at.div_euclid(NANOS_PER_S * seconds) * seconds;
        self.push(" AND time >= toDateTime(")
            .integer(step(window.from));
        self.push(", 'UTC') AND time <= toDateTime(")
            .integer(step(window.to - 1));
        self.push(", 'UTC')");
    }

    fn finish<R>(self) -> Select<R> {
        Select {
            sql: self.text,
            params: self.params,
            rows: PhantomData,
        }
    }
}

/// The whole of time, for tables that are looked up by id.
pub(crate) const EVER: Window = Window { from: 0, to: LAST };

/// `(expression)` of the step that a row falls into, as Unix milliseconds.
fn push_step(sql: &mut Sql, step_ms: i64) {
    sql.push("intDiv(toUnixTimestamp64Milli(time), ")
        .integer(step_ms);
    sql.push(") * ").integer(step_ms);
}

/// The times of a chart's steps: every one that the window touches, Unix milliseconds.
pub fn steps(window: Window, step_ms: i64) -> Vec<i64> {
    let first = (window.from / NANOS_PER_MS).div_euclid(step_ms) * step_ms;
    let last = (window.to - 1) / NANOS_PER_MS;
    std::iter::successors(Some(first), |at| Some(at + step_ms))
        .take_while(|at| *at <= last)
        .collect()
}

/// The step that a chart of about sixty points has, and never more than a thousand.
pub fn step_ms(window: Window, asked: Option<i64>) -> i64 {
    const NICE_S: [i64; 18] = [
        1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400,
        604_800, 2_592_000,
    ];
    let range_ms = (window.to - window.from) / NANOS_PER_MS;
    let least = (range_ms / 1000).max(1);
    if let Some(asked) = asked {
        return asked.max(least).max(1000);
    }
    NICE_S
        .into_iter()
        .map(|seconds| seconds * 1000)
        .find(|step| range_ms / step <= 90)
        .unwrap_or_else(|| (least / 86_400_000 + 1) * 86_400_000)
}

/// Reads 32 hexadecimal digits, with or without a UUID's dashes.
pub fn trace_id(text: &str) -> Option<String> {
    let id = text.replace('-', "").to_ascii_lowercase();
    let hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

/// Reads up to 16 hexadecimal digits.
pub fn span_id(text: &str) -> Option<u64> {
    // `from_str_radix` alone would take a sign.
    let hex = text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u64::from_str_radix(text, 16).ok().filter(|_| hex);
    id.filter(|id| *id != 0)
}

/// As OpenTelemetry writes it; empty for none.
pub fn span_hex(id: u64) -> String {
    if id == 0 {
        String::new()
    } else {
        format!("{id:016x}")
    }
}

#[cfg(test)]
mod tests;
