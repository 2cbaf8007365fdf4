//! Page tokens: where a list goes on.
//!
//! A token holds the last row's time and tie-breaker and a fingerprint of the question, so that
//! it needs no memory here, costs the same on every page, and cannot be taken to another list. A
//! forward walk never repeats a row; rows that come in late behind it appear on a refresh.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::Error;
use crate::query::traces::After;

const VERSION: u8 = 1;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Token {
    v: u8,
    /// Fingerprint of the question.
    q: u64,
    /// Time of the last row.
    t: i64,
    /// Its tie-breaker.
    k: String,
    /// Rows with this time and tie-breaker that were shown already.
    s: usize,
}

/// Names a question: the list, whose it is, and what is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(list: &str, project: u32, question: &impl Serialize) -> Self {
        let text = serde_json::to_string(&(list, project, question)).unwrap_or_default();
        Self(xxh3_64(text.as_bytes()))
    }

    /// The token of the page after this row.
    pub(super) fn after(self, time: i64, tie: impl ToString, seen: usize) -> String {
        let token = Token {
            v: VERSION,
            q: self.0,
            t: time,
            k: tie.to_string(),
            s: seen,
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }

    /// Reads a token, which must be of this question.
    pub(super) fn read<T: std::str::FromStr>(
        self,
        page: Option<&str>,
    ) -> Result<Option<(After<T>, usize)>, Error> {
        let Some(page) = page else {
            return Ok(None);
        };
        let mismatch = || {
            Error::bad_request(
                "page_token_mismatch",
                "this page belongs to another question",
            )
            .with_hint("ask for the first page, without `page`")
        };
        let bytes = URL_SAFE_NO_PAD.decode(page).map_err(|_| mismatch())?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|_| mismatch())?;
        if token.v != VERSION || token.q != self.0 || token.s > 1_000_000 {
            return Err(mismatch());
        }
        let tie = token.k.parse().map_err(|_| mismatch())?;
        Ok(Some((After { time: token.t, tie }, token.s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_the_page_after_it_in_its_own_list_only() {
        let mine = Fingerprint::of("spans", 1, &"where");
        let token = mine.after(17, 42, 3);
        let after = After {
            time: 17,
            tie: 42_u64,
        };
        assert_eq!(mine.read(Some(&token)).unwrap(), Some((after, 3)));
        assert_eq!(mine.read::<u64>(None).unwrap(), None);
        for other in [
            Fingerprint::of("spans", 2, &"where"),
            Fingerprint::of("logs", 1, &"where"),
            Fingerprint::of("spans", 1, &"there"),
        ] {
            assert!(other.read::<u64>(Some(&token)).is_err());
        }
        for broken in ["", "!", "e30", &token[1..]] {
            assert!(mine.read::<u64>(Some(broken)).is_err(), "{broken}");
        }
    }
}
