//! `service_edges` and `call_halves`: who calls whom.
//!
//! A call is a client's span and the server's span under it. Both in one piece are an edge at once;
//! so is a call to what sends no spans: a database, a broker. Of all others each side is kept, and
//! the view `edges` puts sides together. Holding sides back in memory until the other comes would
//! count calls twice or never when a piece is repeated, or another aggregator takes the other side.

use std::collections::{BTreeMap, HashMap};

use petrel_wire::otlp::view::Span;

use super::Block;
use super::attributes::{span_id, trace_id};
use super::columns::{Dictionary, Enum, Names, Plain, Seconds, Seed, table};
use super::counts::{Buckets, Counts, Words};
use super::groups::Whose;
use super::spans::ERROR;
use super::time::Moment;
use crate::meaning::facts::{Fact, Facts};

#[derive(Debug)]
struct Side;

impl Names for Side {
    const KIND: &'static str = "Enum8('client' = 1, 'server' = 2)";
}

const CLIENT_SIDE: u8 = 1;
const SERVER_SIDE: u8 = 2;

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

table! {
    /// As in `migrations/clickhouse`.
    HalfColumns<'a> for "call_halves" {
        project_id: Plain<u32>,
        bucket: Plain<Seconds>,
        trace_id: Plain<[u8; 16]>,
        span_id: Plain<u64>,
        side: Enum<Side>,
        time: Plain<Seconds>,
        service: Dictionary<'a>,
        peer: Dictionary<'a>,
        via: Dictionary<'a>,
        duration: Plain<u64>,
        failed: Plain<bool>,
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

/// One side of a call.
#[derive(Clone, Copy, Debug)]
struct Half<'a> {
    whose: Whose<'a>,
    peer: &'a str,
    via: &'static str,
    duration: u64,
    failed: bool,
    /// A server has been found for it.
    met: bool,
}

