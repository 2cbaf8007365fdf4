//! Loki's pushes, as far as the list of logs.

use super::{Whole, now_seconds, post};

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_were_pushed_are_logs_of_their_service() {
    let whole = Whole::start().await;
    let second = now_seconds();
    let body = format!(
        r#"{{"streams":[{{"stream":{{"app":"till","env":"prod","level":"warn"}},"values":[
            ["{second}000000001","slow disk"],
            ["{second}000000002","no disk",{{"level":"error","user":"7",
             "trace_id":"0af7651916cd43dd8448eb211c80319c"}}]]}}]}}"#
    );
    let headers = [
        ("content-type", "application/json"),
        ("uptrace-dsn", "http://one@localhost"),
    ];
    let answer = post(
        whole.at.http,
        "/loki/api/v1/push",
        &headers,
        body.as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 204, "{}", answer.words());
    let rows = whole
        .rows(
            2,
            "SELECT project_id, service_name, severity_number, severity_text, body, trace_id, \
             attributes['user'] FROM logs ORDER BY time",
        )
        .await;
    assert_eq!(rows[0].join("|"), "1|till|13|warn|slow disk||");
    assert_eq!(
        rows[1].join("|"),
        "1|till|17|error|no disk|0af7651916cd43dd8448eb211c80319c|7"
    );
    let env = "SELECT count() FROM logs WHERE position(resource::String, 'prod') > 0";
    assert_eq!(whole.sql(env).await[0][0], "2");
    whole.stop().await;
}
