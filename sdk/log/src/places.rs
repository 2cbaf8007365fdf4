//! [`Places`]: what each place in the code has written lately, and what was left out of it.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// By place. As many as there are lines in the code that log.
#[derive(Debug)]
pub(crate) struct Places<Id> {
    lines: u32,
    window: Duration,
    places: HashMap<Id, Place>,
}

#[derive(Debug)]
struct Place {
    since: Duration,
    written: u32,
    left_out: u64,
    /// What the first line said that was left out.
    example: String,
}

/// A place whose window is over, and which had more to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flood {
    pub(crate) left_out: u64,
    pub(crate) example: String,
}

impl<Id: Hash + Eq> Places<Id> {
    /// Each may write `lines` in a `window`.
    pub(crate) fn new(lines: u32, window: Duration) -> Self {
        Self {
            lines,
            window,
            places: HashMap::new(),
        }
    }

    /// Whether `place` may write a line `now` (monotonic). If not it is counted; `example` is asked
    /// for the text of the first one.
    pub(crate) fn admit(
        &mut self,
        place: Id,
        now: Duration,
        example: impl FnOnce() -> String,
    ) -> bool {
        let place = self.places.entry(place).or_insert(Place {
            since: now,
            written: 0,
            left_out: 0,
            example: String::new(),
        });
        if place.written < self.lines {
            place.written += 1;
            return true;
        }
        if place.left_out == 0 {
            place.example = example();
        }
        place.left_out += 1;
        false
    }

    /// Ends the windows that are over `now`, and gives what was left out in them.
    pub(crate) fn ended(&mut self, now: Duration) -> Vec<Flood> {
        let mut floods = Vec::new();
        self.places.retain(|_, place| {
            let open = now.saturating_sub(place.since) < self.window;
            if !open && place.left_out > 0 {
                floods.push(Flood {
                    left_out: place.left_out,
                    example: std::mem::take(&mut place.example),
                });
            }
            open
        });
        floods
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn none() -> String {
        unreachable!("nothing is left out")
    }

    #[test]
    fn a_place_writes_its_lines_and_what_is_beyond_is_counted_until_the_window_ends() {
        let mut places = Places::new(2, MINUTE);
        let start = Duration::from_secs(5);
        assert!(places.admit("disk", start, none));
        assert!(places.admit("disk", start, none));
        for n in 0..3 {
            assert!(!places.admit("disk", start, || format!("line {n}")));
        }
        assert!(places.admit("link", start, none), "others have their own");

        assert_eq!(places.ended(start + Duration::from_secs(59)), vec![]);
        let flood = Flood {
            left_out: 3,
            example: "line 0".to_owned(),
        };
        assert_eq!(places.ended(start + MINUTE), vec![flood]);
        assert!(places.admit("disk", start + MINUTE, none), "a new window");
        assert_eq!(places.ended(start + MINUTE), vec![], "told once");
    }

    #[test]
    fn who_was_not_limited_has_nothing_told_and_is_forgotten() {
        let mut places = Places::new(2, MINUTE);
        assert!(places.admit("disk", Duration::ZERO, none));
        assert_eq!(places.ended(MINUTE), vec![]);
        assert!(places.places.is_empty());
    }
}
