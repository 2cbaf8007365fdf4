//! `service_edges`: who calls whom, and which spans are sides of calls that are not in it.
//!
//! A call is a client's span and the server's span under it. Both in one piece are an edge at once;
//! so is a call to what sends no spans: a database, a broker. Of all others each side is marked in
//! its own row (`span_rows.call_side`), and the view `edges` puts sides together. Holding sides back
//! in memory until the other comes would count calls twice or never when a piece is repeated, or
//! another aggregator takes the other side.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use petrel_wire::otlp::view::Span;

use super::Block;
use super::attributes::{span_id, trace_id};
use super::columns::{Dictionary, Names, Plain, Seconds, Seed, table};
use super::counts::{Buckets, Counts, Words};
use super::groups::Whose;
use super::spans::ERROR;
use super::time::Moment;
use crate::meaning::facts::{Fact, Facts};

/// Which side of a call a span is whose other side is unknown.
#[derive(Debug)]
pub(super) struct Side;

impl Names for Side {
    const KIND: &'static str = "Enum8('none' = 0, 'client' = 1, 'server' = 2)";
}

impl Side {
    pub(super) const NONE: u8 = 0;
    const CLIENT: u8 = 1;
    const SERVER: u8 = 2;
}

table! {
    /// As in `migrations/clickhouse`.
    EdgeColumns<'a> for "service_edges" {
        project_id: Plain<u32>,
        time: Plain<Seconds>,
        caller: Words,
        callee: Words,
        via: Dictionary<'a>,
        calls: Plain<u64>,
        errors: Plain<u64>,
        client_duration: Plain<u64>,
        client_buckets: Counts,
        server_duration: Plain<u64>,
        server_buckets: Counts,
        accepted: Plain<Seconds>,
    }
}

/// Who takes part in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Party<'a> {
    Service(&'a str),
    Database(&'a str),
    Broker(&'a str),
}

impl std::fmt::Display for Party<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(name) => f.write_str(name),
            Self::Database("") => f.write_str("db:unknown_db"),
            Self::Database(system) => write!(f, "db:{system}"),
            Self::Broker(system) => write!(f, "messaging:{system}"),
        }
    }
}

/// A call: its project, its trace, the span that calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    trace: [u8; 16],
    span: u64,
    project: u32,
}

impl Hash for Call {
    /// At once: the pieces one by one are three hashes.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = [0; 28];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.span.to_le_bytes());
        bytes[24..].copy_from_slice(&self.project.to_le_bytes());
        state.write(&bytes);
    }
}

/// One side of a call.
#[derive(Clone, Copy, Debug)]
struct Half<'a> {
    call: Call,
    service: &'a str,
    at: Moment,
    accepted: Moment,
    duration: u64,
    row: RowOf,
    via: Via,
    failed: bool,
}

/// Where the row of a span is: the how manieth day, the how manieth row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowOf {
    pub(super) day: u32,
    pub(super) row: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Via {
    Unknown,
    Database,
    Http,
    Messaging,
    Rpc,
}

impl Via {
    const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Database => "db",
            Self::Http => "http",
            Self::Messaging => "messaging",
            Self::Rpc => "rpc",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    day: u16,
    project: u32,
    minute: u32,
    caller: Party<'a>,
    callee: Party<'a>,
    via: Via,
}

#[derive(Debug, Default)]
struct Calls {
    calls: u64,
    errors: u64,
    client: (u64, Buckets),
    server: (u64, Buckets),
    accepted: Option<Moment>,
}

/// Everything known of calls in one piece.
#[derive(Debug, Default)]
pub(super) struct Edges<'a> {
    /// The span that calls first; whether its server was found.
    clients: HashMap<Call, (Half<'a>, bool), Seed>,
    servers: Vec<Half<'a>>,
    edges: BTreeMap<Key<'a>, Calls>,
}

// `SpanKind` as OTLP numbers it.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// What the row of a span says about the call it is in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark<'a> {
    pub(super) side: u8,
    pub(super) peer: &'a str,
}

