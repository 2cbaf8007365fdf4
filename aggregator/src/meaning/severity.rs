//! How bad a log record is, from whatever its source says.
//!
//! The number decides, where there is one: a custom text beside it (`USAGE` with INFO) changes
//! nothing. Then a text that is known, then the level that the message itself names.

/// `SEVERITY_NUMBER_WARN` and its like: first of four, as OpenTelemetry counts.
pub const TRACE: u8 = 1;
/// See [`TRACE`].
pub const DEBUG: u8 = 5;
/// See [`TRACE`].
pub const INFO: u8 = 9;
/// See [`TRACE`].
pub const WARN: u8 = 13;
/// See [`TRACE`].
pub const ERROR: u8 = 17;
/// See [`TRACE`].
pub const FATAL: u8 = 21;

/// The number that a record counts as, 0 if nothing tells.
pub fn of(number: i32, text: &str, message: impl FnOnce() -> u8) -> u8 {
    match u8::try_from(number) {
        Ok(number @ 1..=24) => number,
        _ => match of_word(text) {
            0 => message(),
            known => known,
        },
    }
}

/// The name of a number's range, in lower case; `unset` for none.
pub const fn name(number: u8) -> &'static str {
    match number {
        0 => "unset",
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        _ => "fatal",
    }
}

/// The number of a level's name in any of its usual spellings, syslog's and OpenTelemetry's
/// included; 0 for a word that is none.
pub fn of_word(word: &str) -> u8 {
    let word = word.trim();
    let mut lower = [0; 16];
    let Some(lower) = lower.get_mut(..word.len()) else {
        return 0;
    };
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    let (base, step) = match lower.split_last() {
        // ERROR2 to ERROR4.
        Some((digit @ b'2'..=b'4', base)) => (base, digit - b'1'),
        _ => (&*lower, 0),
    };
    let number = match base {
        b"trace" | b"trc" | b"verbose" | b"finest" | b"finer" | b"silly" => TRACE,
        b"debug" | b"dbg" | b"fine" | b"config" => DEBUG,
        b"info" | b"inf" | b"information" | b"informational" | b"log" => INFO,
        b"notice" | b"note" => INFO + 1,
        b"warn" | b"warning" | b"wrn" => WARN,
        b"error" | b"err" | b"eror" | b"severe" => ERROR,
        b"critical" | b"crit" => ERROR + 1,
        b"alert" => ERROR + 2,
        b"fatal" | b"ftl" | b"panic" | b"emerg" | b"emergency" => FATAL,
        _ => return 0,
    };
    number + step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_decides_then_a_known_text_then_the_message() {
        assert_eq!(of(9, "USAGE", || ERROR), INFO);
        assert_eq!(of(0, "Warning", || ERROR), WARN);
        assert_eq!(of(0, "USAGE", || ERROR), ERROR);
        assert_eq!(of(99, "", || 0), 0);
        assert_eq!(of(-1, "fatal", || 0), FATAL);
    }

    #[test]
    fn levels_are_known_in_any_spelling() {
        for (word, number) in [
            ("ERROR", 17),
            ("error3", 19),
            (" Wrn ", 13),
            ("notice", 10),
            ("emerg", 21),
            ("TRACE2", 2),
            ("usage", 0),
            ("", 0),
            ("2", 0),
            ("a word that is too long", 0),
            ("größe", 0),
        ] {
            assert_eq!(of_word(word), number, "{word}");
        }
        assert_eq!(name(of_word("crit")), "error");
    }
}
