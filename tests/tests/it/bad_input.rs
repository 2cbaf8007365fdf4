//! Garbage, bombs and strangers get the right status, words that help, and little memory.

use std::io::Write as _;
use std::time::Duration;

use petrel_tests::edge::EdgeOptions;
use petrel_tests::http;
use petrel_tests::site::Site;
use petrel_wire::otlp::fields::put_len;

const MIB: u64 = 1 << 20;

struct Case {
    why: &'static str,
    content_type: &'static str,
    encoding: Option<&'static str>,
    body: Vec<u8>,
    status: u16,
    says: &'static str,
}

fn gzip_of_zeros(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes / zeros.len() {
        encoder.write_all(&zeros)?;
    }
    Ok(encoder.finish()?)
}

fn zstd_of_zeros(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes / zeros.len() {
        encoder.write_all(&zeros)?;
    }
    Ok(encoder.finish()?)
}

fn cases() -> anyhow::Result<Vec<Case>> {
    let protobuf = "application/x-protobuf";
    let json = "application/json";
    let case = |why, content_type, encoding, body: &[u8], status, says| Case {
        why,
        content_type,
        encoding,
        body: body.to_vec(),
        status,
        says,
    };
    // Empty spans: 2 bytes each on the wire, far more as objects.
    let spans = [0x12, 0x00].repeat(2_000_000);
    let nested = |number, inner: &[u8]| {
        let mut out = Vec::new();
        put_len(&mut out, number, inner);
        out
    };
    let empty_spans = nested(1, &nested(2, &spans));
    let deep = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"a","value":{}{}}}]}}}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(5_000),
        "]}}".repeat(5_000),
    );
    Ok(vec![
        case("random bytes", protobuf, None, &[0xff; 64], 400, "protobuf"),
        case(
            "a truncated message",
            protobuf,
            None,
            &[0x0a, 0x7f, 0x01],
            400,
            "protobuf",
        ),
        case(
            "broken JSON",
            json,
            None,
            br#"{"resourceSpans":["#,
            400,
            "JSON",
        ),
        case(
            "a number for an array",
            json,
            None,
            br#"{"resourceSpans":7}"#,
            400,
            "resourceSpans",
        ),
        case(
            "values nested 5,000 deep",
            json,
            None,
            deep.as_bytes(),
            400,
            "deep",
        ),
        case(
            "an unknown content type",
            "text/html",
            None,
            b"<p>",
            415,
            "application/x-protobuf",
        ),
        case(
            "an unknown encoding",
            protobuf,
            Some("br"),
            b"x",
            415,
            "zstd",
        ),
        case(
            "gzip that is none",
            protobuf,
            Some("gzip"),
            b"not gzip",
            400,
            "unpack",
        ),
        case(
            "a gzip bomb",
            protobuf,
            Some("gzip"),
            &gzip_of_zeros(1 << 30)?,
            413,
            "bytes",
        ),
        case(
            "a zstd bomb",
            protobuf,
            Some("zstd"),
            &zstd_of_zeros(1 << 30)?,
            413,
            "bytes",
        ),
        case(
            "two million empty spans",
            protobuf,
            None,
            &empty_spans,
            413,
            "spans",
        ),
    ])
}

fn post(
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> anyhow::Result<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut request = http::client().post(format!("http://127.0.0.1:{port}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request
            .body(body)
            .timeout(Duration::from_secs(60))
            .send()
            .await?;
        let status = response.status().as_u16();
        Ok((
            status,
            String::from_utf8_lossy(&response.bytes().await?).into_owned(),
        ))
    })
}

#[test]
fn bad_requests_get_the_right_status_and_words_and_both_processes_stay_small() -> anyhow::Result<()>
{
    let mut site = Site::start(&EdgeOptions::default())?;
    let dsn = site.dsn();
    for (port, who) in [
        (site.edge.http_port, "agent"),
        (site.central.http_port, "aggregator"),
    ] {
        for case in cases()? {
            let mut headers = vec![("content-type", case.content_type), ("uptrace-dsn", &dsn)];
            headers.extend(case.encoding.map(|encoding| ("content-encoding", encoding)));
            let (status, said) = post(port, "/v1/traces", &headers, case.body)?;
            assert_eq!(status, case.status, "{who}, {}: {said}", case.why);
            assert!(
                said.contains(case.says),
                "{who}, {}: {said:?} lacks {:?}",
                case.why,
                case.says
            );
        }
        let (status, _) = post(
            port,
            "/v1/traces",
            &[("content-type", "application/json"), ("uptrace-dsn", &dsn)],
            b"{}".to_vec(),
        )?;
        assert_eq!(status, 200, "{who} is well afterwards");
    }
    let agent = site.edge.running().peak_resident_bytes()? / MIB;
    let aggregator = site.central.running().peak_resident_bytes()? / MIB;
    assert!(agent < 192, "the agent grew to {agent} MiB");
    assert!(aggregator < 320, "the aggregator grew to {aggregator} MiB");
    Ok(())
}

#[test]
fn a_stranger_is_told_so_before_anything_is_read() -> anyhow::Result<()> {
    let mut site = Site::configure(&EdgeOptions {
        redact: false,
        ..EdgeOptions::default()
    })?;
    site.central.start()?;
    let json = ("content-type", "application/json");
    let wrong = (
        "uptrace-dsn",
        "http://wrong_token@localhost:14318?grpc=14317",
    );
    let (status, said) = post(
        site.central.http_port,
        "/v1/traces",
        &[json],
        b"{}".to_vec(),
    )?;
    assert_eq!(status, 401, "{said}");
    assert!(said.contains("uptrace-dsn"), "{said}");
    let (status, said) = post(
        site.central.http_port,
        "/v1/traces",
        &[json, wrong],
        b"{}".to_vec(),
    )?;
    assert_eq!(status, 401, "{said}");
    assert!(
        !said.contains("wrong_token"),
        "an answer must not repeat a token: {said}"
    );
    for good in [
        (
            "uptrace-dsn",
            format!("http://{}@localhost:14317/1", Site::TOKEN),
        ),
        (
            "uptrace-dns",
            format!("https://{}@api.example.com?grpc=4317", Site::TOKEN),
        ),
        ("authorization", format!("Bearer {}", Site::TOKEN)),
        (
            "authorization",
            format!("Bearer http://{}@localhost:14318", Site::TOKEN),
        ),
    ] {
        let (status, said) = post(
            site.central.http_port,
            "/v1/traces",
            &[json, (good.0, &good.1)],
            b"{}".to_vec(),
        )?;
        assert_eq!(status, 200, "{good:?}: {said}");
    }
    Ok(())
}
