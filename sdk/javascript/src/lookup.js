// Read-only tables that the operator mounts: CSV, ranges of addresses, metadata of Kubernetes.

import { joinDict, open as openTable } from 'petrel:plugin/lookup@0.1.0'

/** A table by the name that the operator gave it, or `undefined`. */
export function open(name) {
  const table = openTable(name) ?? undefined
  return table === undefined ? undefined : new Table(table)
}

class Table {
  #number

  constructor(number) {
    this.#number = number
  }

  /**
   * Looks up each of a batch's strings, and answers with the value in a column of its row, or `NONE`: codes for
   * `code(...)`, `edits.replace` and labels. Their text stays with the host. Only in `process`.
   */
  join(codes, column) {
    const list = Uint32Array.from(codes)
    return list.length === 0 ? list : joinDict(this.#number, list, column)
  }
}
