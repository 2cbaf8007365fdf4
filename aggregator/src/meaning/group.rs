//! [`Group`]: which items are the same, what they belong to, and what people call them.

use xxhash_rust::xxh3::Xxh3;

use super::facts::{Essence, Fact, Facts};
use super::{severity, statement, template};

/// Longest name in bytes.
const MOST_NAME: usize = 200;

/// A group of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they belong to: `db:postgresql`, `http:till`, `log:error`.
    pub system: String,
    /// The same for ever, and never 0.
    pub id: u64,
    /// What people read.
    pub name: String,
}

/// `SpanKind` as OTLP numbers it.
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// The group of a span. The first convention that fits decides, in Uptrace's order: rpc,
/// messaging, database, http, function.
pub fn of_span(service: &str, kind: i32, name: &str, facts: &Facts<'_>) -> Group {
    let mut buffer = String::new();
    let (system, parts, shown) = span(service, kind, name, facts, &mut buffer);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let id = identity(&system, facts, &parts);
    let shown = match facts.text(Fact::DisplayName) {
        "" => shown,
        given => given.to_owned(),
    };
    Group {
        system,
        id,
        name: shortened(shown),
    }
}

/// What of a span's facts decides about its group, so that most spans are recognised by it: a path
/// beside a route is forgotten, a statement is without its values. The group is the same.
pub fn essence<'b>(name: &str, facts: &Facts<'b>, buffer: &'b mut String) -> Essence<'b> {
    const PATH: [Fact; 2] = [Fact::UrlPath, Fact::ServerAddress];
    let mut essence = Essence::default();
    essence.forget(&[
        Fact::PeerService,
        Fact::ExceptionType,
        Fact::ExceptionMessage,
    ]);
    let has = |fact| facts.has(fact);
    let elsewhere = has(Fact::RpcSystem) || has(Fact::MessagingSystem);
    if elsewhere {
        essence.forget(&[Fact::DbStatement]);
        essence.forget(&PATH);
    } else if has(Fact::DbSystem) || has(Fact::DbStatement) {
        essence.forget(&PATH);
        let given = facts.text(Fact::DbStatement);
        if has(Fact::DbSummary) {
            // That there is one still makes it a database's.
            essence.replace(Fact::DbStatement, "");
        } else if is_command(facts) {
            essence.replace(Fact::DbStatement, first_word(given));
        } else if !given.is_empty() {
            statement::write(given, buffer);
            essence.replace(Fact::DbStatement, buffer);
        }
    } else if has(Fact::HttpRoute) || !is_generic(name, facts.text(Fact::HttpMethod)) {
        essence.forget(&PATH);
    } else if has(Fact::UrlPath) {
        path_template(bare_path(facts.text(Fact::UrlPath)), buffer);
        essence.replace(Fact::UrlPath, buffer);
    }
    essence
}

/// Whether the arguments of what is sent to this database are values: `GET session:17`.
fn is_command(facts: &Facts<'_>) -> bool {
    matches!(
        facts.text(Fact::DbSystem),
        "redis" | "valkey" | "memcached" | "keydb"
    )
}

fn first_word(command: &str) -> &str {
    command.split_ascii_whitespace().next().unwrap_or("")
}

/// Whether a name says no more than the method does; else it was chosen by somebody.
fn is_generic(name: &str, method: &str) -> bool {
    name.is_empty()
        || name == method
        || name.strip_prefix("HTTP ") == Some(method)
        || name.eq_ignore_ascii_case("http")
}

fn bare_path(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or("")
}

fn span(
    service: &str,
    kind: i32,
    name: &str,
    facts: &Facts<'_>,
    buffer: &mut String,
) -> (String, Vec<String>, String) {
    let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
    let service = or(service, "unknown");
    if facts.has(Fact::RpcSystem) {
        let (of, method) = (facts.text(Fact::RpcService), facts.text(Fact::RpcMethod));
        let shown = match (of, method) {
            ("", "") => masked(name, buffer),
            ("", method) => method.to_owned(),
            (of, method) => format!("{of}/{method}"),
        };
        let parts = vec![side(kind), shown.clone()];
        return (format!("rpc:{service}"), parts, shown);
    }
    if facts.has(Fact::MessagingSystem) {
        let operation = match (facts.text(Fact::MessagingOperation), kind) {
            ("", PRODUCER) => "publish",
            ("", CONSUMER) => "process",
            (given, _) => given,
        };
        let shown = match facts.text(Fact::MessagingDestination) {
            "" => masked(name, buffer),
            to => format!("{to} {operation}").trim_end().to_owned(),
        };
        let system = format!("messaging:{}", facts.text(Fact::MessagingSystem));
        return (system, vec![side(kind), shown.clone()], shown);
    }
    if facts.has(Fact::DbSystem) || facts.has(Fact::DbStatement) {
        let system = format!("db:{}", or(facts.text(Fact::DbSystem), "unknown_db"));
        let shown = database(name, facts, buffer);
        return (system, vec![shown.clone()], shown);
    }
    let http = [Fact::HttpMethod, Fact::HttpRoute, Fact::HttpStatus];
    if http.into_iter().any(|fact| facts.has(fact)) {
        let client = kind == CLIENT;
        let shown = http_name(name, client, facts, buffer);
        let system = if client { "httpclient" } else { "http" };
        return (format!("{system}:{service}"), vec![shown.clone()], shown);
    }
    if facts.has(Fact::FaasTrigger) {
        let shown = match facts.text(Fact::FaasName) {
            "" => masked(name, buffer),
            given => given.to_owned(),
        };
        let system = format!("faas:{}", facts.text(Fact::FaasTrigger));
        return (system, vec![shown.clone()], shown);
    }
    let shown = masked(name, buffer);
    (
        format!("funcs:{service}"),
        vec![side(kind), shown.clone()],
        shown,
    )
}

