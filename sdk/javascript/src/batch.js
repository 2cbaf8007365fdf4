// A batch as a plugin sees it. Strings are decoded when they are looked at, and once.

import { NONE, Signals, Table, kind } from './registry.js'

const decoder = new TextDecoder()

export class Batch {
  #batch
  #plan
  /** All strings in one. */
  #all
  #texts = new Map()

  constructor(batch, plan) {
    this.#batch = batch
    this.#plan = plan
  }

  get signal() {
    return this.#batch.signal
  }

  /** Wall clock, nanoseconds since 1970, a bigint. */
  get nowNs() {
    return this.#batch.nowNs
  }

  /** Fresh for each batch, a bigint. */
  get seed() {
    return this.#batch.seed
  }

  /** Rows of a table. */
  rows(table) {
    return this.#table(table)?.rows ?? 0
  }

  /** The row above: of a record its scope (of a data point its metric), of a scope its resource. */
  parent(table, row) {
    return this.#table(table)?.parent[row]
  }

  /** The resource that a record belongs to. */
  resourceOf(record) {
    const above = this.parent(Table.RECORD, record)
    const scope = this.signal === Signals.METRICS ? this.parent(Table.METRIC, above) : above
    return this.parent(Table.SCOPE, scope)
  }

  #table(table) {
    return this.#batch.tables.find((rows) => rows.table === table)
  }

  /** The string with this code. */
  text(code) {
    const { ends, bytes } = this.#batch.dict
    const [start, end] = [code === 0 ? 0 : ends[code - 1], ends[code]]
    // Each call of the decoder costs more than the text: one for all, where a letter is a byte.
    this.#all ??= decoder.decode(bytes)
    if (this.#all.length === bytes.length) return this.#all.slice(start, end)
    let text = this.#texts.get(code)
    if (text === undefined) {
      text = decoder.decode(bytes.subarray(start, end))
      this.#texts.set(code, text)
    }
    return text
  }

  /**
   * What each record has for a selector: its first value, or `undefined`. What a resource, a scope or a
   * metric has, all of its records have.
   */
  values(slot) {
    return this.#perRecord(slot, (column, index) => this.#value(column, index).value)
  }

  /** As `values`, for labels of metrics: strings as their codes, whole numbers and truth values as text. */
  labels(slot) {
    return this.#perRecord(slot, (column, index) => {
      const of = column.kind === kind.MIXED ? column.kinds[index] : column.kind
      if (of === kind.STRING) return column.kind === kind.MIXED ? Number(column.words[index]) : column.codes[index]
      if (of !== kind.INT && of !== kind.UINT && of !== kind.BOOL) return undefined
      return String(this.#value(column, index).value)
    })
  }

  /** As `values`, for values of metrics: numbers times `factor`, `NaN` where there is none. */
  numbers(slot, factor = 1) {
    const numbers = this.#perRecord(slot, (column, index) => {
      const { kind: of, value } = this.#value(column, index)
      const isNumber = of === kind.INT || of === kind.UINT || of === kind.TIME || of === kind.DOUBLE
      return isNumber ? Number(value) * factor : undefined
    })
    return Float64Array.from(numbers, (number) => number ?? NaN)
  }

  #perRecord(slot, read) {
    const table = this.#plan.table(slot)
    // No holes: map and forEach would pass over them.
    const own = new Array(this.rows(table)).fill(undefined)
    for (const column of this.#batch.columns) {
      if (column.slot !== slot) continue
      const dense = column.rows.length === 0
      const count = dense ? own.length : column.rows.length
      for (let index = 0; index < count; index++) {
        const row = dense ? index : column.rows[index]
        if (own[row] === undefined && isThere(column, index)) own[row] = read(column, index)
      }
    }
    if (table === Table.RECORD) return own
    const above = this.#above(table)
    return Array.from({ length: this.rows(Table.RECORD) }, (_, record) => own[above(record)])
  }

  /** From a record to the row of `table` that it belongs to. */
  #above(table) {
    switch (table) {
      case Table.RESOURCE:
        return (record) => this.resourceOf(record)
      case Table.SCOPE:
        if (this.signal !== Signals.METRICS) return (record) => this.parent(Table.RECORD, record)
        return (record) => this.parent(Table.METRIC, this.parent(Table.RECORD, record))
      case Table.METRIC:
        return (record) => this.parent(Table.RECORD, record)
      default:
        throw new TypeError('of events, links and exemplars a record may have many; use cells()')
    }
  }

  /** Every value of a selector: `{ slot, key, keyCode, row, kind, code, value }`. */
  *cells(slot) {
    for (const column of this.#batch.columns) {
      if (column.slot !== slot) continue
      const key = column.key === NONE || !this.#plan.asked.wantDict ? undefined : this.text(column.key)
      const dense = column.rows.length === 0
      const count = dense ? this.rows(this.#plan.table(slot)) : column.rows.length
      for (let index = 0; index < count; index++) {
        if (!isThere(column, index)) continue
        const row = dense ? index : column.rows[index]
        yield { slot, key, keyCode: column.key, row, ...this.#value(column, index) }
      }
    }
  }

  /** The first value that a row has for a selector. */
  get(slot, row) {
    for (const cell of this.cells(slot)) if (cell.row === row) return cell
    return undefined
  }

  /** The distinct strings of a selector, as codes. */
  codes(slot) {
    const codes = new Set()
    for (const column of this.#batch.columns) {
      if (column.slot !== slot) continue
      if (column.kind === kind.STRING) for (const code of column.codes) if (code !== NONE) codes.add(code)
      column.kinds.forEach((of, index) => {
        if (of === kind.STRING) codes.add(Number(column.words[index]))
      })
    }
    return codes
  }

  #value(column, index) {
    const mixed = column.kind === kind.MIXED
    const of = mixed ? column.kinds[index] : column.kind
    if (of === kind.STRING || of === kind.BYTES || of === kind.JSON) {
      const code = mixed ? Number(column.words[index]) : column.codes[index]
      return { kind: of, code, value: this.#plan.asked.wantDict ? this.text(code) : undefined }
    }
    if (of === kind.ID16) {
      const hex = (word) => word.toString(16).padStart(16, '0')
      return { kind: of, value: hex(column.words[index * 2]) + hex(column.words[index * 2 + 1]) }
    }
    const word = column.words[index]
    switch (of) {
      case kind.BOOL:
        return { kind: of, value: word !== 0n }
      case kind.INT:
        return { kind: of, value: BigInt.asIntN(64, word) }
      case kind.DOUBLE:
        return { kind: of, value: doubleOf(word) }
      case kind.ID8:
        return { kind: of, value: word.toString(16).padStart(16, '0') }
      case kind.NULL:
        return { kind: of, value: undefined }
      default:
        return { kind: of, value: word }
    }
  }
}

/** Whether a column has something at this place. */
function isThere({ rows, codes, present }, index) {
  if (codes.length > 0 && codes[index] === NONE) return false
  if (rows.length > 0 || present.length === 0) return true
  return ((present[index >>> 6] >> BigInt(index & 63)) & 1n) === 1n
}

const bits = new DataView(new ArrayBuffer(8))

export function doubleOf(word) {
  bits.setBigUint64(0, word)
  return bits.getFloat64(0)
}

export function wordOf(double) {
  bits.setFloat64(0, double)
  return bits.getBigUint64(0)
}
