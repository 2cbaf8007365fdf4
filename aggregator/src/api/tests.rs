//! What holds without a store: sessions, the guard, shapes of errors, the description.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use petrel_spool::ProjectId;
use petrel_wire::{SystemClock, Token};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::config::{Config, Project, Secret, User};
use crate::metadata::{Database, NewUser, Sees};

struct Installed {
    router: Router,
    metadata: Metadata,
    _dir: tempfile::TempDir,
}

fn config(site_addr: &str) -> Config {
    let project = |id, token| Project {
        id: ProjectId(id),
        name: format!("Project {id}"),
        token: Token::parse(token).unwrap(),
        pinned_attrs: vec!["service.name".to_owned()],
    };
    Config {
        site_addr: site_addr.to_owned(),
        projects: vec![
            project(1, "project1_secret_token"),
            project(2, "project2_secret_token"),
        ],
        users: vec![User {
            email: "uptrace@localhost".to_owned(),
            password: Secret::new("uptrace"),
            name: "Anonymous".to_owned(),
        }],
        ..Config::default()
    }
}

async fn site_of(config: Config) -> Installed {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let database = Database::Sqlite(dir.path().join("meta.sqlite"));
    let metadata = Metadata::open(&database, Arc::clone(&clock)).await.unwrap();
    metadata.upsert_projects(&config.projects).await.unwrap();
    metadata.upsert_users(&config.users).await.unwrap();
    let state = ApiState::new(
        metadata.clone(),
        Reader::new(clickhouse::Client::default().with_url("http://127.0.0.1:9")),
        Recent::new(),
        Arc::new(Site::of(&config)),
        clock,
    );
    Installed {
        router: router(state),
        metadata,
        _dir: dir,
    }
}

