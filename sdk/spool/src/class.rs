//! [`Class`]: what goes first and is dropped last.

/// What an entry is worth when the line or the disk is short.
///
/// The sequence numbers of a class are its own: a segment holds one class, and its numbers belong
/// to an epoch that no other class writes under. So each class arrives without holes however the
/// two are interleaved, and whoever keeps the numbers (the ledger of the next hop) needs not know
/// that there are classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// What somebody will look for: errors, alerts, accounts. Goes first, may fill the whole bound,
    /// and is evicted only when nothing else is left; never for bulk.
    Keep,
    /// Everything else. May fill four fifths of the bound.
    Bulk,
}

/// Of the bound, for [`Class::Bulk`].
pub(crate) const BULK_PERCENT: u64 = 80;

impl Class {
    /// In the order in which they go.
    pub const ALL: [Self; 2] = [Self::Keep, Self::Bulk];

    /// As it is written: `keep` or `bulk`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Bulk => "bulk",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Bulk => 0,
            Self::Keep => 1,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Bulk),
            1 => Some(Self::Keep),
            _ => None,
        }
    }

    /// Where it stands in [`Class::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Keep => 0,
            Self::Bulk => 1,
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