fn side(kind: i32) -> String {
    if matches!(kind, CLIENT | PRODUCER) {
        "out"
    } else {
        "in"
    }
    .to_owned()
}

fn masked(name: &str, buffer: &mut String) -> String {
    // A route is written for people already: `GET /orders/{id}`.
    if !name.bytes().any(|byte| byte.is_ascii_digit()) {
        return name.to_owned();
    }
    path_template(name, buffer);
    buffer.clone()
}

fn database(name: &str, facts: &Facts<'_>, buffer: &mut String) -> String {
    let summary = facts.text(Fact::DbSummary);
    if !summary.is_empty() {
        return summary.to_owned();
    }
    let given = facts.text(Fact::DbStatement);
    if given.is_empty() {
        let (operation, table) = (
            facts.text(Fact::DbOperation),
            facts.text(Fact::DbCollection),
        );
        return match (operation, table) {
            ("", "") => masked(name, buffer),
            (operation, table) => format!("{operation} {table}").trim().to_owned(),
        };
    }
    if is_command(facts) {
        return first_word(given).to_ascii_uppercase();
    }
    statement::write(given, buffer);
    buffer.clone()
}

fn http_name(name: &str, client: bool, facts: &Facts<'_>, buffer: &mut String) -> String {
    let method = facts.text(Fact::HttpMethod);
    let route = facts.text(Fact::HttpRoute);
    if !route.is_empty() {
        return format!("{method} {route}").trim_start().to_owned();
    }
    if !is_generic(name, method) {
        return masked(name, buffer);
    }
    path_template(bare_path(facts.text(Fact::UrlPath)), buffer);
    let host = if client {
        facts.text(Fact::ServerAddress)
    } else {
        ""
    };
    let shown = format!("{method} {host}{buffer}");
    let shown = shown.trim();
    if shown == method {
        return format!("{method} <unknown_route>").trim_start().to_owned();
    }
    shown.to_owned()
}

/// A path with its parameters taken out: `/orders/17/items` becomes `/orders/<num>/items`.
fn path_template(path: &str, out: &mut String) {
    out.clear();
    let mut word = String::new();
    let mut masked = String::new();
    for c in path.chars().take(4 * MOST_NAME) {
        if c == '/' || c == ' ' || c == '?' {
            template::write(&word, &mut masked);
            out.push_str(&masked);
            word.clear();
            out.push(c);
        } else {
            word.push(c);
        }
    }
    template::write(&word, &mut masked);
    out.push_str(&masked);
}

/// The group of log records whose messages have this template, the sender's or ours.
pub fn of_log(severity: u8, template: &str, facts: &Facts<'_>) -> Group {
    let system = format!("log:{}", severity::name(severity));
    Group {
        id: identity(&system, facts, &[template]),
        name: shortened(template.to_owned()),
        system,
    }
}

/// The group of exceptions, whether a span or a log record carries them.
pub fn of_exception(kind: &str, message: &str, facts: &Facts<'_>, buffer: &mut String) -> Group {
    let system = "log:error".to_owned();
    template::write(message, buffer);
    let name = match (kind, buffer.as_str()) {
        ("", "") => "exception".to_owned(),
        (kind, "") => kind.to_owned(),
        ("", message) => message.to_owned(),
        (kind, message) => format!("{kind}: {message}"),
    };
    Group {
        id: identity(&system, facts, &["exception", kind, buffer]),
        name: shortened(name),
        system,
    }
}

