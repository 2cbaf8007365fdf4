//! Who calls whom.
//!
//! Calls whose sides came in one insert were counted then. Of the others, both spans are marked as
//! the side of a call (`call_side`), and find each other here. Neither alone would do.

use clickhouse::Row;
use serde::Deserialize;

use super::{LAST, NANOS_PER_S, Scope, Select, Sql, Table, Window};

/// Edges given.
const GIVEN: usize = 2000;
/// The other side of a call that is just outside of the window is looked for this far.
const REACH: i64 = 300 * NANOS_PER_S;

/// Calls from one to another.
#[derive(Clone, Debug, Row, Deserialize)]
pub struct Edge {
    /// A service.
    pub source: String,
    /// A service, `db:postgresql`, `messaging:kafka`, or the peer's name.
    pub target: String,
    /// `http`, `rpc`, `db`, `messaging`, or nothing that is known.
    pub way: String,
    /// Calls.
    pub total: u64,
    /// Calls with an error on either side.
    pub failed: u64,
    /// Durations as the caller saw them, by bucket,
    pub client_marks: Vec<i16>,
    /// and how many are in it.
    pub client_counts: Vec<u64>,
    /// Durations as the called side saw them, by bucket,
    pub server_marks: Vec<i16>,
    /// and how many are in it.
    pub server_counts: Vec<u64>,
}

/// Edges of a window of whole minutes, the busiest first.
pub fn list(scope: &Scope, window: Window) -> Select<Edge> {
    let minute = 60 * NANOS_PER_S;
    let window = Window {
        from: window.from.div_euclid(minute) * minute,
        ..window
    };
    let around = Window {
        from: (window.from - REACH).max(0),
        to: window.to.saturating_add(REACH).min(LAST),
    };
    let mut sql = Sql::new(
        "SELECT source, target, way, sum(n) AS total, sum(bad) AS failed, \
         mapKeys(sumMap(client)) AS client_marks, mapValues(sumMap(client)) AS client_counts, \
         mapKeys(sumMap(server)) AS server_marks, mapValues(sumMap(server)) AS server_counts \
         FROM (SELECT toString(caller) AS source, toString(callee) AS target, toString(via) AS way, \
         toUInt64(calls) AS n, toUInt64(errors) AS bad, \
         CAST(client_buckets, 'Map(Int16, UInt64)') AS client, \
         CAST(server_buckets, 'Map(Int16, UInt64)') AS server",
    );
    sql.from(Table::Edges, scope, window);
    // As the view `edges` does it. A bucket is that of `meaning::exponent`.
    sql.push(
        " UNION ALL SELECT source, target, way, toUInt64(1) AS n, toUInt64(bad) AS bad, \
         map(toInt16(ceil(8 * log2(greatest(client_nanos, 1))) - 1), toUInt64(clients > 0)) AS client, \
         map(toInt16(ceil(8 * log2(greatest(server_nanos, 1))) - 1), toUInt64(servers > 0)) AS server \
         FROM (SELECT trace_id, if(call_side = 'client', span_id, parent_id) AS call, \
         countIf(call_side = 'client') AS clients, countIf(call_side = 'server') AS servers, \
         anyIf(toString(service), call_side = 'client') AS source, \
         if(servers > 0, anyIf(toString(service), call_side = 'server'), any(toString(call_peer))) AS target, \
         any(multiIf(startsWith(system, 'rpc:'), 'rpc', startsWith(system, 'http:') OR \
         startsWith(system, 'httpclient:'), 'http', '')) AS way, \
         if(servers > 0, minIf(time, call_side = 'server'), min(time)) AS at, \
         max(status = 'error') AS bad, \
         sumIf(duration, call_side = 'client') AS client_nanos, \
         sumIf(duration, call_side = 'server') AS server_nanos",
    );
    sql.from(Table::Spans, scope, around);
    sql.push(" AND call_side != 'none' GROUP BY trace_id, call)");
    sql.push(" WHERE at >= fromUnixTimestamp64Nano(")
        .integer(window.from);
    sql.push(", 'UTC') AND at <= fromUnixTimestamp64Nano(")
        .integer(window.to - 1);
    sql.push(", 'UTC')) GROUP BY source, target, way ORDER BY total DESC, source, target, way")
        .limit(GIVEN);
    sql.finish()
}
