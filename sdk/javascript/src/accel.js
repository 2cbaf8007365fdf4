// The host's kernels over the strings of a batch, at native speed. In JavaScript they are worth a
// hundred times what a loop is: look with them, decide with code.

import { hashDict, keySet, matchDict, redactDict, regexSet } from 'petrel:plugin/accel@0.1.0'
import { ALL } from './plan.js'

const NO_SET = 0xffffffff

/** Regular expressions in the syntax of Rust's crate `regex`; only in `configure`. */
export function patterns(list) {
  return regexSet(list)
}

/** Rules for keys inside JSON; only in `configure`. */
export function keys(rule) {
  return keySet(rule)
}

/** Which strings of `slot` match: a function from codes to true or false; only in `process`. */
export function matches(set, slot = ALL) {
  const bits = matchDict(set, slot)
  return (code) => ((bits[code >>> 6] >> BigInt(code & 63)) & 1n) === 1n
}

/** Replaces what `set` matches and what `keys` cover, inside JSON too. */
export function redact(edits, { set = NO_SET, keys = NO_SET, slot = ALL, replacement }) {
  edits.replaceMany(slot, redactDict(set, keys, slot, replacement))
}

/** A 64-bit hash (a bigint) of each string. */
export function hash(codes, seed = 0n) {
  return hashDict(Uint32Array.from(codes), seed)
}
