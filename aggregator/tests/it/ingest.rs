//! The door with its journal: authentication, receipts, identities, bounds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use petrel_aggregator::auth::{Auth, Directory, DirectoryError};
use petrel_aggregator::config::{Limit, Limits as Configured};
use petrel_aggregator::ingest::{self, Ingest, Recent};
use petrel_aggregator::processors::Processors;
use petrel_receiver::{ReceiverConfig, ServeConfig};
use petrel_spool::{ProjectId, Spool, SpoolConfig, WhenFull};
use petrel_wire::{AgentId, Batch, BatchId, Limits, Sealed, Signal, SystemClock, Token};
use prost::Message as _;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::sender::{Answer, post};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

#[derive(Clone, Debug)]
struct Tokens(Arc<HashMap<&'static str, u32>>);

impl Directory for Tokens {
    async fn project_by_token(&self, token: &Token) -> Result<Option<ProjectId>, DirectoryError> {
        Ok(self.0.get(token.expose()).copied().map(ProjectId))
    }
}

/// A served door with the projects 1 (`one`) and 2 (`two`).
struct Doors {
    addr: SocketAddr,
    journal: Spool,
    recent: Recent,
    ingest: Ingest<Tokens>,
    stop: CancellationToken,
    _dir: TempDir,
}

impl Doors {
    async fn open(max_bytes: u64) -> Self {
        Self::open_with(max_bytes, ReceiverConfig::default()).await
    }

    async fn open_with(max_bytes: u64, receiver: ReceiverConfig) -> Self {
        Self::open_limited(max_bytes, receiver, Configured::default()).await
    }

    async fn open_limited(max_bytes: u64, receiver: ReceiverConfig, limits: Configured) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SystemClock::shared();
        let config = SpoolConfig {
            dir: dir.path().join("journal"),
            max_bytes,
            when_full: WhenFull::Refuse,
            ..SpoolConfig::default()
        };
        let journal = Spool::open(config, Arc::clone(&clock)).unwrap();
        let tokens = Tokens(Arc::new(HashMap::from([("one", 1), ("two", 2)])));
        let recent = Recent::new();
        let auth = Auth::new(tokens, Arc::clone(&clock));
        let limits = ingest::Limits::new(limits);
        let processors = Processors::none().unwrap();
        let ingest = Ingest::new(
            auth,
            journal.clone(),
            clock,
            recent.clone(),
            limits,
            processors,
            None,
        );
        let router = petrel_receiver::router(ingest.clone(), receiver);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = ServeConfig::default();
        tokio::spawn(petrel_receiver::serve(
            listener,
            router,
            serving,
            stop.clone(),
        ));
        Self {
            addr,
            journal,
            recent,
            ingest,
            stop,
            _dir: dir,
        }
    }

    async fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        post(self.addr, "/v1/traces", headers, body).await
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn spans(count: usize) -> Vec<u8> {
    let name = Some(AnyValue {
        value: Some(Value::StringValue("checkout".to_owned())),
    });
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![KeyValue {
                    key: "service.name".to_owned(),
                    value: name,
                    ..KeyValue::default()
                }],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: vec![
                    Span {
                        trace_id: vec![1; 16],
                        span_id: vec![2; 8],
                        ..Span::default()
                    };
                    count
                ],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec()
}

fn sealed(seq: u64, count: usize) -> (BatchId, Sealed) {
    let batch = Batch::from_protobuf(Signal::Traces, spans(count).into(), &Limits::default());
    let sealed = Sealed::pack(&batch.unwrap());
    let id = BatchId {
        agent: AgentId(9),
        epoch: 1,
        seq,
        hash: sealed.hash(),
    };
    (id, sealed)
}

#[tokio::test]
async fn what_is_answered_with_success_lies_in_the_journal_under_its_project() {
    let doors = Doors::open(256 << 20).await;
    let dsn = ("uptrace-dsn", "http://two@localhost:14318?grpc=14317");
    let answer = doors.send(&[PROTOBUF, dsn], &spans(3)).await;
    assert_eq!(answer.status, 200);
    let lease = doors.journal.lease().await.unwrap();
    let entry = lease.entry();
    assert_eq!((entry.project, entry.origin), (ProjectId(2), None));
    let batch = entry.sealed.unpack(&Limits::default()).unwrap();
    assert_eq!(
        batch.bytes().as_ref(),
        spans(3),
        "what nobody changes stays as it came"
    );
}

#[tokio::test]
async fn who_shows_no_dsn_or_an_unknown_one_is_told_so_and_nothing_is_kept() {
    let doors = Doors::open(256 << 20).await;
    let missing = doors.send(&[PROTOBUF], &spans(1)).await;
    assert_eq!(missing.status, 401);
    assert!(
        missing.words().contains("uptrace-dsn"),
        "{}",
        missing.words()
    );
    let unknown = doors
        .send(&[PROTOBUF, ("uptrace-dsn", "http://three@h")], &spans(1))
        .await;
    assert_eq!(unknown.status, 401);
    assert!(
        unknown.words().contains("no project has the token"),
        "{}",
        unknown.words()
    );
    assert_eq!(doors.journal.stats().by_signal[0].spooled, 0);
}

#[tokio::test]
async fn a_batch_that_comes_again_is_echoed_and_kept_once() {
    let doors = Doors::open(256 << 20).await;
    let (id, sealed) = sealed(1, 5);
    let id = id.to_string();
    let headers = [
        PROTOBUF,
        ("content-encoding", "zstd"),
        ("uptrace-dsn", "http://one@h"),
        (BatchId::HEADER, id.as_str()),
    ];
    for _ in 0..3 {
        let answer = doors.send(&headers, sealed.body()).await;
        assert_eq!(
            (answer.status, answer.header(BatchId::HEADER)),
            (200, Some(id.as_str()))
        );
    }
    assert_eq!(doors.journal.stats().by_signal[0].spooled, 5);
}

#[tokio::test]
async fn a_known_number_with_other_content_is_a_conflict_but_another_projects_number_is_not() {
    let doors = Doors::open(256 << 20).await;
    let send = |dsn: &'static str, (id, sealed): (BatchId, Sealed)| {
        let doors = &doors;
        async move {
            let id = id.to_string();
            let headers = [
                PROTOBUF,
                ("content-encoding", "zstd"),
                ("uptrace-dsn", dsn),
                (BatchId::HEADER, id.as_str()),
            ];
            doors.send(&headers, sealed.body()).await
        }
    };
    assert_eq!(send("http://one@h", sealed(1, 5)).await.status, 200);
    let conflict = send("http://one@h", sealed(1, 6)).await;
    assert_eq!(conflict.status, 409);
    assert!(conflict.header(BatchId::HEADER).is_some());
    assert_eq!(send("http://two@h", sealed(1, 6)).await.status, 200);
}

