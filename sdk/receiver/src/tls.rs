//! [`Tls`]: a listener's certificate, and whom it asks for one. Files that change are read again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use xxhash_rust::xxh3::Xxh3;

/// TLS 1.2 and 1.3 with a certificate of our own; HTTP/2 and HTTP/1.1 by ALPN. Cheap to clone; all
/// clones offer the same.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    /// [`Files::look`] of what was loaded first.
    first: Option<u128>,
    now: Arc<RwLock<Arc<ServerConfig>>>,
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is missing, unreadable or not PEM.
    #[error("cannot read {what} from {path}")]
    Read {
        /// What was expected in it.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// There is no certificate in the file.
    #[error("no certificate in {0}")]
    Empty(PathBuf),
    /// Key and certificate do not go together, or the like.
    #[error("cannot offer TLS with this certificate and key")]
    Unusable(#[source] rustls::Error),
    /// The client CA's certificates cannot be used.
    #[error("cannot verify clients with this CA")]
    ClientCa(#[source] rustls::server::VerifierBuilderError),
}

impl Tls {
    /// Reads PEM files. With `client_ca`, who has no certificate of that authority is turned away.
    pub fn load(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let files = Files {
            cert: cert.to_owned(),
            key: key.to_owned(),
            client_ca: client_ca.map(Path::to_owned),
        };
        // Before they are loaded: what changes in between is seen as a change.
        let first = files.look();
        let config = files.load()?;
        Ok(Self {
            files: Arc::new(files),
            first,
            now: Arc::new(RwLock::new(Arc::new(config))),
        })
    }

    /// Looks at the files every so often until `stop`. Once they have changed and go together, new
    /// connections get the new certificate; old ones finish with the old one. What cannot be used,
    /// a file that is half written for instance, changes nothing and is said once.
    pub(crate) async fn follow(&self, every: Duration, stop: CancellationToken) {
        let mut offered = self.first;
        let mut complained = None;
        while stop
            .run_until_cancelled(tokio::time::sleep(every))
            .await
            .is_some()
        {
            let files = Arc::clone(&self.files);
            let Ok(seen) = tokio::task::spawn_blocking(move || files.look()).await else {
                return;
            };
            if seen == offered || complained == Some(seen) {
                continue;
            }
            let files = Arc::clone(&self.files);
            let Ok(loaded) = tokio::task::spawn_blocking(move || files.load()).await else {
                return;
            };
            match loaded {
                Ok(config) => {
                    *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                    offered = seen;
                    complained = None;
                    info!(cert = %self.files.cert.display(), "new connections get the changed certificate");
                }
                Err(why) => {
                    complained = Some(seen);
                    error!(
                        error = %why,
                        "the changed certificate cannot be used; the one before stays"
                    );
                }
            }
        }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&now))
    }
}

impl Files {
    /// The content, as a hash: links that are swapped and clocks that stand still do not matter.
    /// Nothing if it cannot be read.
    fn look(&self) -> Option<u128> {
        let mut hash = Xxh3::new();
        for path in [&self.cert, &self.key].into_iter().chain(&self.client_ca) {
            let bytes = std::fs::read(path).ok()?;
            hash.update(&bytes.len().to_le_bytes());
            hash.update(&bytes);
        }
        Some(hash.digest128())
    }

    fn load(&self) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.cert)?;
        let key_der = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| TlsError::Read {
            what: "a private key",
            path: self.key.clone(),
            source,
        })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(TlsError::Unusable)?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(TlsError::ClientCa)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key_der)
            .map_err(TlsError::Unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read {
        what: "certificates",
        path: path.to_owned(),
        source,
    };
    let chain = CertificateDer::pem_file_iter(path)
        .map_err(read)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?;
    if chain.is_empty() {
        return Err(TlsError::Empty(path.to_owned()));
    }
    Ok(chain)
}