/// Project, trace, calling span.
type Call = (u32, [u8; 16], u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    day: u16,
    project: u32,
    minute: u32,
    caller: Party<'a>,
    callee: Party<'a>,
    via: &'static str,
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
    clients: HashMap<Call, Half<'a>, Seed>,
    servers: Vec<(Call, Half<'a>)>,
    edges: BTreeMap<Key<'a>, Calls>,
}

// `SpanKind` as OTLP numbers it.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

impl<'a> Edges<'a> {
    /// Takes note of a span, if it is one side of a call.
    #[inline]
    pub(super) fn span(
        &mut self,
        whose: &Whose<'a>,
        span: &Span<'a>,
        duration: u64,
        facts: &Facts<'a>,
    ) {
        if !(SERVER..=CONSUMER).contains(&span.kind()) {
            return;
        }
        self.side(whose, span, duration, facts);
    }

    fn side(&mut self, whose: &Whose<'a>, span: &Span<'a>, duration: u64, facts: &Facts<'a>) {
        let me = Party::Service(whose.service);
        let broker = Party::Broker(facts.text(Fact::MessagingSystem));
        let failed = span.status().code() == ERROR;
        let to_database = facts.has(Fact::DbSystem) || facts.has(Fact::DbStatement);
        let (caller, callee, via) = match span.kind() {
            PRODUCER | CLIENT if facts.has(Fact::MessagingSystem) => (me, broker, "messaging"),
            SERVER | CONSUMER if facts.has(Fact::MessagingSystem) => (broker, me, "messaging"),
            CLIENT if to_database => (me, Party::Database(facts.text(Fact::DbSystem)), "db"),
            kind => return self.half(whose, span, kind, duration, failed, facts),
        };
        let calls = self.calls(whose, caller, callee, via);
        calls.calls += 1;
        calls.errors += u64::from(failed);
        let side = if caller == me {
            &mut calls.client
        } else {
            &mut calls.server
        };
        side.0 = side.0.saturating_add(duration);
        side.1.add(duration);
    }

    fn half(
        &mut self,
        whose: &Whose<'a>,
        span: &Span<'a>,
        kind: i32,
        duration: u64,
        failed: bool,
        facts: &Facts<'a>,
    ) {
        let calling = matches!(kind, CLIENT | PRODUCER);
        let trace = trace_id(span.trace_id());
        let id = span_id(if calling {
            span.span_id()
        } else {
            span.parent_span_id()
        });
        // What was called from outside has no parent.
        if trace == [0; 16] || id == 0 {
            return;
        }
        let via = match () {
            () if facts.has(Fact::RpcSystem) => "rpc",
            () if facts.has(Fact::HttpMethod) || facts.has(Fact::HttpStatus) => "http",
            () => "",
        };
        let peer = match (calling, facts.text(Fact::PeerService)) {
            (false, _) => "",
            (true, "") => facts.text(Fact::ServerAddress),
            (true, named) => named,
        };
        let half = Half {
            whose: *whose,
            peer,
            via,
            duration,
            failed,
            met: false,
        };
        let call = (whose.project, trace, id);
        if calling {
            // The same span twice is the same call.
            self.clients.entry(call).or_insert(half);
        } else {
            self.servers.push((call, half));
        }
    }

    fn calls(
        &mut self,
        whose: &Whose<'a>,
        caller: Party<'a>,
        callee: Party<'a>,
        via: &'static str,
    ) -> &mut Calls {
        let key = Key {
            day: whose.at.day(),
            project: whose.project,
            minute: whose.at.minute(),
            caller,
            callee,
            via,
        };
        let calls = self.edges.entry(key).or_default();
        calls.accepted = calls.accepted.max(Some(whose.accepted));
        calls
    }

    pub(super) fn blocks(mut self) -> Vec<Block> {
        let mut halves = Vec::new();
        for (call, server) in std::mem::take(&mut self.servers) {
            match self.clients.get_mut(&call) {
                Some(client) => {
                    let first = !std::mem::replace(&mut client.met, true);
                    let client = *client;
                    self.meet(&client, &server, first);
                }
                None => halves.push((call, SERVER_SIDE, server)),
            }
        }
        let lonely = std::mem::take(&mut self.clients).into_iter();
        let lonely = lonely.filter(|(_, client)| !client.met);
        halves.extend(lonely.map(|(call, client)| (call, CLIENT_SIDE, client)));
        let mut blocks = self.edges();
        blocks.extend(sides(halves));
        blocks
    }

    fn meet(&mut self, client: &Half<'a>, server: &Half<'a>, first: bool) {
        let (caller, callee) = (
            Party::Service(client.whose.service),
            Party::Service(server.whose.service),
        );
        let via = if server.via.is_empty() {
            client.via
        } else {
            server.via
        };
        let calls = self.calls(&server.whose, caller, callee, via);
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

    fn edges(&self) -> Vec<Block> {
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
                    columns.via.push(key.via);
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

fn sides(mut halves: Vec<(Call, u8, Half<'_>)>) -> Vec<Block> {
    // By all that a row holds: rows that are still equal are equal in every byte.
    halves.sort_unstable_by_key(|((project, trace, id), side, half)| {
        let at = half.whose.at;
        (
            (at.day(), *project, at.bucket().0, *trace, *id, *side),
            (at, half.whose.service, half.peer, half.via),
            (half.duration, half.failed, half.whose.accepted),
        )
    });
    let of_days = halves.chunk_by(|a, b| a.2.whose.at.day() == b.2.whose.at.day());
    of_days
        .map(|rows| {
            let mut columns = HalfColumns::default();
            for ((project, trace, id), side, half) in rows {
                columns.rows += 1;
                columns.project_id.push(*project);
                columns.bucket.push(half.whose.at.bucket());
                columns.trace_id.push(*trace);
                columns.span_id.push(*id);
                columns.side.push(*side);
                columns.time.push(half.whose.at.seconds());
                columns.service.push(half.whose.service);
                columns.peer.push(half.peer);
                columns.via.push(half.via);
                columns.duration.push(half.duration);
                columns.failed.push(half.failed);
                columns.accepted.push(half.whose.accepted.seconds());
            }
            columns.finish(rows[0].2.whose.at.day())
        })
        .collect()
}
