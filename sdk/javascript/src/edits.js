// What a processor answers: sparse, applied by the host in one order - dictionary edits, cell edits,
// verdicts. Of edits of one kind the later wins.

import { wordOf } from './batch.js'
import { sampled, wordsOf } from './hold.js'
import { ADDED, ANY, NONE, Table, kind, verdict } from './registry.js'

const encoder = new TextEncoder()

/** Values that are no strings: `edits.set(cell, int(5))`. */
export const int = (value) => ({ kind: kind.INT, word: BigInt.asUintN(64, BigInt(value)) })
export const double = (value) => ({ kind: kind.DOUBLE, word: wordOf(value) })
export const bool = (value) => ({ kind: kind.BOOL, word: value ? 1n : 0n })
export const json = (value) => ({ kind: kind.JSON, text: JSON.stringify(value) })
/** A string that the batch, a kernel or `edits.text` has already. */
export const code = (value) => ({ kind: kind.STRING, word: BigInt(value) })
export const bytes = (value) => ({ kind: kind.BYTES, bytes: value })

export class Edits {
  #codes = new Map()
  #added = []
  #dict = { slot: [], from: [], to: [] }
  #cell = { slot: [], key: [], row: [], kind: [], word: [] }
  #verdicts = new Uint8Array(0)
  #decided = { words: [], verdicts: [] }

  /** Adds a string, once, for use in any number of edits. */
  text(text) {
    let code = this.#codes.get(text)
    if (code === undefined) {
      code = this.#add(text)
      this.#codes.set(text, code)
    }
    return code
  }

  #add(blob) {
    return ADDED + this.#added.push(blob) - 1
  }

  /** Everywhere in the columns of `slot` where the code `from` stands, `to` shall stand. */
  replace(slot, from, to) {
    this.#dict.slot.push(slot)
    this.#dict.from.push(from)
    this.#dict.to.push(to)
  }

  /** Pairs of codes, as kernels answer them. */
  replaceMany(slot, [from, to]) {
    from.forEach((code, index) => this.replace(slot, code, to[index]))
  }

  /** Every value of `slot`, of whatever kind, becomes this text. */
  replaceAll(slot, text) {
    this.replace(slot, ANY, this.text(text))
  }

  /** Every value of `slot` is removed. */
  removeAll(slot) {
    this.replace(slot, ANY, NONE)
  }

  /**
   * Calls `change` once for each distinct string of `slot`. What it returns stands wherever that
   * string stood; `undefined` leaves it alone.
   */
  mapText(batch, slot, change) {
    for (const code of batch.codes(slot)) {
      const text = batch.text(code)
      const changed = change(text)
      if (changed !== undefined && changed !== text) this.replace(slot, code, this.text(changed))
    }
  }

  /** The cell shall hold `value`: a string, or what `int`, `double`, `bool`, `json`, `bytes` make. */
  set(cell, value) {
    this.#push(cell.slot, cell.keyCode, cell.row, value)
  }

  /** The cell goes; of an attribute, the key as well. */
  remove(cell) {
    this.#push(cell.slot, cell.keyCode, cell.row, { kind: kind.NULL, word: 0n })
  }

  /** As `set`, also where the row has no value yet, for a selector of one exact key or of a field. */
  put(batch, slot, row, value) {
    const cell = batch.get(slot, row)
    this.#push(slot, cell ? cell.keyCode : NONE, row, value)
  }

  #push(slot, key, row, value) {
    const { kind: of, word } = this.#encoded(value)
    this.#cell.slot.push(slot)
    this.#cell.key.push(key)
    this.#cell.row.push(row)
    this.#cell.kind.push(of)
    this.#cell.word.push(word)
  }

  #encoded(value) {
    if (typeof value === 'string') return { kind: kind.STRING, word: BigInt(this.text(value)) }
    if (value.text !== undefined) return { kind: value.kind, word: BigInt(this.text(value.text)) }
    if (value.bytes !== undefined) return { kind: value.kind, word: BigInt(this.#add(value.bytes)) }
    return value
  }

  /** The span, log record or data point goes. */
  dropRecord(batch, row) {
    this.#verdict(batch, row, verdict.DROP)
  }

  /**
   * The span waits until its trace is decided, in this answer or a later one. It is acknowledged to its
   * sender all the same. Only for plugins that say `holdsTraces`. A span without a trace id passes.
   */
  hold(batch, row) {
    this.#verdict(batch, row, verdict.HOLD)
  }

  /** Every span of the batch waits; those whose traces are decided in the same answer do not. */
  holdAll(batch) {
    this.#verdicts = new Uint8Array(batch.rows(Table.RECORD)).fill(verdict.HOLD)
  }

  #verdict(batch, row, given) {
    if (this.#verdicts.length === 0) this.#verdicts = new Uint8Array(batch.rows(Table.RECORD))
    this.#verdicts[row] = given
  }

  /**
   * Decides about a trace, by its id in hexadecimal: its spans that are held go on, and for some minutes
   * those that are still to come, which the plugin does not see any more. The first decision counts.
   */
  keepTrace(trace) {
    this.#decide(trace, verdict.KEEP)
  }

  /** Drops the trace's spans, as `keepTrace` keeps them. */
  dropTrace(trace) {
    this.#decide(trace, verdict.DROP)
  }

  /**
   * Keeps this part of all traces, from 0 to 1, and drops the others. Every agent that sees spans of a
   * trace decides alike, and the spans say what they were kept with, so that counts can be corrected.
   */
  sampleTrace(trace, part) {
    const threshold = sampled(trace, part)
    if (threshold === undefined) this.dropTrace(trace)
    else if (threshold === 0n) this.keepTrace(trace)
    else this.#decide(trace, verdict.SAMPLED, threshold)
  }

  #decide(trace, given, ...threshold) {
    this.#decided.words.push(...wordsOf(trace), ...threshold)
    this.#decided.verdicts.push(given)
  }

  /** The answer, as the contract has it. */
  finish() {
    return {
      verdicts: this.#verdicts,
      added: packed(this.#added),
      dictSlot: new Uint16Array(this.#dict.slot),
      dictFrom: new Uint32Array(this.#dict.from),
      dictTo: new Uint32Array(this.#dict.to),
      cellSlot: new Uint16Array(this.#cell.slot),
      cellKey: new Uint32Array(this.#cell.key),
      cellRow: new Uint32Array(this.#cell.row),
      cellKind: new Uint8Array(this.#cell.kind),
      cellWord: new BigUint64Array(this.#cell.word),
      dropTable: new Uint8Array(0),
      dropKey: new Uint32Array(0),
      route: new Uint8Array(0),
      decided: new BigUint64Array(this.#decided.words),
      decidedVerdict: new Uint8Array(this.#decided.verdicts),
    }
  }
}

/** Texts and bytes back to back, and where each ends. */
export function packed(blobs) {
  const ends = new Uint32Array(blobs.length)
  let end = 0
  const measure = (blob, index) => {
    end += blob.length
    ends[index] = end
  }
  // Each call of the encoder costs more than the text: one for all, where a letter is a byte.
  if (blobs.every((blob) => typeof blob === 'string')) {
    const text = blobs.join('')
    const bytes = encoder.encode(text)
    if (bytes.length === text.length) {
      blobs.forEach(measure)
      return { ends, bytes }
    }
  }
  const encoded = blobs.map((blob) => (typeof blob === 'string' ? encoder.encode(blob) : blob))
  encoded.forEach(measure)
  const bytes = new Uint8Array(end)
  encoded.forEach((blob, index) => bytes.set(blob, index === 0 ? 0 : ends[index - 1]))
  return { ends, bytes }
}
