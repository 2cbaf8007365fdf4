//! [`Receipt`] and [`Refused`]: the two answers of a door.
//!
//! The table is that of the OTLP specification ("Failures", "OTLP/HTTP Throttling"), read so that
//! a conforming sender neither drops what it should keep nor repeats what it should drop.

use std::time::Duration;

use petrel_spool::{Committed, SpoolError, Spooled};
use petrel_wire::{Malformed, UnpackError, otlp::response::PartialSuccess};

/// The right to answer with success. There is no way to make one without the proof it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Receipt {
    partial: PartialSuccess,
}

impl Receipt {
    /// The items would survive a power cut.
    pub fn spooled(_proof: &Spooled) -> Self {
        Self::whole()
    }

    /// The items would survive a power cut, and wait for a decision about their traces.
    pub fn held(_proof: &Committed) -> Self {
        Self::whole()
    }

    /// A neighbour that fills the same store has made the items durable, and has said so where all
    /// of them look.
    pub fn taken_elsewhere() -> Self {
        Self::whole()
    }

    /// A processor decided to drop every one of `items`, and somebody has booked that.
    pub fn dropped(items: u64) -> Self {
        debug_assert!(
            items > 0,
            "a request without items never reaches a processor"
        );
        Self::whole()
    }

    /// There was nothing in the request.
    pub(crate) fn empty() -> Self {
        Self::whole()
    }

    /// Adds that `items` were not taken and never will be, and why. With zero items the words are
    /// a warning (specification, "Partial Success").
    pub fn with_rejected(mut self, items: u64, why: impl Into<String>) -> Self {
        self.partial.rejected += items;
        if !self.partial.message.is_empty() {
            self.partial.message.push_str("; ");
        }
        self.partial.message.push_str(&why.into());
        self
    }

    /// What the response says beside success.
    pub fn partial(&self) -> &PartialSuccess {
        &self.partial
    }

    fn whole() -> Self {
        Self {
            partial: PartialSuccess::default(),
        }
    }
}

/// Why a request was not taken. Nothing of it was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The request itself is wrong; repeating it will not help: 400, `INVALID_ARGUMENT`.
    #[error("{0}")]
    Malformed(String),
    /// Too large to be looked at; smaller requests are welcome: 413, `RESOURCE_EXHAUSTED` without
    /// `RetryInfo`.
    #[error("{0}")]
    TooLarge(String),
    /// No credentials, or unknown ones: 401, `UNAUTHENTICATED`.
    #[error("{0}")]
    Unauthenticated(String),
    /// Known, but not allowed to: 403, `PERMISSION_DENIED`.
    #[error("{0}")]
    Forbidden(String),
    /// The batch id is taken by other bytes: 409, `ALREADY_EXISTS`.
    #[error("{0}")]
    Conflict(String),
    /// A content type or encoding that nobody here reads: 415, `UNIMPLEMENTED`.
    #[error("{0}")]
    Unsupported(String),
    /// A method other than POST: 405, `UNIMPLEMENTED`.
    #[error("{0}")]
    Method(String),
    /// The body came too slowly, or the caller's deadline has passed: 408, `DEADLINE_EXCEEDED`.
    #[error("{0}")]
    TooSlow(String),
    /// Another aggregator has begun to take this very batch, and whether it has is not known yet:
    /// 425, `ABORTED` with `RetryInfo`.
    #[error("{reason}")]
    Elsewhere {
        /// When to come again.
        after: Duration,
        /// Who has it.
        reason: String,
    },
    /// This sender sends too much: 429, `RESOURCE_EXHAUSTED` with `RetryInfo`.
    #[error("{reason}")]
    Throttled {
        /// When to come again.
        after: Duration,
        /// What is exhausted.
        reason: String,
    },
    /// Not now, whoever asks: memory, disk or a neighbour is short: 503, `UNAVAILABLE` with
    /// `RetryInfo`.
    #[error("{reason}")]
    Busy {
        /// When to come again.
        after: Duration,
        /// What is short.
        reason: String,
    },
}

impl Refused {
    /// Every [`Refused::kind`].
    pub const KINDS: [&'static str; 11] = [
        "malformed",
        "too_large",
        "unauthenticated",
        "forbidden",
        "conflict",
        "unsupported",
        "method",
        "too_slow",
        "elsewhere",
        "throttled",
        "busy",
    ];