/// A fingerprint that the sender gives stands for everything but the system.
fn identity(system: &str, facts: &Facts<'_>, parts: &[&str]) -> u64 {
    let mut hash = Xxh3::new();
    let mut put = |part: &str| {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    put(system);
    match (facts.has(Fact::Fingerprint), facts.text(Fact::Fingerprint)) {
        (false, _) => parts.iter().for_each(|part| put(part)),
        (true, "") => put(&facts.number().to_string()),
        (true, given) => put(given),
    }
    hash.digest().max(1)
}

fn shortened(mut name: String) -> String {
    if name.len() > MOST_NAME {
        let end = (0..=MOST_NAME).rev().find(|at| name.is_char_boundary(*at));
        name.truncate(end.unwrap_or(0));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: i32 = 2;

    fn facts<'a>(pairs: &[(&'a str, &'a str)]) -> Facts<'a> {
        Facts::of_texts(pairs.iter().copied())
    }

    fn check(kind: i32, name: &str, pairs: &[(&str, &str)], system: &str, shown: &str) {
        let group = of_span("till", kind, name, &facts(pairs));
        let mut buffer = String::new();
        let essence = facts(pairs).reduced(&essence(name, &facts(pairs), &mut buffer));
        assert_eq!(
            of_span("till", kind, name, &essence),
            group,
            "by its essence"
        );
        assert_eq!(
            (group.system.as_str(), group.name.as_str()),
            (system, shown)
        );
    }

    #[test]
    fn the_system_is_what_the_conventions_say_in_their_order() {
        check(
            SERVER,
            "GET /o/{id}",
            &[("http.method", "GET"), ("http.route", "/o/{id}")],
            "http:till",
            "GET /o/{id}",
        );
        check(
            CLIENT,
            "GET",
            &[
                ("http.request.method", "GET"),
                ("server.address", "api"),
                ("url.path", "/o/17?x=1"),
            ],
            "httpclient:till",
            "GET api/o/<num>",
        );
        check(
            SERVER,
            "HTTP POST",
            &[("http.method", "POST")],
            "http:till",
            "POST <unknown_route>",
        );
        check(
            CLIENT,
            "q",
            &[("db.system", "postgresql"), ("db.statement", "SELECT 1")],
            "db:postgresql",
            "SELECT ?",
        );
        check(
            CLIENT,
            "q",
            &[("db.statement", "SELECT 1")],
            "db:unknown_db",
            "SELECT ?",
        );
        check(
            CLIENT,
            "q",
            &[("db.system", "redis"), ("db.statement", "get session:17")],
            "db:redis",
            "GET",
        );
        check(
            CLIENT,
            "q",
            &[
                ("db.system.name", "mysql"),
                ("db.query.summary", "SELECT orders"),
            ],
            "db:mysql",
            "SELECT orders",
        );
        check(
            CLIENT,
            "q",
            &[
                ("db.system", "mongodb"),
                ("db.operation", "find"),
                ("db.mongodb.collection", "o"),
            ],
            "db:mongodb",
            "find o",
        );
        check(
            CLIENT,
            "a/b",
            &[
                ("rpc.system", "grpc"),
                ("rpc.service", "a"),
                ("rpc.method", "b"),
                ("http.method", "POST"),
            ],
            "rpc:till",
            "a/b",
        );
        check(
            PRODUCER,
            "x",
            &[
                ("messaging.system", "kafka"),
                ("messaging.destination.name", "orders"),
            ],
            "messaging:kafka",
            "orders publish",
        );
        check(
            SERVER,
            "f",
            &[("faas.trigger", "timer"), ("faas.name", "sweep")],
            "faas:timer",
            "sweep",
        );
        check(1, "job 17", &[], "funcs:till", "job <num>");
        check(1, "x", &[("display.name", "mine")], "funcs:till", "mine");
    }

    #[test]
    fn values_make_no_new_groups_and_meanings_do() {
        let id = |pairs: &[(&str, &str)]| of_span("till", CLIENT, "q", &facts(pairs)).id;
        let one = id(&[
            ("db.system", "postgresql"),
            ("db.statement", "SELECT a FROM t WHERE i = 1"),
        ]);
        let two = id(&[
            ("db.system.name", "postgresql"),
            ("db.query.text", "SELECT a FROM t WHERE i = 2"),
        ]);
        let other = id(&[
            ("db.system", "postgresql"),
            ("db.statement", "SELECT b FROM t WHERE i = 1"),
        ]);
        assert_eq!(one, two);
        assert_ne!(one, other);
        let forced = |value| id(&[("grouping.fingerprint", value)]);
        assert_eq!(
            forced("x"),
            of_span("till", 1, "other", &facts(&[("grouping.fingerprint", "x")])).id
        );
        assert_ne!(forced("x"), forced("y"));
    }

    #[test]
    fn logs_group_by_severity_and_template_and_exceptions_by_type_and_template() {
        let mut buffer = String::new();
        let log = of_log(severity::ERROR, "user <num> is gone", &Facts::default());
        assert_eq!(
            (log.system.as_str(), log.name.as_str()),
            ("log:error", "user <num> is gone")
        );
        assert_ne!(
            log.id,
            of_log(severity::WARN, "user <num> is gone", &Facts::default()).id
        );
        let boom = of_exception("Boom", "no row 17", &Facts::default(), &mut buffer);
        let again = of_exception(
            "Boom",
            "no row 18\nat line 3",
            &Facts::default(),
            &mut buffer,
        );
        assert_eq!(boom, again);
        assert_eq!(boom.name, "Boom: no row <num>");
        let empty = of_exception("", "", &Facts::default(), &mut buffer);
        assert_eq!(empty.name, "exception");
    }

    #[test]
    fn ids_are_for_ever() {
        let span = of_span(
            "till",
            SERVER,
            "x",
            &facts(&[("http.method", "GET"), ("http.route", "/o/{id}")]),
        );
        let log = of_log(17, "user <num> is gone", &Facts::default());
        assert_eq!(
            [span.id, log.id],
            [16_530_385_000_234_103_030, 14_662_093_776_488_735_740]
        );
    }
}
