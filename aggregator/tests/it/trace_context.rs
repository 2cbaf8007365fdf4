//! What a server is told about the traces that its work belongs to.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use petrel_aggregator::config::Config;
use petrel_aggregator::sql;
use petrel_aggregator::store::Store;
use petrel_spool::{Spool, SpoolConfig};
use petrel_wire::SystemClock;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_carries_a_trace_context_of_its_own() {
    let seen = Arc::new(Mutex::new(Vec::<Option<String>>::new()));
    let note = Arc::clone(&seen);
    // Says yes to everything, which is enough for the first statements of a migration.
    let server = Router::new().fallback(move |request: Request| {
        let header = request.headers().get("traceparent");
        let header = header.map(|value| value.to_str().unwrap().to_owned());
        note.lock().unwrap().push(header);
        std::future::ready("")
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, server).into_future());

    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "data_dir: {}\nch: {{ addr: '{at}' }}\n",
        dir.path().display()
    );
    let config = Config::parse("petrel.yml", &text, &|_| None)
        .unwrap()
        .config;
    let clock = SystemClock::shared();
    let journal = Spool::open(
        SpoolConfig::at(dir.path().join("journal")),
        Arc::clone(&clock),
    )
    .unwrap();
    let store = Store::start(&config, journal.clone(), clock).unwrap();
    let counted = tokio::time::timeout(Duration::from_secs(60), async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while seen.lock().unwrap().len() < 3 {
            ticks.tick().await;
        }
    });
    counted.await.expect("the schema is asked for");
    store.stop().await;
    let machine = seen.lock().unwrap().len();
    sql::ask(&config, "SELECT 1", "TSV", &mut Vec::new())
        .await
        .unwrap();

    let seen = seen.lock().unwrap().clone();
    let traces: BTreeSet<String> = seen
        .iter()
        .map(|header| {
            let header = header.as_deref().expect("every statement has one");
            let parts: Vec<_> = header.split('-').collect();
            assert_eq!((parts[0], parts[3]), ("00", "01"), "{header}");
            parts[1].to_owned()
        })
        .collect();
    assert_eq!(traces.len(), seen.len(), "each begins a trace");
    // Its own work can be told from people's questions.
    assert_eq!(
        traces
            .iter()
            .filter(|trace| trace.starts_with("70657472656c"))
            .count(),
        machine
    );
    assert_eq!(seen.len(), machine + 1);
    journal.close().await;
}
