//! The promise: what was acknowledged is stored once, redacted, whatever was killed or cut.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use petrel_tests::edge::EdgeOptions;
use petrel_tests::http;
use petrel_tests::ledger::{Differences, Ledger, Outcome};
use petrel_tests::process::wait_until;
use petrel_tests::site::Site;
use petrel_tests::telemetry::{Ids, Log, Resource, SpanDraft, logs_request, traces_request};
use petrel_wire::Signal;

const SPANS: u64 = 100_000;
const PER_REQUEST: u64 = 100;
const SENDERS: u64 = 4;
const SECRET: &str = "canary-hunter2-7f3a9c51d0e8";

/// One request with unique ids in it, each span carrying the secret in several disguises.
fn request(ids: &mut Ids, sender: u64, number: u64) -> (Vec<String>, Vec<u8>) {
    let trace = ids.trace();
    let names = (0..PER_REQUEST).map(|n| format!("{sender}/{number}/{n}"));
    let names: Vec<String> = names.collect();
    let start = 1_700_000_000_000_000_000 + number * 1_000_000;
    let span = |name: &String| {
        SpanDraft::server(ids, trace, "GET /orders/{id}")
            .lasting(start, 2_000_000)
            .with("test.id", name.as_str())
            .with("http.request.method", "GET")
            .with("http.route", "/orders/{id}")
            .with("password", SECRET)
            .with(
                "http.request.header.authorization",
                format!("Bearer {SECRET}"),
            )
            .with("note", format!("write to {SECRET}@example.com"))
    };
    let spans = names.iter().map(span).collect();
    let resource = Resource::new("till")
        .with("host.name", "store-17")
        .with("api_key", SECRET);
    (names, traces_request(&[(resource, spans)]))
}

/// Acknowledged spans of all senders.
type Progress = Arc<AtomicU64>;

/// Sends requests of its own until all spans are out; every id is used once, whatever happens.
async fn sender(number: u64, port: u16, load: Progress) -> Ledger {
    let client = http::client();
    let url = format!("http://127.0.0.1:{port}{}", Signal::Traces.path());
    let mut ids = Ids::seeded(0x00c0_ffee + number);
    let mut ledger = Ledger::default();
    let mut request_number = 0;
    while ledger.count(Outcome::Acknowledged) < share() {
        let (names, body) = request(&mut ids, number, request_number);
        request_number += 1;
        let sent = client
            .post(&url)
            .header("content-type", "application/x-protobuf")
            .body(body)
            .send()
            .await;
        let outcome = match sent {
            Ok(response) if response.status() == 200 => match response.bytes().await {
                Ok(_) => Outcome::Acknowledged,
                Err(_) => Outcome::Unknown,
            },
            Ok(_) => Outcome::Refused,
            Err(error) if error.is_connect() => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        };
        if outcome == Outcome::Acknowledged {
            load.fetch_add(PER_REQUEST, Ordering::Relaxed);
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ledger.note(names, outcome);
    }
    ledger
}

fn share() -> usize {
    usize::try_from(SPANS / SENDERS).expect("a small number")
}

#[test]
fn a_hundred_thousand_spans_are_stored_once_and_redacted_through_kills_and_cuts()
-> anyhow::Result<()> {
    let mut site = Site::start(&EdgeOptions::default())?;
    let load = Progress::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| runtime.spawn(sender(number, site.edge.http_port, Arc::clone(&load))))
        .collect();

    // Nine faults, spread over the load by how much of it is out.
    let mut spools = Vec::new();
    for fault in 0..9 {
        let due = SPANS * (fault + 1) / 10;
        wait_until(Duration::from_secs(120), "the load goes on", || {
            Ok(load.load(Ordering::Relaxed) >= due)
        })?;
        match fault {
            0 | 2 | 4 | 6 | 8 => {
                site.edge.running().kill();
                spools.push(search(&site.spool_dir())?);
                site.edge.start()?;
            }
            1 | 5 | 7 => {
                site.central.running().kill();
                spools.push(search(&site.central.data_dir().join("journal"))?);
                site.central.start()?;
            }
            _ => {
                site.edge.link.cut();
                let before = load.load(Ordering::Relaxed);
                wait_until(
                    Duration::from_secs(60),
                    "the agent takes spans without a link",
                    || Ok(load.load(Ordering::Relaxed) > before + 2 * PER_REQUEST),
                )?;
                site.edge.link.mend();
            }
        }
    }

    let mut ledger = Ledger::default();
    for sender in senders {
        ledger.extend(runtime.block_on(sender)?);
    }
    assert!(ledger.count(Outcome::Acknowledged) as u64 >= SPANS);

    let acknowledged = ledger.count(Outcome::Acknowledged) as u64;
    wait_until(Duration::from_secs(180), "the backlog is stored", || {
        Ok(site.edge.metric("petrel_agent_spool_entries")? == 0.0
            && site.central.metric("aggregator_journal_entries")? == 0.0
            && site.count("SELECT count() FROM spans")? >= acknowledged)
    })?;
    let stored = site.sql("SELECT attributes['test.id'], count() FROM spans GROUP BY 1")?;
    let stored: BTreeMap<String, u64> = stored
        .into_iter()
        .map(|row| Ok((row[0].clone(), row[1].parse()?)))
        .collect::<anyhow::Result<_>>()?;
    assert_eq!(ledger.compare(&stored), Differences::default());

    assert_eq!(
        spools.iter().map(|found| found.secrets).sum::<u64>(),
        0,
        "secrets on disk"
    );
    assert!(
        spools.iter().map(|found| found.batches).sum::<u64>() > 0,
        "no spool was looked into"
    );
    assert_eq!(
        wire_secrets(&site.edge.link.captured())?,
        0,
        "secrets on the wire"
    );
    assert_eq!(store_secrets(&site)?, 0, "secrets in the store");
    Ok(())
}

