//! What was promised: the ids of every item, and what the first hop said about it.

use std::collections::{BTreeMap, BTreeSet};

/// What a sender knows about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered 200: somebody owes for every item.
    Acknowledged,
    /// Refused: nobody owes.
    Refused,
    /// The connection broke: stored once or not at all.
    Unknown,
}

/// Ids by outcome.
#[derive(Debug, Default)]
pub struct Ledger {
    outcomes: BTreeMap<String, Outcome>,
}

/// How the store differs from what was promised. Empty in every field is the only good report.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Acknowledged, not stored.
    pub lost: BTreeSet<String>,
    /// Stored more than once.
    pub doubled: BTreeSet<String>,
    /// Stored, never sent.
    pub invented: BTreeSet<String>,
    /// Refused, stored all the same.
    pub refused_but_stored: BTreeSet<String>,
}

impl Ledger {
    /// Notes what became of some ids.
    pub fn note(&mut self, ids: impl IntoIterator<Item = String>, outcome: Outcome) {
        self.outcomes
            .extend(ids.into_iter().map(|id| (id, outcome)));
    }

    /// Takes over what another sender noted.
    pub fn extend(&mut self, other: Ledger) {
        self.outcomes.extend(other.outcomes);
    }

    /// How many ids have this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.values().filter(|o| **o == outcome).count()
    }

    /// Compares with what the store holds: ids with the number of rows of each.
    pub fn compare(&self, stored: &BTreeMap<String, u64>) -> Differences {
        let mut found = Differences::default();
        for (id, outcome) in &self.outcomes {
            let rows = stored.get(id).copied().unwrap_or(0);
            if rows == 0 && *outcome == Outcome::Acknowledged {
                found.lost.insert(id.clone());
            }
            if rows > 0 && *outcome == Outcome::Refused {
                found.refused_but_stored.insert(id.clone());
            }
        }
        for (id, rows) in stored {
            if *rows > 1 {
                found.doubled.insert(id.clone());
            }
            if !self.outcomes.contains_key(id) {
                found.invented.insert(id.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        ids(names).into_iter().collect()
    }

    #[test]
    fn the_checker_reports_exactly_the_planted_faults() {
        let mut ledger = Ledger::default();
        ledger.note(ids(&["kept", "lost", "doubled"]), Outcome::Acknowledged);
        ledger.note(ids(&["refused", "sneaked in"]), Outcome::Refused);
        ledger.note(ids(&["cut off", "cut off, stored"]), Outcome::Unknown);
        let stored = [
            ("kept", 1),
            ("doubled", 2),
            ("sneaked in", 1),
            ("cut off, stored", 1),
            ("ghost", 1),
        ];
        let stored = stored.map(|(id, rows)| (id.to_owned(), rows)).into();
        let expected = Differences {
            lost: set(&["lost"]),
            doubled: set(&["doubled"]),
            invented: set(&["ghost"]),
            refused_but_stored: set(&["sneaked in"]),
        };
        assert_eq!(ledger.compare(&stored), expected);
    }
}