    /// Busy, to come again in one to five seconds: spread, so that senders which were refused
    /// together do not come back together.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self::Busy {
            after: Duration::from_secs(1 + spread(5)),
            reason: reason.into(),
        }
    }

    /// This sender has more than its part, to come again in one to five seconds.
    pub fn throttled(reason: impl Into<String>) -> Self {
        Self::Throttled {
            after: Duration::from_secs(1 + spread(5)),
            reason: reason.into(),
        }
    }

    /// In other hands, to come again in two to six seconds: that is how soon they are looked into.
    pub fn elsewhere(reason: impl Into<String>) -> Self {
        Self::Elsewhere {
            after: Duration::from_secs(2 + spread(5)),
            reason: reason.into(),
        }
    }

    /// The disk refuses; it takes longer to recover than memory: ten to thirty seconds.
    pub fn disk(reason: impl Into<String>) -> Self {
        Self::Busy {
            after: Duration::from_secs(10 + spread(21)),
            reason: reason.into(),
        }
    }

    /// The OTLP/HTTP status.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unauthenticated(_) => 401,
            Self::Forbidden(_) => 403,
            Self::Method(_) => 405,
            Self::TooSlow(_) => 408,
            Self::Conflict(_) => 409,
            Self::TooLarge(_) => 413,
            Self::Unsupported(_) => 415,
            Self::Elsewhere { .. } => 425,
            Self::Throttled { .. } => 429,
            Self::Busy { .. } => 503,
        }
    }

    /// The number of the `google.rpc.Code`.
    pub fn grpc_code(&self) -> i32 {
        match self {
            Self::Malformed(_) => 3,
            Self::TooSlow(_) => 4,
            Self::Conflict(_) => 6,
            Self::Forbidden(_) => 7,
            Self::TooLarge(_) | Self::Throttled { .. } => 8,
            Self::Elsewhere { .. } => 10,
            Self::Unsupported(_) | Self::Method(_) => 12,
            Self::Busy { .. } => 14,
            Self::Unauthenticated(_) => 16,
        }
    }

    /// When to come again, if the same request may.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Elsewhere { after, .. }
            | Self::Throttled { after, .. }
            | Self::Busy { after, .. } => Some(*after),
            _ => None,
        }
    }

    /// One word for counters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooLarge(_) => "too_large",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Conflict(_) => "conflict",
            Self::Unsupported(_) => "unsupported",
            Self::Method(_) => "method",
            Self::TooSlow(_) => "too_slow",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Throttled { .. } => "throttled",
            Self::Busy { .. } => "busy",
        }
    }
}

impl From<Malformed> for Refused {
    fn from(why: Malformed) -> Self {
        let words = why.to_string();
        match why {
            // Fewer items make a smaller request; fewer attributes would be another item.
            Malformed::TooLarge { .. } => Self::TooLarge(words),
            Malformed::TooMany { what, .. } if !what.contains("attribute") => Self::TooLarge(words),
            _ => Self::Malformed(words),
        }
    }
}

impl From<UnpackError> for Refused {
    fn from(why: UnpackError) -> Self {
        match why {
            UnpackError::TooLarge { .. } => Self::TooLarge(why.to_string()),
            UnpackError::Malformed(why) => why.into(),
            _ => Self::Malformed(why.to_string()),
        }
    }
}

impl From<SpoolError> for Refused {
    fn from(why: SpoolError) -> Self {
        match why {
            SpoolError::Conflict(_) => Self::Conflict(why.to_string()),
            SpoolError::Full { .. } => Self::disk(why.to_string()),
            SpoolError::TooLarge { .. } => Self::TooLarge(why.to_string()),
            SpoolError::Closed => Self::busy("shutting down; send again elsewhere or later"),
            // Whatever the disk says is no verdict on the data, and its paths are nobody's business. What
            // it did not confirm may be found there after a restart.
            _ => Self::disk("the disk does not confirm that it has the batch; send it again"),
        }
    }
}

/// Uniform enough in `0..below`; not for secrets.
fn spread(below: u64) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0) % below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_repeated_says_when_and_what_may_not_never_does() {
        assert!(Refused::busy("x").retry_after() >= Some(Duration::from_secs(1)));
        assert!(Refused::disk("x").retry_after() >= Some(Duration::from_secs(10)));
        assert_eq!(Refused::TooLarge("x".into()).retry_after(), None);
        assert_eq!(Refused::Malformed("x".into()).retry_after(), None);
    }

    #[test]
    fn no_refusal_is_an_internal_error_or_unknown() {
        for refused in [
            Refused::Malformed(String::new()),
            Refused::TooLarge(String::new()),
            Refused::Unauthenticated(String::new()),
            Refused::Forbidden(String::new()),
            Refused::Conflict(String::new()),
            Refused::Unsupported(String::new()),
            Refused::Method(String::new()),
            Refused::TooSlow(String::new()),
            Refused::elsewhere(""),
            Refused::busy(""),
        ] {
            assert_ne!(refused.http_status(), 500);
            assert!(
                ![0, 2, 13, 15].contains(&refused.grpc_code()),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn words_of_several_rejections_are_kept() {
        let receipt = Receipt::dropped(3)
            .with_rejected(1, "a")
            .with_rejected(2, "b");
        assert_eq!(receipt.partial().rejected, 3);
        assert_eq!(receipt.partial().message, "a; b");
    }
}
