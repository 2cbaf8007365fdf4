//! Certificates on the disk are watched, so that a renewed one needs no restart.
//!
//! New connections use the new files; requests under way end on the old ones. Files that cannot be
//! used (a renewal that has written one half so far) change nothing until they can.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio::time::sleep;
use tracing::{info, warn};

use super::Shared;
use crate::config::Tls;

/// What the files of certificates look like from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<File>>);

/// Device, inode, size, and time of the last change in nanoseconds.
type File = (u64, u64, u64, i128);

impl Stamp {
    /// Looks at the files; one that is not there looks like none.
    pub(super) fn of(tls: &Tls) -> Self {
        let identity = tls.identity.iter();
        let identity = identity.flat_map(|(cert, key)| [cert, key]);
        let files = tls.ca_file.iter().chain(identity);
        Self(files.map(|path| look(path)).collect())
    }
}

fn look(path: &Path) -> Option<File> {
    // Follows links, which is how renewals switch.
    let file = std::fs::metadata(path).ok()?;
    let changed = i128::from(file.ctime()) * 1_000_000_000 + i128::from(file.ctime_nsec());
    Some((file.dev(), file.ino(), file.size(), changed))
}

impl Shared {
    /// Takes renewed certificates up, for as long as the stage runs.
    pub(super) async fn watch_certificates(self: Arc<Self>) {
        loop {
            sleep(self.look_at_files).await;
            let way = self.way();
            if way.client.config().tls == Tls::default() {
                continue;
            }
            let renew = tokio::task::spawn_blocking(move || {
                let outdated = way.client.is_outdated();
                outdated.then(|| (way.client.renewed(), way))
            });
            match renew.await {
                Ok(Some((Ok(client), way))) => {
                    info!("the certificates were renewed");
                    self.certificates_cannot(None);
                    // A reload in between has read them as well, and knows better where to go.
                    if Arc::ptr_eq(&way, &self.way()) {
                        self.turn(client);
                    }
                }
                Ok(Some((Err(error), _))) => {
                    let words = format!("{:#}", anyhow::Error::new(error));
                    self.certificates_cannot(Some(words));
                }
                Ok(None) => self.certificates_cannot(None),
                Err(panicked) => warn!(error = %panicked, "cannot look at the certificates"),
            }
        }
    }

    fn certificates_cannot(&self, words: Option<String>) {
        let mut progress = self.progress();
        if let Some(words) = &words
            && progress.certificates.as_ref() != Some(words)
        {
            warn!(
                error = words,
                "the certificates have changed and cannot be used; going on with those from before"
            );
        }
        progress.certificates = words;
    }
}
