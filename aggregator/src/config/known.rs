//! Keys of Uptrace's configuration (1.7, and 2.x where files carry them over) that nothing here
//! reads yet. They are no typos; a file that has them loads.

/// Full keys, list indexes left out; `*` stands for any one key.
const KNOWN: &[&str] = &[
    "alerting.disabled",
    "auth.cloudflare.audience",
    "auth.cloudflare.team_url",
    "auth.disabled",
    "auth.email_regexp",
    "auth.oidc.claim",
    "auth.oidc.client_id",
    "auth.oidc.client_secret",
    "auth.oidc.display_name",
    "auth.oidc.id",
    "auth.oidc.issuer_url",
    "auth.oidc.name_claim",
    "auth.oidc.redirect_url",
    "auth.oidc.scopes",
    "auth.sign_in_disabled",
    "auth.sign_up_disabled",
    "auth.users.auth_token",
    "auth.users.avatar",
    "auth.users.notify_by_email",
    "certmagic.enabled",
    "certmagic.http_challenge_addr",
    "certmagic.staging_ca",
    "ch.dial_timeout",
    "ch.max_retries",
    "ch.tls.ca_file",
    "ch.tls.cert_file",
    "ch.tls.insecure_skip_verify",
    "ch.tls.key_file",
    "ch.tls.server_name_override",
    "ch.write_timeout",
    "ch_schema.events_data.storage_policy",
    "ch_schema.events_data.ttl_delete",
    "ch_schema.events_index.storage_policy",
    "ch_schema.events_index.ttl_delete",
    "ch_schema.logs_index.storage_policy",
    "ch_schema.logs_index.ttl_delete",
    "ch_schema.span_links.storage_policy",
    "ch_schema.span_links.ttl_delete",
    "ch_schema.spans_index.storage_policy",
    "ch_schema.spans_index.ttl_delete",
    "ch_schema.tables.*",
    "debug",
    "events.max_buffered_records",
    "events.max_insert_size",
    "events.max_threads",
    "license.data",
    "license.key",
    "license.path",
    "listen.grpc.tls.ca_file",
    "listen.grpc.tls.max_version",
    "listen.grpc.tls.min_version",
    "listen.http.tls.ca_file",
    "listen.http.tls.max_version",
    "listen.http.tls.min_version",
    "listen.tls.ca_file",
    "listen.tls.max_version",
    "listen.tls.min_version",
    "logs.max_buffered_records",
    "logs.max_insert_size",
    "logs.max_threads",
    "mailer.smtp.auth_type",
    "mailer.smtp.enabled",
    "mailer.smtp.from",
    "mailer.smtp.host",
    "mailer.smtp.password",
    "mailer.smtp.port",
    "mailer.smtp.tls.disabled",
    "mailer.smtp.username",
    "metrics.batch_size",
    "metrics.buffer_size",
    "metrics.cum_to_delta_size",
    "metrics.drop_attrs",
    "metrics.max_buffered_records",
    "metrics.max_cumulative_timeseries",
    "metrics.max_insert_size",
    "metrics.max_threads",
    "metrics_from_spans.annotations",
    "metrics_from_spans.attrs",
    "metrics_from_spans.description",
    "metrics_from_spans.instrument",
    "metrics_from_spans.name",
    "metrics_from_spans.unit",
    "metrics_from_spans.value",
    "metrics_from_spans.where",
    "pg.conn_params.*",
    "pg.replicas",
    "pg.tls.ca_file",
    "pg.tls.cert_file",
    "pg.tls.insecure_skip_verify",
    "pg.tls.key_file",
    "pg.tls.server_name_override",
    "projects.force_span_name",
    "projects.group_by_env",
    "projects.group_funcs_by_service",
    "projects.prom_compat",
    "redis.addrs.*",
    "redis.db",
    "redis.password",
    "redis.username",
    "redis_cache.addrs.*",
    "redis_cache.db",
    "redis_cache.password",
    "redis_cache.username",
    "secret_key",
    "seed_data.*.*.*",
    "seed_data.delete",
    "seed_data.update",
    "self_monitoring.disabled",
    "self_monitoring.dsn",
    "self_monitoring.tls.insecure_skip_verify",
    "service.env",
    "service.secret",
    "service_graph.disabled",
    "service_graph.store.size",
    "service_graph.store.ttl",
    "site.ingest_url",
    "smtp_mailer.auth_type",
    "smtp_mailer.enabled",
    "smtp_mailer.from",
    "smtp_mailer.host",
    "smtp_mailer.password",
    "smtp_mailer.port",
    "smtp_mailer.tls.disabled",
    "smtp_mailer.username",
    "sourcemaps.disabled",
    "span_links.max_buffered_records",
    "span_links.max_insert_size",
    "span_links.max_threads",
    "spans.batch_size",
    "spans.buffer_size",
    "spans.max_buffered_records",
    "spans.max_insert_size",
    "spans.max_threads",
    "telegram.bot_token",
    "trace.max_memory_usage_bytes",
    "trace.query_limit",
    "uptrace_go.disabled",
    "uptrace_go.dsn",
    "uptrace_go.tls.ca_file",
    "uptrace_go.tls.cert_file",
    "uptrace_go.tls.disabled",
    "uptrace_go.tls.insecure_skip_verify",
    "uptrace_go.tls.key_file",
];

/// Whether `key` below `path` is one of Uptrace's, or leads to one.
pub(super) fn is_known(path: &str, key: &str) -> bool {
    below(path)
        .iter()
        .any(|known| *known == key || *known == "*")
}

/// The keys of Uptrace's that may stand directly below `path`.
pub(super) fn below(path: &str) -> Vec<&'static str> {
    let path = without_indexes(path);
    let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    let mut keys: Vec<&str> = KNOWN
        .iter()
        .filter_map(|known| {
            let mut steps = known.split('.');
            for part in &parts {
                let step = steps.next()?;
                if step != *part && step != "*" {
                    return None;
                }
            }
            steps.next()
        })
        .collect();
    keys.dedup();
    keys
}

/// What to say about a key that nobody knows.
pub(super) fn unknown(key: &str, valid: &[&str]) -> String {
    let nearest = valid
        .iter()
        .filter(|valid| **valid != "*")
        .map(|valid| (strsim::damerau_levenshtein(key, valid), *valid))
        .min();
    match nearest {
        Some((distance, nearest)) if distance <= 1 + key.len() / 3 => {
            format!("unknown key; did you mean {nearest:?}?")
        }
        Some(_) => {
            let mut valid: Vec<_> = valid.iter().filter(|v| **v != "*").copied().collect();
            valid.sort_unstable();
            valid.dedup();
            format!("unknown key; known here: {}", valid.join(", "))
        }
        None => "unknown key; none is expected here".to_owned(),
    }
}

/// `projects[0].token` is known as `projects.token`.
fn without_indexes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_keys_are_sorted_and_stand_once() {
        assert!(KNOWN.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_key_is_known_where_uptrace_has_it_and_nowhere_else() {
        assert!(is_known("", "smtp_mailer"));
        assert!(is_known("projects[3]", "group_by_env"));
        assert!(is_known("pg.conn_params", "application_name"));
        assert!(!is_known("", "group_by_env"));
        assert!(!is_known("smtp_mailer", "hst"));
    }
}
