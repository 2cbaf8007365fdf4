//! Filters: `{key, op, value}` to a condition.
//!
//! Keys are OpenTelemetry's, plus a few built in (`name`, `duration`, `status`...). A key that is
//! not built in is looked for in the item's own attributes and in those of its resource.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EVER, Param, Scope, Sql, Table, span_id, trace_id};
use crate::meaning::aliases::spellings;

/// One condition; several must hold together.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// An attribute key, or one of `service.name`, `name`, `duration` (nanoseconds, or a text
    /// such as `100ms`), `status`, `kind`, `severity`, `body`, `trace_id`, `span_id`.
    pub key: String,
    /// How to compare.
    pub op: Op,
    /// With what; not for `exists` and `missing`.
    #[serde(default)]
    pub value: Option<Value>,
}

/// How a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Equal.
    #[serde(rename = "=")]
    Equal,
    /// Not equal; also true where the key is missing.
    #[serde(rename = "!=")]
    NotEqual,
    /// Greater, as numbers.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal, as numbers.
    #[serde(rename = ">=")]
    AtLeast,
    /// Less, as numbers.
    #[serde(rename = "<")]
    Less,
    /// Less or equal, as numbers.
    #[serde(rename = "<=")]
    AtMost,
    /// Has this part, whatever its case.
    Contains,
    /// Is there.
    Exists,
    /// Is not there.
    Missing,
}

impl Op {
    fn sql(self) -> &'static str {
        match self {
            Self::Equal => " = ",
            Self::NotEqual => " != ",
            Self::Greater => " > ",
            Self::AtLeast => " >= ",
            Self::Less => " < ",
            Self::AtMost => " <= ",
            Self::Contains | Self::Exists | Self::Missing => "",
        }
    }

    fn orders(self) -> bool {
        matches!(
            self,
            Self::Greater | Self::AtLeast | Self::Less | Self::AtMost
        )
    }

    /// The operation of which this one is the opposite.
    fn negated(self) -> Option<Self> {
        match self {
            Self::NotEqual => Some(Self::Equal),
            Self::Missing => Some(Self::Exists),
            _ => None,
        }
    }
}

/// What a filter compares with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Value {
    /// `true` and `false`, as attributes spell them.
    Flag(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Flag(_) => None,
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
        .filter(|number: &f64| number.is_finite())
    }
}

/// A filter that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// An operation needs something to compare with.
    #[error("the filter on {0:?} has no value")]
    NoValue(String),
    /// `>` and its like compare numbers.
    #[error("the filter on {0:?} compares numbers; its value is none")]
    NotANumber(String),
    /// Names of severities, statuses, kinds and ids have a form.
    #[error("the filter on {0:?} cannot be compared with that; {1}")]
    BadValue(String, &'static str),
    /// Keys have bounds.
    #[error("a filter's key is empty or longer than 256 bytes")]
    BadKey,
    /// Filters have bounds.
    #[error("there are more than 50 filters")]
    TooMany,
}

/// Adds ` AND (...)` for each filter. `scope` is for the resources that attributes may be in.
pub(crate) fn push_all(
    sql: &mut Sql,
    table: Table,
    scope: &Scope,
    filters: &[Filter],
) -> Result<(), FilterError> {
    if filters.len() > 50 {
        return Err(FilterError::TooMany);
    }
    for filter in filters {
        if filter.key.is_empty() || filter.key.len() > 256 {
            return Err(FilterError::BadKey);
        }
        sql.push(" AND ");
        match filter.op.negated() {
            Some(positive) => {
                sql.push("NOT (");
                push_one(sql, table, scope, filter, positive)?;
            }
            None => {
                sql.push("(");
                push_one(sql, table, scope, filter, filter.op)?;
            }
        }
        sql.push(")");
    }
    Ok(())
}

