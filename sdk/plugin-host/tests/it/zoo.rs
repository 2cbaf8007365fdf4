//! Guests that mean harm or are broken, and what is said about each.

use crate::guest::{ADDED_ENDS, DICT_SLOT, Guest, ROUTE, VERDICTS, added, hide, list};

pub(crate) const ENDLESS: &str = "(loop $again (br $again))";
pub(crate) const GREEDY: &str = "(loop $again (drop (memory.grow (i32.const 16))) (br $again))";

/// Trace ids that are decided: eight bytes an element.
const DECIDED: u32 = 112;

/// Logs as fast as it can.
fn flood() -> Guest {
    Guest {
        more: r#"(import "petrel:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#
            .into(),
        ..Guest::that(
            "(loop $again (call $log (i32.const 3) (i32.const 16) (i32.const 40000)) (br $again))",
        )
    }
}

/// Asks for matches as fast as it can, without ever looking at them.
fn kernels() -> Guest {
    Guest {
        more:
            r#"(import "petrel:plugin/accel@0.1.0" "match-dict" (func $match (param i32 i32 i32)))"#
                .into(),
        ..Guest::that(
            "(loop $again
               (global.set $free (i32.const 65536))
               (call $match (i32.const -1) (i32.const 0) (i32.const 3000)) (br $again))",
        )
    }
}

/// Wants more random bytes than there is memory.
fn gambler() -> Guest {
    Guest {
        more: r#"(import "petrel:plugin/random@0.1.0" "bytes" (func $bytes (param i32 i32)))"#
            .into(),
        ..Guest::that("(call $bytes (i32.const -1) (i32.const 3000))")
    }
}

/// Looks up what is no string.
fn curious() -> Guest {
    Guest {
        lookup: true,
        more: r#"(import "petrel:plugin/lookup@0.1.0" "open" (func $open (param i32 i32 i32)))
            (import "petrel:plugin/lookup@0.1.0" "join-dict" (func $join (param i32 i32 i32 i32 i32 i32)))
            (data (i32.const 5000) "\e7\03\00\00")
            (data (i32.const 5004) "site")"#
            .into(),
        ..Guest::that(
            "(call $open (i32.const 5004) (i32.const 4) (i32.const 3000))
             (call $join (i32.load (i32.const 3004)) (i32.const 5000) (i32.const 1)
               (i32.const 5004) (i32.const 4) (i32.const 3016))",
        )
    }
}

/// Asks for the strings, and tells in its log and in its words what it was shown.
fn gossip() -> Guest {
    Guest {
        configure: "(i32.store8 (i32.const 1560) (i32.const 1))".into(),
        more: r#"(import "petrel:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#
            .into(),
        ..Guest::that(
            "(call $log (i32.const 5) (local.get 8) (local.get 9))
             (i32.store8 (i32.const 2048) (i32.const 1))
             (i32.store (i32.const 2056) (local.get 8)) (i32.store (i32.const 2060) (local.get 9))",
        )
    }
}

/// Each of them, and a part of what the operator reads. Not one can take a single record, if it has
/// an attribute `secret`.
pub(crate) fn evil() -> Vec<(&'static str, Guest, &'static str)> {
    let recursion = Guest {
        more: "(func $deep (param i32) (result i32) (call $deep (i32.add (local.get 0) (i32.const 1))))".into(),
        ..Guest::that("(drop (call $deep (i32.const 0)))")
    };
    let error = "(i32.store8 (i32.const 2048) (i32.const 1))
        (i32.store (i32.const 2056) (i32.const 16)) (i32.store (i32.const 2060) (i32.const 4))";
    let answer = |edits: String| Guest::that(&edits);
    vec![
        ("loop", Guest::that(ENDLESS), "ran longer than"),
        (
            "memory",
            Guest::that(GREEDY),
            "wants more than 4 MiB of memory",
        ),
        ("trap", Guest::that("unreachable"), "trapped"),
        ("recursion", recursion, "stack was full"),
        ("error", Guest::that(error), "evil"),
        (
            "list beyond memory",
            answer(list(VERDICTS, 16, 0x7fff_ffff)),
            "",
        ),
        (
            "verdicts",
            answer(list(VERDICTS, 16, 7)),
            "7 verdicts on 1 records",
        ),
        (
            "verdict",
            answer(list(VERDICTS, 48, 1)),
            "gives verdict 110",
        ),
        ("no such slot", answer(hide(9, 0)), "slot 9"),
        ("no such code", answer(hide(0, 999)), "code 999"),
        (
            "no right to delete",
            answer(hide(0, u32::MAX)),
            "without the right",
        ),
        ("added code", answer(hide(0, 0x8000_0005)), "no string's"),
        (
            "uneven lists",
            answer(list(DICT_SLOT, 4096, 2)),
            "different lengths",
        ),
        ("route", answer(list(ROUTE, 16, 1)), "routes to output 101"),
        (
            "routes",
            answer(list(ROUTE, 16, 4)),
            "4 outputs for 1 records",
        ),
        ("look-up", curious(), "look"),
        (
            "giant answer",
            answer(format!(
                "(drop (memory.grow (i32.const 60))) {}",
                list(VERDICTS, 0, 62 << 16)
            )),
            "4063232 verdicts on 1 records",
        ),
        (
            "giant list of wide elements",
            answer(format!(
                "(drop (memory.grow (i32.const 60))) {}",
                list(DECIDED, 0, (62 << 16) / 8)
            )),
            "",
        ),
        ("host-call flood", flood(), "ran longer than"),
        ("kernel flood", kernels(), "ran"),
        (
            "four gigabytes of chance",
            gambler(),
            "random bytes at once",
        ),
        ("gossip", gossip(), "***"),
        (
            "answer that is not aligned",
            Guest::that("(return (i32.const 2049))"),
            "not aligned",
        ),
        (
            "neither answer nor error",
            Guest::that("(i32.store8 (i32.const 2048) (i32.const 7))"),
            "",
        ),
        (
            "bad ends",
            answer(list(ADDED_ENDS, 16, 2)),
            "ends do not fit",
        ),
        (
            "not utf-8",
            answer(
                added(4200, 1)
                    + "(i32.store8 (i32.const 4200) (i32.const 0xff))"
                    + &hide(0, 0x8000_0000),
            ),
            "not UTF-8",
        ),
    ]
}