#[tokio::test]
async fn a_full_journal_refuses_with_a_time_to_come_again_and_keeps_what_it_took() {
    let doors = Doors::open(16 << 20).await;
    // Random names do not pack: a few of these fill the journal.
    let body = |seed: u64| {
        let mut state = seed | 1;
        let name: String = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b' ' + ((state >> 57) % 94) as u8)
        })
        .take(1 << 20)
        .collect();
        let mut request = ExportTraceServiceRequest::decode(spans(1).as_slice()).unwrap();
        request.resource_spans[0].scope_spans[0].spans[0].name = name;
        request.encode_to_vec()
    };
    let mut accepted = 0;
    for seed in 0..64 {
        let answer = doors
            .send(&[PROTOBUF, ("uptrace-dsn", "http://one@h")], &body(seed))
            .await;
        if answer.status == 200 {
            accepted += 1;
            continue;
        }
        assert_eq!(answer.status, 503);
        let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((10..=31).contains(&after), "{after}");
        let stats = doors.journal.stats();
        assert_eq!(
            (stats.by_signal[0].here, stats.by_signal[0].evicted),
            (accepted, 0)
        );
        return;
    }
    panic!("{accepted} requests were taken and the journal is not full");
}

#[tokio::test]
async fn a_project_that_floods_the_door_does_not_keep_another_one_out() {
    const BODY: usize = 10 << 10;
    const PLACES: usize = 40;
    let receiver = ReceiverConfig {
        budget_bytes: (PLACES * BODY) as u64,
        limits: Limits {
            request_bytes: BODY,
            ..Limits::default()
        },
        ..ReceiverConfig::default()
    };
    let doors = Doors::open_with(256 << 20, receiver).await;
    // A sender that has announced a body holds its place, and is told at once when there is none.
    let announce = async |token: &str| {
        let mut stream = TcpStream::connect(doors.addr).await.unwrap();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
             uptrace-dsn: http://{token}@h\r\ncontent-length: {BODY}\r\nexpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
        (stream, answer)
    };
    let (modest, answer) = announce("two").await;
    assert!(answer.starts_with("http/1.1 100"), "{answer}");
    drop(modest);
    let mut flood = Vec::new();
    let refusal = loop {
        let (stream, answer) = announce("one").await;
        if !answer.starts_with("http/1.1 100") {
            break answer;
        }
        flood.push(stream);
    };
    assert!(refusal.starts_with("http/1.1 429"), "{refusal}");
    assert!(refusal.contains("\r\nretry-after: "), "{refusal}");
    assert!(flood.len() >= PLACES / 2, "{}", flood.len());
    // Half of a fair share of two is a quarter, and it is still there.
    let mut modest = Vec::new();
    for _ in 0..PLACES / 4 {
        let (stream, answer) = announce("two").await;
        assert!(answer.starts_with("http/1.1 100"), "{answer}");
        modest.push(stream);
    }
    // A whole request of the modest one goes through to the journal meanwhile.
    drop(modest.pop());
    let mut answer = doors
        .send(&[PROTOBUF, ("uptrace-dsn", "http://two@h")], &spans(9))
        .await;
    while answer.status == 429 {
        // The place that was given up is noticed when its connection is.
        answer = doors
            .send(&[PROTOBUF, ("uptrace-dsn", "http://two@h")], &spans(9))
            .await;
    }
    assert_eq!(answer.status, 200);
    assert_eq!(doors.journal.stats().by_signal[0].spooled, 9);
}