fn push_one(
    sql: &mut Sql,
    table: Table,
    scope: &Scope,
    filter: &Filter,
    op: Op,
) -> Result<(), FilterError> {
    let spans = table == Table::Spans;
    let logs = table == Table::Logs;
    match filter.key.as_str() {
        "service.name" | "service_name" => push_text(sql, "service", "service != ''", filter, op),
        "name" if spans => push_text(sql, "name", "name != ''", filter, op),
        "status" if spans => push_word(sql, "toString(status)", filter, op),
        "status_message" if spans => {
            push_text(sql, "status_message", "status_message != ''", filter, op)
        }
        "kind" if spans => push_word(sql, "toString(kind)", filter, op),
        "duration" if spans => push_duration(sql, filter, op),
        "severity" if logs => push_severity(sql, filter, op),
        "body" if logs => push_text(sql, "body", "body != ''", filter, op),
        "trace_id" if spans || logs => push_trace_id(sql, filter, op),
        "span_id" if spans || logs => push_span_id(sql, filter, op),
        _ => push_attribute(sql, scope, filter, op),
    }
}

fn value(filter: &Filter) -> Result<&Value, FilterError> {
    filter
        .value
        .as_ref()
        .ok_or_else(|| FilterError::NoValue(filter.key.clone()))
}

fn number(filter: &Filter) -> Result<f64, FilterError> {
    value(filter)?
        .number()
        .ok_or_else(|| FilterError::NotANumber(filter.key.clone()))
}

fn push_text(
    sql: &mut Sql,
    column: &'static str,
    exists: &'static str,
    filter: &Filter,
    op: Op,
) -> Result<(), FilterError> {
    match op {
        Op::Exists => {
            sql.push(exists);
        }
        Op::Contains => {
            sql.push("positionCaseInsensitiveUTF8(")
                .push(column)
                .push(", ");
            sql.text(value(filter)?.text()).push(") > 0");
        }
        op if op.orders() => {
            sql.push("toFloat64OrNull(")
                .push(column)
                .push(")")
                .push(op.sql());
            sql.value("Float64", Param::Float(number(filter)?));
        }
        op => {
            sql.push(column).push(op.sql()).text(value(filter)?.text());
        }
    }
    Ok(())
}

/// An enum, whose words are lower case.
fn push_word(
    sql: &mut Sql,
    column: &'static str,
    filter: &Filter,
    op: Op,
) -> Result<(), FilterError> {
    if op.orders() {
        return Err(FilterError::BadValue(
            filter.key.clone(),
            "it has no order; use = or !=",
        ));
    }
    let lower = Filter {
        value: filter
            .value
            .as_ref()
            .map(|value| Value::Text(value.text().to_lowercase())),
        ..filter.clone()
    };
    push_text(sql, column, "1", &lower, op)
}

fn push_duration(sql: &mut Sql, filter: &Filter, op: Op) -> Result<(), FilterError> {
    if op == Op::Exists {
        sql.push("1");
        return Ok(());
    }
    if op == Op::Contains {
        return Err(FilterError::BadValue(filter.key.clone(), "use > or <"));
    }
    let nanos = match value(filter)? {
        Value::Text(text) => duration(text),
        other => other.number(),
    };
    let nanos = nanos.ok_or_else(|| FilterError::NotANumber(filter.key.clone()))?;
    sql.push("duration")
        .push(op.sql())
        .value("Float64", Param::Float(nanos));
    Ok(())
}

/// `1500`, `100ms`, `1.5s` to nanoseconds.
fn duration(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text
        .find(|c: char| c.is_alphabetic() || c == 'µ')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.trim().parse().ok()?;
    let unit = match unit.trim() {
        "" | "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    Some(number * unit).filter(|nanos| nanos.is_finite())
}

/// The name of a record's severity: its number decides, then the sender's word for it, then what the
/// body says (`level`, which orders all of them).
pub(crate) const SEVERITY: &str = "multiIf(severity_number = 0 AND severity_text != '', \
    upperUTF8(toString(severity_text)), level = 0, 'UNSET', level <= 4, 'TRACE', level <= 8, 'DEBUG', \
    level <= 12, 'INFO', level <= 16, 'WARN', level <= 20, 'ERROR', 'FATAL')";

fn push_severity(sql: &mut Sql, filter: &Filter, op: Op) -> Result<(), FilterError> {
    const NAMES: [(&str, f64); 7] = [
        ("TRACE", 1.0),
        ("DEBUG", 5.0),
        ("INFO", 9.0),
        ("WARN", 13.0),
        ("WARNING", 13.0),
        ("ERROR", 17.0),
        ("FATAL", 21.0),
    ];
    let upper = filter
        .value
        .as_ref()
        .map(|value| value.text().to_uppercase());
    let upper = upper.map(|name| {
        if name == "WARNING" {
            "WARN".to_owned()
        } else {
            name
        }
    });
    if op.orders() {
        let name = upper.ok_or_else(|| FilterError::NoValue(filter.key.clone()))?;
        let known = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, number)| *number);
        let number = known.or_else(|| name.parse().ok()).ok_or_else(|| {
            FilterError::BadValue(
                filter.key.clone(),
                "use TRACE, DEBUG, INFO, WARN, ERROR or FATAL",
            )
        })?;
        // `<= WARN` means all of WARN, whose numbers are 13 to 16.
        let number = match op {
            Op::AtMost | Op::Greater if known.is_some() => number + 3.0,
            _ => number,
        };
        sql.push("level")
            .push(op.sql())
            .value("Float64", Param::Float(number));
        return Ok(());
    }
    let filter = Filter {
        value: upper.map(Value::Text),
        ..filter.clone()
    };
    push_text(
        sql,
        SEVERITY,
        "level != 0 OR severity_text != ''",
        &filter,
        op,
    )
}

