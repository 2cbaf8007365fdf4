//! Attribute keys that OpenTelemetry has renamed, and how Uptrace spells keys.
//!
//! Rows keep the key that was sent. A question for one spelling means all of them.

/// The spellings of one meaning, the current one first (semantic conventions 1.20 to 1.37).
const RENAMED: &[&[&str]] = &[
    &[
        "deployment.environment.name",
        "deployment.environment",
        "environment",
        "env",
    ],
    &["http.request.method", "http.method"],
    &["http.response.status_code", "http.status_code"],
    &["http.request.body.size", "http.request_content_length"],
    &["http.response.body.size", "http.response_content_length"],
    &["url.full", "http.url"],
    &["url.path", "http.target"],
    &["url.scheme", "http.scheme"],
    &["user_agent.original", "http.user_agent"],
    &["client.address", "http.client_ip"],
    &["server.address", "net.peer.name", "net.host.name"],
    &["server.port", "net.peer.port", "net.host.port"],
    &["network.peer.address", "net.sock.peer.addr"],
    &["network.peer.port", "net.sock.peer.port"],
    &["network.local.address", "net.sock.host.addr"],
    &["network.local.port", "net.sock.host.port"],
    &["network.protocol.name", "net.protocol.name"],
    &["network.protocol.version", "net.protocol.version"],
    &["network.transport", "net.transport"],
    &["db.system.name", "db.system", "db.type"],
    &["db.namespace", "db.name"],
    &["db.query.text", "db.statement"],
    &["db.operation.name", "db.operation"],
    &[
        "db.collection.name",
        "db.sql.table",
        "db.mongodb.collection",
        "db.cassandra.table",
    ],
    &["messaging.operation.type", "messaging.operation"],
    &["messaging.destination.name", "messaging.destination"],
    &[
        "messaging.client.id",
        "messaging.client_id",
        "messaging.kafka.client_id",
    ],
    &[
        "messaging.consumer.group.name",
        "messaging.kafka.consumer.group",
    ],
    &[
        "messaging.message.body.size",
        "messaging.message_payload_size_bytes",
    ],
    &["messaging.message.id", "messaging.message_id"],
    &["code.function.name", "code.function"],
    &["code.file.path", "code.filepath"],
    &["code.line.number", "code.lineno"],
    &["code.column.number", "code.column"],
    &["faas.invocation_id", "faas.execution"],
    &["gen_ai.provider.name", "gen_ai.system"],
];

/// Keys without a history that people type with underscores.
const PLAIN: &[&str] = &[
    "service.name",
    "service.version",
    "service.namespace",
    "service.instance.id",
    "host.name",
    "host.id",
    "host.arch",
    "os.type",
    "process.pid",
    "container.id",
    "container.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.node.name",
    "k8s.deployment.name",
    "k8s.container.name",
    "k8s.cluster.name",
    "cloud.provider",
    "cloud.region",
    "cloud.availability_zone",
    "telemetry.sdk.name",
    "telemetry.sdk.language",
    "telemetry.sdk.version",
    "http.route",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "messaging.system",
    "exception.type",
    "exception.message",
    "exception.stacktrace",
    "enduser.id",
    "peer.service",
];

/// Every spelling of what `key` means, itself first; only itself if nothing is known of it.
pub fn spellings(key: &str) -> Vec<&str> {
    let mut found = vec![key];
    let same = |known: &&str| **known == *key || clean_equals(known, key);
    if let Some(renamed) = RENAMED.iter().find(|renamed| renamed.iter().any(same)) {
        found.extend(renamed.iter().filter(|known| **known != key));
    } else {
        found.extend(PLAIN.iter().filter(|known| **known != key && same(known)));
    }
    found
}

/// Whether somebody has typed a known key in Uptrace's spelling.
fn clean_equals(known: &str, typed: &str) -> bool {
    known.len() == typed.len()
        && !typed.contains('.')
        && known
            .bytes()
            .zip(typed.bytes())
            .all(|(known, typed)| known == typed || (known == b'.' && typed == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_means_all() {
        assert_eq!(
            spellings("http.method"),
            ["http.method", "http.request.method"]
        );
        assert_eq!(
            spellings("db_system"),
            ["db_system", "db.system.name", "db.system", "db.type"]
        );
        assert_eq!(spellings("service_name"), ["service_name", "service.name"]);
        assert_eq!(spellings("service.name"), ["service.name"]);
        assert_eq!(spellings("my_own"), ["my_own"]);
    }

    #[test]
    fn no_key_means_two_things() {
        let mut all: Vec<&str> = RENAMED.iter().flat_map(|of| of.iter().copied()).collect();
        all.extend(PLAIN);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
