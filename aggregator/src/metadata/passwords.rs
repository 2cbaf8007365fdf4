//! Passwords: argon2id, hashed on threads of their own, a few at a time.

use std::sync::LazyLock;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use super::{Metadata, MetadataError};

/// OWASP ASVS 5.0 V11.4.2: with two passes at least 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Shortest and longest password of a person.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=128;

/// Why a new password is not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// Guessed too fast.
    #[error("a password needs at least 12 characters")]
    Short,
    /// Nobody types that.
    #[error("a password may have at most 128 characters")]
    Long,
    /// `aaaaaaaaaaaa`, or the address.
    #[error("that password is among the first that are tried; choose another")]
    Guessable,
}

/// Whether a person may take this password.
pub fn check_password(email: &str, password: &str) -> Result<(), PasswordProblem> {
    let length = password.chars().count();
    if length < *LENGTH.start() {
        return Err(PasswordProblem::Short);
    }
    if length > *LENGTH.end() {
        return Err(PasswordProblem::Long);
    }
    let lower = password.to_lowercase();
    let mut seen: Vec<char> = lower.chars().collect();
    seen.sort_unstable();
    seen.dedup();
    let famous = ["password", "qwerty", "123456", "letmein", "changeme"];
    let guessable = seen.len() < 5
        || lower == email.to_lowercase()
        || famous
            .iter()
            .any(|word| lower.replace(word, "").chars().count() < 4);
    if guessable {
        return Err(PasswordProblem::Guessable);
    }
    Ok(())
}

/// A password that nobody guesses, short enough to be typed.
pub fn generate_password() -> Result<String, MetadataError> {
    // 144 bits.
    Ok(super::secrets::fresh()?.chars().take(24).collect())
}

/// What an unknown user's password is compared with, so that it takes as long as a known one's.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash_now("nobody has this password").unwrap_or_default());

fn hasher() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &str) -> Option<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).ok()?;
    let salt = SaltString::encode_b64(&salt).ok()?;
    let hash = hasher()?.hash_password(password.as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

fn matches_now(phc: &str, password: &str) -> bool {
    // The parameters come from the stored hash, so that old ones still verify.
    PasswordHash::new(phc).is_ok_and(|parsed| {
        Argon2::default()
            .verify_password(password.as_bytes(), &parsed)
            .is_ok()
    })
}

/// Whether `phc` was made with weaker parameters than today's.
pub(super) fn outdated(phc: &str) -> bool {
    PasswordHash::new(phc)
        .ok()
        .and_then(|parsed| Params::try_from(&parsed).ok())
        .is_none_or(|params| params.m_cost() < MEMORY_KIB || params.t_cost() < PASSES)
}

impl Metadata {
    pub(super) async fn hash_password(&self, password: String) -> Result<String, MetadataError> {
        self.on_a_thread(move || hash_now(&password))
            .await?
            .ok_or(MetadataError::Value {
                doing: "hash a password",
            })
    }

    /// Whether the password fits; takes as long when there is no hash to compare with.
    pub(super) async fn password_matches(
        &self,
        phc: Option<String>,
        password: String,
    ) -> Result<bool, MetadataError> {
        self.on_a_thread(move || match phc {
            Some(phc) => matches_now(&phc, &password),
            None => {
                // The answer is no, whatever was typed.
                let _same_work = matches_now(&NOBODY, &password);
                false
            }
        })
        .await
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, MetadataError> {
        let failed = MetadataError::Value {
            doing: "work on a password",
        };
        let Ok(_permit) = self.hashing.acquire().await else {
            return Err(failed);
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_are_tried_first_are_refused() {
        let check = |password: &str| check_password("ada@example.com", password);
        assert_eq!(check("short"), Err(PasswordProblem::Short));
        assert_eq!(check(&"x1y2z3".repeat(30)), Err(PasswordProblem::Long));
        assert_eq!(check("aaaaaaaaaaaaaa"), Err(PasswordProblem::Guessable));
        assert_eq!(check("PasswordPassword"), Err(PasswordProblem::Guessable));
        assert_eq!(check("ada@example.com"), Err(PasswordProblem::Guessable));
        assert_eq!(check("four grey petrels"), Ok(()));
    }

    #[test]
    fn a_hash_says_how_it_was_made_and_fits_its_password_only() {
        let phc = hash_now("four grey petrels").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(matches_now(&phc, "four grey petrels"));
        assert!(!matches_now(&phc, "four grey petrel"));
        assert!(!outdated(&phc));
        assert!(outdated(
            "$argon2id$v=19$m=4096,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI"
        ));
    }
}
