//! Prometheus remote write, as far as a chart.

use petrel_wire::otlp::fields::{put_fixed64, put_len, put_varint_field};

use super::{Whole, now_seconds, post};

fn series(labels: &[(&str, &str)], samples: &[(f64, u64)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        put_len(&mut label, 1, name.as_bytes());
        put_len(&mut label, 2, value.as_bytes());
        put_len(&mut series, 1, &label);
    }
    for (value, millis) in samples {
        let mut sample = Vec::new();
        put_fixed64(&mut sample, 1, value.to_bits());
        put_varint_field(&mut sample, 2, *millis);
        put_len(&mut series, 2, &sample);
    }
    series
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_of_a_prometheus_are_points_of_their_job() {
    let whole = Whole::start().await;
    let now = now_seconds() * 1000;
    let mut request = Vec::new();
    for encoded in [
        series(
            &[
                ("__name__", "requests_total"),
                ("job", "shop"),
                ("instance", "a:1"),
                ("code", "200"),
            ],
            &[(3.0, now - 15_000), (5.0, now)],
        ),
        series(
            &[
                ("__name__", "memory_bytes"),
                ("job", "shop"),
                ("instance", "a:1"),
            ],
            &[(7.5, now)],
        ),
        series(
            &[("__name__", "gone"), ("job", "shop")],
            &[(f64::from_bits(0x7ff0_0000_0000_0002), now)],
        ),
    ] {
        put_len(&mut request, 1, &encoded);
    }
    let packed = snap::raw::Encoder::new().compress_vec(&request).unwrap();
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("authorization", "Bearer two"),
    ];
    let answer = post(whole.at.http, "/api/v1/write", &headers, &packed).await;
    assert_eq!(answer.status, 204, "{}", answer.words());
    let rows = whole
        .rows(
            3,
            "SELECT project_id, metric, type, temporality, monotonic, unit, service_name, value, \
             attributes['code'] FROM points ORDER BY metric, time",
        )
        .await;
    assert_eq!(
        rows[0].join(" "),
        "2 memory_bytes gauge unspecified false By shop 7.5 "
    );
    assert_eq!(
        rows[1].join(" "),
        "2 requests_total sum cumulative true  shop 3 200"
    );
    assert_eq!(
        rows[2].join(" "),
        "2 requests_total sum cumulative true  shop 5 200"
    );
    whole.stop().await;
}
