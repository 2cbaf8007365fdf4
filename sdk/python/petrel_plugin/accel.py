"""The host's kernels over the strings of a batch, at native speed. In Python they are worth forty times what a
loop is: look with them, decide with code. They are in the host only, as is this module."""

from wit_world.imports import accel

from .plan import ALL
from .registry import NONE


def patterns(*expressions):
    """Regular expressions in the syntax of Rust's crate `regex`; only in `configure`."""
    return accel.regex_set(list(expressions))


def keys(rule):
    """Rules for keys inside JSON; only in `configure`."""
    return accel.key_set(rule)


def matches(patterns, slot=ALL):
    """Which strings of `slot` match: a function from codes to True or False; only in `process`."""
    bits = accel.match_dict(patterns, slot)
    return lambda code: bool(bits[code >> 6] >> (code & 63) & 1)


def redact(edits, *, patterns=NONE, keys=NONE, slot=ALL, replacement):
    """Replaces what `patterns` match and what `keys` cover, inside JSON too."""
    for source, target in zip(*accel.redact_dict(patterns, keys, slot, replacement)):
        edits.replace(slot, source, target)


def hashes(codes, seed=0):
    """A 64-bit hash of each string."""
    return accel.hash_dict(list(codes), seed)
