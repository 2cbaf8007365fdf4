//! The name of a sealed batch, for life: who sealed it, in which epoch, as which number, and what.

use std::fmt;
use std::str::FromStr;

/// 128 random bits, made with a spool and stored in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(pub u128);

impl AgentId {
    /// A new identity from the operating system's random source.
    ///
    /// # Panics
    /// If the operating system has no random source, which it then has for nobody.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has a random source");
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentId({self})")
    }
}

/// `agent:epoch:seq:hash`. The same id always means the same bytes; the hash is in it because
/// ClickHouse silently drops different rows under a reused deduplication token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId {
    /// Whose spool sealed it.
    pub agent: AgentId,
    /// Grows whenever the continuity of `seq` is in doubt. What leaves in an order of its own (a
    /// spool's classes) is numbered under an epoch of its own.
    pub epoch: u32,
    /// Contiguous within agent and epoch, from 1.
    pub seq: u64,
    /// xxh3-128 of the sealed bytes.
    pub hash: u128,
}

impl BatchId {
    /// The request and response header, and gRPC metadata key, that carries a batch id.
    pub const HEADER: &'static str = "petrel-batch";
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}:{:032x}",
            self.agent, self.epoch, self.seq, self.hash
        )
    }
}

/// The text is not a batch id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a batch id; expected <agent, 32 hex>:<epoch>:<seq>:<hash, 32 hex>")]
pub struct BatchIdError;

impl FromStr for BatchId {
    type Err = BatchIdError;

    fn from_str(text: &str) -> Result<Self, BatchIdError> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(BatchIdError);
        let agent = AgentId(hex128(next()?)?);
        let epoch = next()?.parse().map_err(|_| BatchIdError)?;
        let seq = next()?.parse().map_err(|_| BatchIdError)?;
        let hash = hex128(next()?)?;
        if parts.next().is_some() {
            return Err(BatchIdError);
        }
        Ok(Self {
            agent,
            epoch,
            seq,
            hash,
        })
    }
}

fn hex128(text: &str) -> Result<u128, BatchIdError> {
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(BatchIdError);
    }
    u128::from_str_radix(text, 16).map_err(|_| BatchIdError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = BatchId {
            agent: AgentId(7),
            epoch: 3,
            seq: u64::MAX,
            hash: u128::MAX,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn a_sign_a_missing_part_or_a_tail_is_not_an_id() {
        let good = BatchId {
            agent: AgentId(7),
            epoch: 3,
            seq: 9,
            hash: 1,
        }
        .to_string();
        for bad in [
            "",
            "1:2:3:4",
            &good[1..],
            &format!("{good}:"),
            &format!("+{}", &good[1..]),
        ] {
            assert_eq!(bad.parse::<BatchId>(), Err(BatchIdError), "{bad:?}");
        }
    }
}
