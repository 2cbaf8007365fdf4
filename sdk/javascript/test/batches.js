// Batches as the host hands them over.

import { NONE, Signals, Table, kind } from '../src/registry.js'

export const text = (text) => new TextEncoder().encode(text)

/** A column with its unused lists. */
export const column = (given) => ({
  slot: 0, key: NONE, kind: kind.STRING, rows: new Uint32Array(), codes: new Uint32Array(),
  words: new BigUint64Array(), kinds: new Uint8Array(), present: new BigUint64Array(), ...given,
})

export function batch(columns, strings = []) {
  const blobs = strings.map(text)
  let end = 0
  return {
    signal: Signals.TRACES, id: 1n, nowNs: 5n, seed: 7n,
    tables: [
      { table: Table.RESOURCE, rows: 1, parent: new Uint32Array() },
      { table: Table.SCOPE, rows: 1, parent: new Uint32Array([0]) },
      { table: Table.RECORD, rows: 2, parent: new Uint32Array([0, 0]) },
    ],
    dict: { ends: new Uint32Array(blobs.map((blob) => (end += blob.length))), bytes: text(strings.join('')) },
    columns,
  }
}
