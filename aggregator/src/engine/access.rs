//! [`Access`]: where the engine listens and who may ask, in a file that only its owner can read.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::EngineError;

/// Contents of `engine.json`. Never printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Access {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// User name.
    pub user: String,
    /// 256 random bits in hex, new with every start.
    pub password: String,
    /// The database that our tables are in.
    pub database: String,
    /// The process that supervises the engine.
    pub pid: u32,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("url", &self.url)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// The file with the engine's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// It is not there: nothing runs.
    #[error("{path} is not there")]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot {doing} {path}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl From<AccessError> for EngineError {
    fn from(error: AccessError) -> Self {
        Self::Access(error)
    }
}

impl Access {
    /// Random bytes that nobody can guess, as text.
    pub(super) fn new_password() -> String {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).expect("the operating system has a random source");
        bytes.iter().fold(String::new(), |mut text, byte| {
            use std::fmt::Write as _;
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => AccessError::Absent {
                path: path.to_owned(),
            },
            _ => AccessError::File {
                doing: "read",
                path: path.to_owned(),
                source,
            },
        };
        let text = fs::read_to_string(path).map_err(failed)?;
        serde_json::from_str(&text).map_err(|error| failed(error.into()))
    }

    /// Replaces the file, at no moment readable by others.
    pub(super) fn write(&self, path: &Path) -> Result<(), AccessError> {
        let failed = |source| AccessError::File {
            doing: "write",
            path: path.to_owned(),
            source,
        };
        let text = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let beside = path.with_extension("json.new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
        let mut file: File = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)
    }

    /// Whether these are the user and password that are asked for, without telling by the time it
    /// takes how much of the password was right.
    pub(super) fn admits(&self, user: &str, password: &str) -> bool {
        let (ours, theirs) = (self.password.as_bytes(), password.as_bytes());
        let differences = ours.iter().zip(theirs).fold(0, |sum, (a, b)| sum | (a ^ b));
        user == self.user && ours.len() == theirs.len() && differences == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn access() -> Access {
        Access {
            url: "http://127.0.0.1:1".to_owned(),
            user: "petrel".to_owned(),
            password: Access::new_password(),
            database: "petrel".to_owned(),
            pid: 1,
        }
    }

    #[test]
    fn the_file_is_for_its_owner_alone_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.json");
        let access = access();
        for _ in 0..2 {
            access.write(&path).unwrap();
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(Access::read(&path).unwrap().password, access.password);
    }

    #[test]
    fn only_the_whole_password_admits() {
        let access = access();
        assert!(access.admits("petrel", &access.password));
        for (user, password) in [
            ("petrel", ""),
            ("petrel", &access.password[1..]),
            ("default", &access.password),
        ] {
            assert!(!access.admits(user, password));
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let access = access();
        assert!(!format!("{access:?}").contains(&access.password));
    }
}
