//! Records that a processor sends to another project: there and nowhere else, whatever is killed.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use petrel_tests::central::{Central, Project};
use petrel_tests::edge::{Edge, EdgeOptions};
use petrel_tests::http;
use petrel_tests::ledger::{Differences, Ledger, Outcome, payload};
use petrel_tests::process::{artefact, wait_until};
use petrel_tests::proxy::Proxy;
use petrel_tests::telemetry::{Ids, Resource, SpanDraft, traces_request};
use petrel_tests::traffic::{ID, PAYLOAD};

const REQUESTS: u64 = 240;
const PER_REQUEST: u64 = 20;
const STORED: Duration = Duration::from_secs(120);

/// One aggregator with two projects, and an agent that sends the spans of auditors to the second.
struct Place {
    edge: Edge,
    central: Central,
    _dir: tempfile::TempDir,
}

impl Place {
    fn configure() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let projects = [(1, "first_token"), (2, "second_token")].map(|(id, token)| Project {
            id,
            token: token.to_owned(),
        });
        let central = Central::configure(dir.path(), "aggregator", &projects)?;
        let link = Proxy::to(central.http_port);
        let options = EdgeOptions {
            redact: false,
            ..EdgeOptions::default()
        };
        let edge = Edge::configure(dir.path(), "agent", link, "first_token", &options)?;
        let mut text = fs::read_to_string(edge.config())?;
        writeln!(
            text,
            "processors:
  - name: route
    plugin: {plugin}
    on_error: closed
    outputs: {{ audit: {{ dsn: \"http://second_token@127.0.0.1:{port}\" }} }}
    config: {{ rules: [ {{ on: record, key: kind, to: {{ audit: audit }} }} ] }}",
            plugin = artefact("target/plugins/route.wasm").display(),
            port = edge.link.port(),
        )?;
        fs::write(edge.config(), text)?;
        Ok(Self {
            edge,
            central,
            _dir: dir,
        })
    }
}

/// Spans of which every second belongs to the other project; their ids say so.
fn request(ids: &mut Ids, number: u64) -> (Vec<String>, Vec<u8>) {
    let trace = ids.trace();
    let names: Vec<String> = (0..PER_REQUEST)
        .map(|item| format!("p{}/{number}/{item}", 1 + item % 2))
        .collect();
    let spans = names.iter().map(|name| {
        let kind = if name.starts_with("p2") {
            "audit"
        } else {
            "work"
        };
        SpanDraft::server(ids, trace, "work")
            .lasting(1_700_000_000_000_000_000 + number * 1_000_000, 1_000_000)
            .with("kind", kind)
            .with(ID, name.as_str())
            .with(PAYLOAD, payload(name))
    });
    let body = traces_request(&[(Resource::new("till"), spans.collect())]);
    (names, body)
}

#[test]
fn what_is_routed_arrives_in_the_other_project_alone_and_nothing_is_lost_over_kills()
-> anyhow::Result<()> {
    let mut place = Place::configure()?;
    place.central.start()?;
    place.edge.start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let client = http::client();
    let url = format!("http://127.0.0.1:{}/v1/traces", place.edge.http_port);
    let (mut ids, mut ledger) = (Ids::seeded(7), Ledger::default());
    for number in 0..REQUESTS {
        let (names, body) = request(&mut ids, number);
        let sent = client
            .post(&url)
            .header("content-type", "application/x-protobuf")
            .body(body);
        // Killed while it has requests in hand: by turns with the link up and with a backlog.
        let pending = runtime.spawn(async move { sent.send().await });
        match number % 60 {
            20 => place.edge.link.cut(),
            30 | 50 => {
                place.edge.running().kill();
                place.edge.start()?;
            }
            40 => place.edge.link.mend(),
            45 => {
                place.central.running().kill();
                place.central.start()?;
            }
            _ => {}
        }
        let outcome = match runtime.block_on(pending)? {
            Ok(response) if response.status() == 200 => Outcome::Acknowledged,
            Ok(_) => Outcome::Refused,
            Err(error) if error.is_connect() => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        };
        ledger.note(names, outcome);
    }
    let acknowledged = ledger.count(Outcome::Acknowledged) as u64;
    assert!(acknowledged > REQUESTS * PER_REQUEST / 2, "{acknowledged}");
    wait_until(STORED, "the backlog is stored", || {
        Ok(place.edge.metric("petrel_agent_spool_entries")? == 0.0
            && place.central.metric("aggregator_journal_entries")? == 0.0
            && place.central.count("SELECT count() FROM spans")? >= acknowledged)
    })?;
    assert_eq!(
        ledger.audit(&place.central.stored("")?),
        Differences::default()
    );
    let others = place
        .central
        .count("SELECT count() FROM spans WHERE project_id = 2")?;
    assert!(others >= acknowledged / 2, "{others} of {acknowledged}");
    Ok(())
}