#[test]
fn without_the_redactor_the_same_search_finds_the_secret_everywhere() -> anyhow::Result<()> {
    let mut site = Site::start(&EdgeOptions {
        redact: false,
        ..EdgeOptions::default()
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    site.edge.link.cut();
    let (_, body) = request(&mut Ids::seeded(1), 0, 0);
    let url = format!("http://127.0.0.1:{}/v1/traces", site.edge.http_port);
    let sent = http::client()
        .post(url)
        .header("content-type", "application/x-protobuf")
        .body(body);
    assert_eq!(runtime.block_on(async { sent.send().await })?.status(), 200);

    site.edge.running().kill();
    assert!(
        search(&site.spool_dir())?.secrets > 0,
        "the search must see into the spool"
    );
    site.edge.link.mend();
    site.edge.start()?;
    wait_until(Duration::from_secs(30), "the spans are stored", || {
        Ok(site.count("SELECT count() FROM spans")? == PER_REQUEST)
    })?;
    assert!(
        wire_secrets(&site.edge.link.captured())? > 0,
        "the search must see into the wire"
    );
    assert!(
        store_secrets(&site)? > 0,
        "the search must see into the store"
    );
    Ok(())
}

#[test]
fn logs_lose_their_secrets_in_text_and_attributes() -> anyhow::Result<()> {
    let site = Site::start(&EdgeOptions::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut ids = Ids::seeded(3);
    let log = Log {
        at: 1_700_000_000_000_000_000,
        severity: 17,
        body: format!("mail to {SECRET}@example.com bounced"),
        trace: ids.trace(),
        span: ids.span(),
    };
    let resource = Resource::new("mailer").with("password", SECRET);
    let url = format!("http://127.0.0.1:{}/v1/logs", site.edge.http_port);
    let body = logs_request(&resource, &[log]);
    let sent = http::client()
        .post(url)
        .header("content-type", "application/x-protobuf")
        .body(body);
    assert_eq!(runtime.block_on(async { sent.send().await })?.status(), 200);
    wait_until(Duration::from_secs(30), "the log record is stored", || {
        Ok(site.count("SELECT count() FROM logs")? == 1)
    })?;
    let row = site
        .sql("SELECT body, toString(resource) FROM logs")?
        .concat()
        .concat();
    assert!(row.contains("mail to") && !row.contains(SECRET), "{row}");
    Ok(())
}

/// What a search of a spool's files found.
#[derive(Debug, Default)]
struct Found {
    secrets: u64,
    batches: u64,
}

/// Looks for the secret in the raw files, and in every compressed batch that can be found in them.
fn search(dir: &Path) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for file in files(dir)? {
        let bytes = std::fs::read(&file)?;
        found.secrets += occurrences(&bytes, SECRET.as_bytes());
        for batch in frames(&bytes) {
            found.batches += 1;
            found.secrets += occurrences(&batch, SECRET.as_bytes());
        }
    }
    Ok(found)
}

fn wire_secrets(captured: &[u8]) -> anyhow::Result<u64> {
    let batches = frames(captured);
    anyhow::ensure!(!batches.is_empty(), "no batch was seen on the wire");
    let inside: u64 = batches
        .iter()
        .map(|batch| occurrences(batch, SECRET.as_bytes()))
        .sum();
    Ok(occurrences(captured, SECRET.as_bytes()) + inside)
}

fn store_secrets(site: &Site) -> anyhow::Result<u64> {
    site.count(&format!(
        "SELECT countIf(toString(tuple(*)) LIKE '%{SECRET}%') FROM spans"
    ))
}

fn files(dir: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn occurrences(bytes: &[u8], word: &[u8]) -> u64 {
    memmem(bytes, word).count() as u64
}

fn memmem<'a>(bytes: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = bytes
            .get(from..)?
            .windows(word.len())
            .position(|window| window == word)?
            + from;
        from = at + 1;
        Some(at)
    })
}

/// Unpacks whatever begins like a zstd frame, as far as it goes: pieces of a frame may lie apart
/// on disk, and the beginning already tells whether attributes are readable in it.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    use std::io::Read as _;
    let starts = memmem(bytes, &[0x28, 0xb5, 0x2f, 0xfd]);
    let unpack = |at: usize| {
        let mut out = Vec::new();
        let decoder = zstd::stream::read::Decoder::with_buffer(&bytes[at..])
            .ok()?
            .single_frame();
        // A broken tail leaves what came before it in `out`.
        drop(decoder.take(16 << 20).read_to_end(&mut out));
        (!out.is_empty()).then_some(out)
    };
    starts.filter_map(unpack).collect()
}
