//! What processors count of the data, at the sink: the shipped span-metrics before the shipped
//! samplers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;

use crate::harness::{Reply, Site, until};

fn shipped(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let component = root.join(format!("target/plugins/{name}.wasm"));
    assert!(
        component.exists(),
        "{name} is not built; run: cargo run -p petrel-cli -- plugin build plugins/{name} -o target/plugins/{name}.wasm"
    );
    component
}

/// Counts spans, and then keeps none of them.
async fn site(script: impl FnMut(&crate::harness::Seen) -> Reply + Send + 'static) -> Site {
    site_with("sample", script).await
}

async fn site_with(
    sampler: &str,
    script: impl FnMut(&crate::harness::Seen) -> Reply + Send + 'static,
) -> Site {
    let mut site = Site::with(script).await;
    site.extra = format!(
        "processors:\n\
         \u{20} - {{ name: red, plugin: {}, config: {{ resource: [service.name] }}, limits: {{ call: 30s }} }}\n\
         \u{20} - {{ name: sample, plugin: {}, config: {{ ratio: 0 }}, limits: {{ call: 30s }} }}\n",
        shipped("span-metrics").display(),
        shipped(sampler).display()
    );
    site
}

/// Calls, and how many durations there were, in all requests that the peer took.
fn calls(site: &Site) -> (f64, u64) {
    let (mut calls, mut durations) = (0.0, 0);
    let seen = site.peer.seen();
    for seen in seen.iter().filter(|seen| seen.path == "/v1/metrics") {
        let request = ExportMetricsServiceRequest::decode(seen.unpacked().as_slice()).unwrap();
        let scopes = request
            .resource_metrics
            .iter()
            .flat_map(|group| &group.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            match &metric.data {
                Some(Data::Sum(sum)) if metric.name == "traces.span.metrics.calls" => {
                    for point in &sum.data_points {
                        let text = format!("{:?}", point.value);
                        let number = text.trim_start_matches("Some(AsDouble(");
                        calls += number.trim_end_matches("))").parse::<f64>().unwrap();
                    }
                }
                Some(Data::ExponentialHistogram(histogram)) => {
                    assert_eq!(metric.name, "traces.span.metrics.duration");
                    let points = histogram.data_points.iter();
                    durations += points.map(|point| point.count).sum::<u64>();
                }
                other => panic!("{other:?}"),
            }
        }
    }
    (calls, durations)
}

#[tokio::test]
async fn spans_that_are_sampled_away_are_counted_at_the_sink() {
    let mut site = site(|_| Reply::Echo).await;
    site.tell_counted = Duration::from_millis(50);
    let agent = site.agent().await;
    for _ in 0..5 {
        assert_eq!(agent.send_span().await, 200);
    }
    until("all spans are counted", || {
        agent.balance();
        calls(&site) == (5.0, 5)
    })
    .await;
    let report = agent.report();
    assert_eq!(report.signals[0].dropped, 5, "{report:?}");
    agent.stop().await;
}

#[tokio::test]
async fn spans_that_are_held_are_counted_at_the_sink_before_anybody_decides_about_them() {
    let mut site = site_with("tail-sample", |_| Reply::Echo).await;
    site.tell_counted = Duration::from_millis(50);
    let agent = site.agent().await;
    for _ in 0..5 {
        assert_eq!(agent.send_span().await, 200);
    }
    until("all spans are counted", || calls(&site) == (5.0, 5)).await;
    let report = agent.report();
    assert_eq!(report.signals[0].held, 5, "{report:?}");
    assert_eq!(report.signals[0].spooled_now, 0, "{report:?}");
    agent.stop().await;
}

#[tokio::test]
async fn what_was_counted_and_not_told_is_told_at_the_stop() {
    let site = site(|_| Reply::Echo).await;
    let agent = site.agent().await;
    for _ in 0..3 {
        assert_eq!(agent.send_span().await, 200);
    }
    agent.stop().await;
    // It is durable; the next agent delivers it.
    let agent = site.agent().await;
    until("all spans are counted", || calls(&site) == (3.0, 3)).await;
    until("the spool is empty", || agent.report().spool.entries == 0).await;
    agent.stop().await;
}
