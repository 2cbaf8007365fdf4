//! What was promised: the ids of every item, and what the first hop said about it.
//!
//! An id says where its item belongs (`place/...`), and what it carries follows from the id
//! ([`payload`]), so a row can be judged without anybody's help.

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

/// Equal rows of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The id that the sender gave to the item.
    pub id: String,
    /// Where it was found.
    pub place: String,
    /// What it carries.
    pub payload: String,
    /// How many there are.
    pub rows: u64,
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
    /// Stored with other contents than were sent.
    pub damaged: BTreeSet<String>,
    /// Stored where it does not belong.
    pub misplaced: BTreeSet<String>,
}

/// What an item with this id carries: words that follow from the id, and that no redactor minds.
pub fn payload(id: &str) -> String {
    // FNV-1a, so that the checker shares no hash with the product.
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let mut words = String::new();
    for word in 0..12 {
        if word > 0 {
            words.push(' ');
        }
        for _ in 0..3 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let pick = usize::try_from(state >> 40).unwrap_or(0);
            words.push(char::from(b"bdfgklmnprstvz"[pick % 14]));
            words.push(char::from(b"aeiou"[pick / 14 % 5]));
        }
    }
    words
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

    /// Compares every stored row with what its id says, and the whole with what was promised.
    pub fn audit(&self, stored: &[Stored]) -> Differences {
        let mut rows: BTreeMap<String, u64> = BTreeMap::new();
        let mut faults = Differences::default();
        for one in stored {
            *rows.entry(one.id.clone()).or_default() += one.rows;
            if one.payload != payload(&one.id) {
                faults.damaged.insert(one.id.clone());
            }
            if one.id.split('/').next() != Some(one.place.as_str()) {
                faults.misplaced.insert(one.id.clone());
            }
        }
        Differences {
            damaged: faults.damaged,
            misplaced: faults.misplaced,
            ..self.compare(&rows)
        }
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
            ..Differences::default()
        };
        assert_eq!(ledger.compare(&stored), expected);
    }

    fn row(id: &str, place: &str) -> Stored {
        Stored {
            id: id.to_owned(),
            place: place.to_owned(),
            payload: payload(id),
            rows: 1,
        }
    }

    #[test]
    fn a_changed_byte_and_a_wrong_project_are_seen() {
        let mut ledger = Ledger::default();
        ledger.note(ids(&["a/1", "a/2", "a/3"]), Outcome::Acknowledged);
        let mut stored = [row("a/1", "a"), row("a/2", "b"), row("a/3", "a")];
        stored[2].payload.replace_range(0..1, "#");
        let expected = Differences {
            misplaced: set(&["a/2"]),
            damaged: set(&["a/3"]),
            ..Differences::default()
        };
        assert_eq!(ledger.audit(&stored), expected);
    }

    #[test]
    fn the_same_id_in_two_places_is_doubled_there() {
        let mut ledger = Ledger::default();
        ledger.note(ids(&["a/1"]), Outcome::Acknowledged);
        let found = ledger.audit(&[row("a/1", "a"), row("a/1", "b")]);
        assert_eq!(found.doubled, set(&["a/1"]));
        assert_eq!(found.misplaced, set(&["a/1"]));
    }
}