async fn site() -> Installed {
    site_of(config("http://localhost:14318")).await
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    fn code(&self) -> &str {
        assert!(self.body["error"]["message"].is_string(), "{}", self.body);
        self.body["error"]["code"].as_str().unwrap()
    }

    fn cookie(&self) -> String {
        let cookie = self.headers[header::SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

impl Installed {
    async fn ask(&self, method: Method, path: &str, cookie: &str, body: Option<Value>) -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        if !cookie.is_empty() {
            request = request.header(header::COOKIE, format!("theme=dark; {cookie}"));
        }
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        Answered::read(self.router.clone().oneshot(request.unwrap()).await.unwrap()).await
    }

    async fn get(&self, path: &str, cookie: &str) -> Answered {
        self.ask(Method::GET, path, cookie, None).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Answered {
        let login = json!({ "email": email, "password": password });
        self.ask(Method::POST, "/api/v1/session", "", Some(login))
            .await
    }
}

#[tokio::test]
async fn a_user_signs_in_looks_around_and_signs_out() {
    let site = site().await;
    assert_eq!(site.get("/api/v1/session", "").await.code(), "signed_out");
    let session = site.sign_in("uptrace@localhost", "uptrace").await;
    assert_eq!(session.status, StatusCode::OK);
    let cookie = session.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("sid="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800"),
        "{cookie}"
    );
    let cookie = session.cookie();
    let me = site.get("/api/v1/session", &cookie).await;
    assert_eq!(me.body["user"]["email"], "uptrace@localhost");
    assert_eq!(
        me.body["projects"][1],
        json!({ "id": 2, "name": "Project 2" })
    );
    let project = site.get("/api/v1/projects/1", &cookie).await;
    assert_eq!(
        project.body["dsn"],
        "http://project1_secret_token@localhost:14318?grpc=14317"
    );
    assert_eq!(project.body["http_endpoint"], "http://localhost:14318");
    assert_eq!(project.body["grpc_endpoint"], "http://localhost:14317");
    let gone = site
        .ask(Method::DELETE, "/api/v1/session", &cookie, None)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(
        site.get("/api/v1/session", &cookie).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn behind_tls_the_cookie_is_bound_to_the_host() {
    let site = site_of(config("https://traces.example.com")).await;
    let session = site.sign_in("uptrace@localhost", "uptrace").await;
    let cookie = session.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.starts_with("__Host-sid=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    assert!(
        session
            .headers
            .contains_key(header::STRICT_TRANSPORT_SECURITY)
    );
}

#[tokio::test]
async fn wrong_password_and_unknown_user_are_the_same_and_the_eleventh_try_waits() {
    let site = site().await;
    let wrong = site.sign_in("uptrace@localhost", "wrong").await;
    let unknown = site.sign_in("nobody@localhost", "wrong").await;
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    assert_eq!(wrong.code(), "wrong_login");
    for _ in 0..9 {
        site.sign_in("uptrace@localhost", "wrong").await;
    }
    let throttled = site.sign_in("uptrace@localhost", "uptrace").await;
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(throttled.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn a_project_of_others_does_not_exist() {
    let site = site().await;
    let ada = NewUser {
        email: "ada@example.com".to_owned(),
        password: "four grey petrels".to_owned(),
        name: "Ada".to_owned(),
        sees: Sees::Granted,
    };
    let ada = site.metadata.create_user(ada).await.unwrap();
    site.metadata.grant(&ada.id, ProjectId(2)).await.unwrap();
    let cookie = site
        .sign_in("ada@example.com", "four grey petrels")
        .await
        .cookie();
    assert_eq!(
        site.get("/api/v1/projects/2", &cookie).await.status,
        StatusCode::OK
    );
    let description: Value = serde_json::from_str(&openapi()).unwrap();
    let mut walked = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        if !path.contains("{p}") {
            continue;
        }
        let trace = "0af7651916cd43dd8448eb211c80319c";
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = (method != Method::GET).then(|| json!({}));
            for (project, cookie) in [("1", &cookie), ("99", &cookie), ("x", &cookie)] {
                let path = path.replace("{p}", project).replace("{id}", trace);
                let foreign = site.ask(method.clone(), &path, cookie, body.clone()).await;
                assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{method} {path}");
                assert_eq!(foreign.code(), "project_not_found");
            }
            let path = path.replace("{p}", "2").replace("{id}", trace);
            let stranger = site.ask(method.clone(), &path, "sid=guessed", body).await;
            assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            walked += 1;
        }
    }
    assert!(walked >= 15, "{walked} endpoints");
}

#[tokio::test]
async fn a_view_is_saved_found_again_changed_and_deleted() {
    let site = site().await;
    let session = site.sign_in("uptrace@localhost", "uptrace").await;
    let cookie = session.cookie();
    let path = "/api/v1/projects/1/views";
    let slow = json!({ "page": "traces", "name": " slow ", "query": "where=duration%3E1s" });
    let ask = async |method: Method, path: &str, body: &Value| {
        site.ask(method, path, &cookie, Some(body.clone())).await
    };
    let made = ask(Method::POST, path, &slow).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(
        (&made.body["name"], &made.body["pinned"]),
        (&json!("slow"), &json!(false))
    );
    assert_eq!(site.get(path, &cookie).await.body, json!([made.body]));
    assert_eq!(ask(Method::POST, path, &slow).await.code(), "name_taken");
    for (bad, code) in [
        (
            json!({ "page": "traces", "name": " ", "query": "" }),
            "bad_name",
        ),
        (
            json!({ "page": "traces", "name": "a\nb", "query": "" }),
            "bad_name",
        ),
        (
            json!({ "page": "traces", "name": "a", "query": "x".repeat(8193) }),
            "long_query",
        ),
        (
            json!({ "page": "kitchen", "name": "a", "query": "" }),
            "bad_body",
        ),
    ] {
        assert_eq!(ask(Method::POST, path, &bad).await.code(), code, "{bad}");
    }
    let one = format!("{path}/{}", made.body["id"].as_str().unwrap());
    let pinned = json!({ "page": "logs", "name": "slow", "query": "", "pinned": true });
    let changed = ask(Method::PUT, &one, &pinned).await;
    assert_eq!(
        (changed.status, &changed.body["page"]),
        (StatusCode::OK, &json!("logs"))
    );
    let elsewhere = one.replace("projects/1", "projects/2");
    assert_eq!(
        ask(Method::PUT, &elsewhere, &pinned).await.code(),
        "view_not_found"
    );
    let gone = site.ask(Method::DELETE, &one, &cookie, None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let again = site.ask(Method::DELETE, &one, &cookie, None).await;
    assert_eq!(again.code(), "view_not_found");
    let changes = site.get("/api/v1/projects/1/changes", &cookie).await.body;
    let actions = changes.as_array().unwrap().iter().map(|one| &one["action"]);
    assert_eq!(
        actions.collect::<Vec<_>>(),
        ["deleted", "changed", "created"]
    );
    assert_eq!(changes[0]["actor"], "uptrace@localhost");
}

#[tokio::test]
async fn the_first_user_needs_the_token_of_the_log() {
    let mut empty = config("http://localhost:14318");
    empty.users.clear();
    let site = site_of(empty).await;
    let token = site.metadata.setup_token().await.unwrap().unwrap();
    let claim = async |token: &str, password: &str| {
        let body = json!({ "token": token, "email": "ada@example.com", "password": password });
        site.ask(Method::POST, "/api/v1/setup", "", Some(body))
            .await
    };
    assert_eq!(
        site.get("/api/v1/setup", "").await.body,
        json!({ "needed": true })
    );
    assert_eq!(
        claim("wrong", "four grey petrels").await.code(),
        "wrong_setup_token"
    );
    assert_eq!(claim(&token, "short").await.code(), "bad_password");
    let first = claim(&token, "four grey petrels").await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(
        site.get("/api/v1/session", &first.cookie()).await.status,
        StatusCode::OK
    );
    assert_eq!(
        site.get("/api/v1/setup", "").await.body,
        json!({ "needed": false })
    );
    assert_eq!(
        claim(&token, "four grey petrels").await.code(),
        "already_set_up"
    );
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let site = site().await;
    let request = |name: &str, value: &str| {
        Request::post("/api/v1/session")
            .header(header::HOST, "localhost:14318")
            .header(header::CONTENT_TYPE, "application/json")
            .header(name, value)
            .body(Body::from(
                r#"{"email":"uptrace@localhost","password":"uptrace"}"#,
            ))
            .unwrap()
    };
    for (name, value, status) in [
        ("origin", "http://localhost:14318", StatusCode::OK),
        ("origin", "http://evil.example", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
    ] {
        let response = site
            .router
            .clone()
            .oneshot(request(name, value))
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{name}: {value}");
    }
    let form = Request::post("/api/v1/session")
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    let response = Answered::read(site.router.clone().oneshot(form).await.unwrap()).await;
    assert_eq!(response.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(response.code(), "bad_body");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_api_errors_are_json() {
    let site = site().await;
    for path in [
        "/",
        "/api/v1/session",
        "/api/v1/nothing",
        "/api/nothing",
        "/assets/nothing.js",
    ] {
        let answer = site.get(path, "").await;
        let csp = answer.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(csp.starts_with("default-src 'self'") && csp.contains("frame-ancestors 'none'"));
        assert!(!csp.contains("unsafe"), "{csp}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(answer.headers[header::REFERRER_POLICY], "same-origin");
        if path.contains("nothing") && path.starts_with("/api") {
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
            assert_eq!(answer.code(), "no_such_endpoint");
        }
    }
    let patch = site.ask(Method::PATCH, "/api/v1/session", "", None).await;
    assert_eq!(patch.code(), "no_such_endpoint");
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_before_the_store_is_asked() {
    let site = site().await;
    let cookie = site.sign_in("uptrace@localhost", "uptrace").await.cookie();
    let ask = async |path: &str, body| {
        let path = format!("/api/v1/projects/1/{path}");
        site.ask(Method::POST, &path, &cookie, Some(body)).await
    };
    let time = json!({ "from": "1800000000000000000", "to": "1800000060000000000" });
    let backwards = json!({ "from": "2", "to": "1" });
    let answer = ask("spans/search", json!({ "time": backwards })).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "bad_time")
    );
    let filter = json!({ "key": "duration", "op": ">", "value": "long" });
    let answer = ask("spans/search", json!({ "time": time, "where": [filter] })).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "bad_filter")
    );
    let answer = ask(
        "logs/search",
        json!({ "time": time, "page": "bm90IGEgdG9rZW4" }),
    )
    .await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "page_token_mismatch")
    );
    let answer = ask("logs/search", json!({ "time": time, "limits": 1 })).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::UNPROCESSABLE_ENTITY, "bad_body")
    );
    let answer = ask("spans/search", json!({ "time": time })).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
    );
    let answer = site.get("/api/v1/traces/xyz", &cookie).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "bad_trace_id")
    );
    let answer = site
        .get("/api/v1/projects/1/keys?signal=pictures", &cookie)
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "bad_query")
    );
}

#[test]
fn the_checked_in_description_is_that_of_the_handlers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        checked_in == openapi(),
        "openapi.json is out of date: cargo test -p petrel-aggregator write_openapi -- --ignored"
    );
}

#[test]
#[ignore = "writes openapi.json after handlers have changed"]
fn write_openapi() {
    std::fs::write(
        concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"),
        openapi(),
    )
    .unwrap();
}