fn push_trace_id(sql: &mut Sql, filter: &Filter, op: Op) -> Result<(), FilterError> {
    match op {
        Op::Exists => {
            sql.push("trace_id != toFixedString('', 16)");
        }
        Op::Equal => {
            let id = trace_id(&value(filter)?.text()).ok_or_else(|| {
                FilterError::BadValue(filter.key.clone(), "a trace id has 32 hexadecimal digits")
            })?;
            sql.push("trace_id = toFixedString(unhex(")
                .text(id)
                .push("), 16)");
        }
        _ => return Err(FilterError::BadValue(filter.key.clone(), "use = or exists")),
    }
    Ok(())
}

fn push_span_id(sql: &mut Sql, filter: &Filter, op: Op) -> Result<(), FilterError> {
    match op {
        Op::Exists => {
            sql.push("span_id != 0");
        }
        Op::Equal => {
            let id = span_id(&value(filter)?.text()).ok_or_else(|| {
                FilterError::BadValue(filter.key.clone(), "a span id has 16 hexadecimal digits")
            })?;
            sql.push("span_id = ").value("UInt64", Param::Unsigned(id));
        }
        _ => return Err(FilterError::BadValue(filter.key.clone(), "use = or exists")),
    }
    Ok(())
}

/// In the item's own attributes, or in those of its resource.
fn push_attribute(
    sql: &mut Sql,
    scope: &Scope,
    filter: &Filter,
    op: Op,
) -> Result<(), FilterError> {
    push_in_any_spelling(sql, filter, op)?;
    sql.push(" OR resource_id IN (SELECT resource_id");
    sql.from(Table::Resources, scope, EVER).push(" AND ");
    push_in_any_spelling(sql, filter, op)?;
    sql.push(")");
    Ok(())
}

fn push_in_any_spelling(sql: &mut Sql, filter: &Filter, op: Op) -> Result<(), FilterError> {
    let spellings = spellings(&filter.key);
    if let [only] = spellings.as_slice() {
        return push_in_map(sql, only, filter, op);
    }
    sql.push("(");
    for (number, key) in spellings.into_iter().enumerate() {
        if number > 0 {
            sql.push(" OR ");
        }
        push_in_map(sql, key, filter, op)?;
    }
    sql.push(")");
    Ok(())
}

fn push_in_map(sql: &mut Sql, key: &str, filter: &Filter, op: Op) -> Result<(), FilterError> {
    // The map answers '' for what it does not have: ask whether it has it.
    sql.push("(mapContains(attributes, ").text(key).push(")");
    match op {
        Op::Exists => {}
        Op::Contains => {
            sql.push(" AND positionCaseInsensitiveUTF8(attributes[")
                .text(key)
                .push("], ");
            sql.text(value(filter)?.text()).push(") > 0");
        }
        op if op.orders() => {
            sql.push(" AND toFloat64OrNull(attributes[")
                .text(key)
                .push("])")
                .push(op.sql());
            sql.value("Float64", Param::Float(number(filter)?));
        }
        op => {
            sql.push(" AND attributes[")
                .text(key)
                .push("]")
                .push(op.sql());
            sql.text(value(filter)?.text());
        }
    }
    sql.push(")");
    Ok(())
}
