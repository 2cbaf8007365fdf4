//! [`Site`]: the address that users and senders know us by, and what follows from it.

use std::collections::HashMap;
use std::fmt;

use petrel_spool::ProjectId;

use crate::config::Config;

/// What the API needs to know of the configuration.
#[derive(Clone)]
pub struct Site {
    https: bool,
    authority: String,
    http_endpoint: String,
    grpc_endpoint: String,
    /// Config tokens are the only ones that can be shown: all others are known by hash alone.
    dsns: HashMap<ProjectId, String>,
}

impl Site {
    /// Reads `site.addr`, the listeners and the tokens.
    pub fn of(config: &Config) -> Self {
        let (scheme, rest) = config
            .site_addr
            .split_once("://")
            .unwrap_or(("http", &config.site_addr));
        let authority = rest.split('/').next().unwrap_or(rest).to_owned();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority.as_str(),
        };
        Self {
            https: scheme.eq_ignore_ascii_case("https"),
            http_endpoint: format!("{scheme}://{authority}"),
            grpc_endpoint: format!("{scheme}://{host}:{}", config.listen.grpc.addr.port()),
            dsns: config
                .projects
                .iter()
                .map(|project| (project.id, config.dsn(&project.token)))
                .collect(),
            authority,
        }
    }

    /// Whether users come by TLS, here or at a proxy before us.
    pub fn https(&self) -> bool {
        self.https
    }

    /// Host and port as users type them.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// `__Host-` binds the cookie to this host and to TLS; without TLS browsers refuse the prefix.
    pub(super) fn cookie(&self) -> &'static str {
        if self.https { "__Host-sid" } else { "sid" }
    }

    pub(super) fn http_endpoint(&self) -> &str {
        &self.http_endpoint
    }

    pub(super) fn grpc_endpoint(&self) -> &str {
        &self.grpc_endpoint
    }

    pub(super) fn dsn(&self, project: ProjectId) -> Option<&str> {
        self.dsns.get(&project).map(String::as_str)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}
