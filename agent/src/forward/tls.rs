//! TLS towards the peer: 1.2 and 1.3, HTTP/2 first, and whom to trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// `forward.ca_file` is unreadable or not PEM.
    #[error("cannot read certificates from {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate nobody can use.
    #[error("cannot use the certificates of {path}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// No certificate in the file.
    #[error("no certificate in {0}")]
    Empty(PathBuf),
    /// The TLS library.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

/// Trusts `ca_file`, else the system's roots, else Mozilla's. Without TLS nobody is trusted, and
/// nothing is read.
pub(super) fn config(tls: bool, ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        _ if !tls => {}
        Some(path) => add_file(&mut roots, path)?,
        None => {
            let system = rustls_native_certs::load_native_certs();
            let (_added, _ignored) = roots.add_parsable_certificates(system.certs);
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// For clients that speak to this machine only: trusts nobody.
pub fn no_tls() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let read = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        roots
            .add(certificate.map_err(read)?)
            .map_err(|source| TlsError::Unusable {
                path: path.to_owned(),
                source,
            })?;
    }
    if roots.is_empty() {
        return Err(TlsError::Empty(path.to_owned()));
    }
    Ok(())
}