#[tokio::test]
async fn onlookers_see_what_was_taken_and_what_was_not_and_numbers_count_both() {
    let doors = Doors::open(256 << 20).await;
    let (_, mut feed) = doors.recent.subscribe(ProjectId(1));
    let dsn = ("uptrace-dsn", "http://one@h");
    doors.send(&[PROTOBUF, dsn], &spans(4)).await;
    doors
        .send(&[("content-type", "text/plain"), dsn], b"hello")
        .await;
    let mut next = async || {
        let wait = Duration::from_secs(10);
        tokio::time::timeout(wait, feed.recv())
            .await
            .unwrap()
            .unwrap()
    };
    let taken = next().await;
    assert_eq!(
        (taken.items, taken.service.as_deref()),
        (4, Some("checkout"))
    );
    assert_eq!(
        (taken.refused, taken.transport, taken.via_agent),
        (None, "http", false)
    );
    let refused = next().await.refused.unwrap();
    assert!(refused.contains("text/plain"), "{refused}");
    let (kept, _) = doors.recent.subscribe(ProjectId(1));
    assert_eq!(kept.len(), 2);

    let mut text = String::new();
    doors.ingest.counters().render(&mut text);
    for line in [
        "aggregator_ingest_accepted_items_total{signal=\"traces\",transport=\"http\"} 4",
        "aggregator_ingest_refused_requests_total{signal=\"traces\",transport=\"http\",kind=\"unsupported\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn a_project_beyond_its_rate_is_told_when_to_come_again_and_costs_nobody_else() {
    let limits = Configured {
        everybody: Limit {
            items_per_second: Some(1),
            ..Limit::default()
        },
        ..Configured::default()
    };
    let doors = Doors::open_limited(1 << 30, ReceiverConfig::default(), limits).await;
    let one = [PROTOBUF, ("uptrace-dsn", "http://one@localhost")];
    let two = [PROTOBUF, ("uptrace-dsn", "http://two@localhost")];
    // The burst is ten items: a request may go beyond it, and the next one pays.
    assert_eq!(doors.send(&one, &spans(100)).await.status, 200);
    let refused = doors.send(&one, &spans(1)).await;
    assert_eq!(refused.status, 429);
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((80..=90).contains(&after), "{after}");
    assert_eq!(doors.send(&two, &spans(1)).await.status, 200);
    let mut text = String::new();
    doors.ingest.limits().render(&mut text);
    assert!(text.contains(
        "aggregator_limit_refused_requests_total{project=\"1\",limit=\"items_per_second\"} 1"
    ));
}

#[tokio::test]
async fn new_attribute_keys_beyond_the_hours_limit_wait_while_known_ones_pass() {
    let limits = Configured {
        everybody: Limit {
            attribute_keys_per_hour: Some(1),
            ..Limit::default()
        },
        ..Configured::default()
    };
    let doors = Doors::open_limited(1 << 30, ReceiverConfig::default(), limits).await;
    let one = [PROTOBUF, ("uptrace-dsn", "http://one@localhost")];
    assert_eq!(doors.send(&one, &spans(1)).await.status, 200);
    let mut other = ExportTraceServiceRequest::decode(spans(1).as_slice()).unwrap();
    let resource = other.resource_spans[0].resource.as_mut().unwrap();
    resource.attributes[0].key = "another".to_owned();
    let refused = doors.send(&one, &other.encode_to_vec()).await;
    assert_eq!(refused.status, 429);
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&after), "{after}");
    assert_eq!(doors.send(&one, &spans(2)).await.status, 200);
}