impl<'a> Edges<'a> {
    /// Takes note of a span, if it is one side of a call. Its row is marked as a side whose other
    /// side is missing, until [`Edges::meet`] says otherwise.
    #[inline]
    pub(super) fn span(
        &mut self,
        whose: &Whose<'a>,
        span: &Span<'a>,
        row: RowOf,
        duration: u64,
        facts: &Facts<'a>,
    ) -> Mark<'a> {
        if !(SERVER..=CONSUMER).contains(&span.kind()) {
            return Mark::default();
        }
        self.side(whose, span, row, duration, facts)
    }

    fn side(
        &mut self,
        whose: &Whose<'a>,
        span: &Span<'a>,
        row: RowOf,
        duration: u64,
        facts: &Facts<'a>,
    ) -> Mark<'a> {
        let me = Party::Service(whose.service);
        let broker = Party::Broker(facts.text(Fact::MessagingSystem));
        let failed = span.status().code() == ERROR;
        let to_database = facts.has(Fact::DbSystem) || facts.has(Fact::DbStatement);
        let (caller, callee, via) = match span.kind() {
            PRODUCER | CLIENT if facts.has(Fact::MessagingSystem) => (me, broker, Via::Messaging),
            SERVER | CONSUMER if facts.has(Fact::MessagingSystem) => (broker, me, Via::Messaging),
            CLIENT if to_database => {
                let database = Party::Database(facts.text(Fact::DbSystem));
                (me, database, Via::Database)
            }
            kind => {
                let calling = matches!(kind, CLIENT | PRODUCER);
                let of = if calling {
                    span.span_id()
                } else {
                    span.parent_span_id()
                };
                let half = Half {
                    call: Call {
                        trace: trace_id(span.trace_id()),
                        span: span_id(of),
                        project: whose.project,
                    },
                    service: whose.service,
                    at: whose.at,
                    accepted: whose.accepted,
                    duration,
                    row,
                    via: via(facts),
                    failed,
                };
                return self.half(half, calling, facts);
            }
        };
        let (at, accepted) = (whose.at, whose.accepted);
        let calls = self.calls(whose.project, at, accepted, (caller, callee, via));
        calls.calls += 1;
        calls.errors += u64::from(failed);
        let side = if caller == me {
            &mut calls.client
        } else {
            &mut calls.server
        };
        side.0 = side.0.saturating_add(duration);
        side.1.add(duration);
        Mark::default()
    }

    fn half(&mut self, half: Half<'a>, calling: bool, facts: &Facts<'a>) -> Mark<'a> {
        // What was called from outside has no parent.
        if half.call.trace == [0; 16] || half.call.span == 0 {
            return Mark::default();
        }
        if !calling {
            self.servers.push(half);
            return Mark {
                side: Side::SERVER,
                peer: "",
            };
        }
        let peer = match facts.text(Fact::PeerService) {
            "" => facts.text(Fact::ServerAddress),
            named => named,
        };
        let mut side = Side::NONE;
        // The same span twice is the same call.
        self.clients.entry(half.call).or_insert_with(|| {
            side = Side::CLIENT;
            (half, false)
        });
        Mark { side, peer }
    }

    fn calls(
        &mut self,
        project: u32,
        at: Moment,
        accepted: Moment,
        (caller, callee, via): (Party<'a>, Party<'a>, Via),
    ) -> &mut Calls {
        let key = Key {
            day: at.day(),
            project,
            minute: at.minute(),
            caller,
            callee,
            via,
        };
        let calls = self.edges.entry(key).or_default();
        calls.accepted = calls.accepted.max(Some(accepted));
        calls
    }

    /// Counts the calls of which both sides are here, and says whose rows are sides of nothing
    /// else any more.
    pub(super) fn meet(&mut self) -> Vec<RowOf> {
        let mut met = Vec::new();
        let servers = std::mem::take(&mut self.servers);
        let mut clients = std::mem::take(&mut self.clients);
        if clients.is_empty() {
            return met;
        }
        for server in servers {
            let Some((client, seen)) = clients.get_mut(&server.call) else {
                continue;
            };
            let first = !std::mem::replace(seen, true);
            met.push(server.row);
            if first {
                met.push(client.row);
            }
            let client = *client;
            self.both(&client, &server, first);
        }
        met
    }

    fn both(&mut self, client: &Half<'a>, server: &Half<'a>, first: bool) {
        let (caller, callee) = (
            Party::Service(client.service),
            Party::Service(server.service),
        );
        let via = if server.via == Via::Unknown {
            client.via
        } else {
            server.via
        };
        let (project, accepted) = (server.call.project, server.accepted);
        let calls = self.calls(project, server.at, accepted, (caller, callee, via));
        calls.calls += 1;
        calls.errors += u64::from(server.failed || client.failed);
        calls.server.0 = calls.server.0.saturating_add(server.duration);
        calls.server.1.add(server.duration);
        // A call that two servers answered was still waited for once.
        if first {
            calls.client.0 = calls.client.0.saturating_add(client.duration);
            calls.client.1.add(client.duration);
        }
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let rows: Vec<_> = self.edges.iter().collect();
        let of_days = rows.chunk_by(|a, b| a.0.day == b.0.day);
        of_days
            .map(|rows| {
                let mut columns = EdgeColumns::default();
                for (key, calls) in rows {
                    columns.rows += 1;
                    columns.project_id.push(key.project);
                    columns.time.push(Seconds(key.minute));
                    columns.caller.push(&key.caller.to_string());
                    columns.callee.push(&key.callee.to_string());
                    columns.via.push(key.via.name());
                    columns.calls.push(calls.calls);
                    columns.errors.push(calls.errors);
                    columns.client_duration.push(calls.client.0);
                    columns.client_buckets.push(&calls.client.1);
                    columns.server_duration.push(calls.server.0);
                    columns.server_buckets.push(&calls.server.1);
                    let accepted = calls.accepted.map_or(Seconds(0), Moment::seconds);
                    columns.accepted.push(accepted);
                }
                columns.finish(rows[0].0.day)
            })
            .collect()
    }
}

fn via(facts: &Facts<'_>) -> Via {
    match () {
        () if facts.has(Fact::RpcSystem) => Via::Rpc,
        () if facts.has(Fact::HttpMethod) || facts.has(Fact::HttpStatus) => Via::Http,
        () => Via::Unknown,
    }
}
