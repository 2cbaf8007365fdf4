// What a plugin counts: about itself, or new telemetry; the host adds up and exports.
//
// Instruments are declared in `configure` and recorded with in `process`. What is recorded counts when
// the answer was accepted and the batch is on its way: what throws or is retried counts nothing twice.
// A plugin may have 32 instruments and 1,000 series; what goes beyond is one series a metric, with the
// attribute `otel.metric.overflow`.

import { add, declare, recordMany } from 'petrel:plugin/metrics@0.1.0'
import { packed } from './edits.js'
import { ADDED, NONE } from './registry.js'

/** A sum that only grows; `asked` is `{ unit, telemetry, labels }`. */
export const counter = (name, asked) => new Metric(1, name, asked)
/** A sum that goes up and down. */
export const upDownCounter = (name, asked) => new Metric(2, name, asked)
/** The newest value. */
export const gauge = (name, asked) => new Metric(3, name, asked)
/** A distribution of values that are not below zero. */
export const histogram = (name, asked) => new Metric(4, name, asked)

class Metric {
  #id
  #name
  #keys

  constructor(instrumentKind, name, { unit = '', telemetry = false, labels = [] } = {}) {
    this.#name = name
    this.#keys = labels.length
    this.#id = declare({ name, unit, instrumentKind, audience: telemetry ? 1 : 0, output: 0, labelKeys: labels })
  }

  /** Records one value of an instrument without labels. */
  add(value = 1) {
    add(this.#id, value)
  }

  /**
   * Records a batch at once: `values` has one for each record, or is one for all; so has each of `labels`,
   * in the order in which their keys were declared. A label is a code (`batch.labels(slot)` gives them), a
   * text, or `undefined`. Values that are not finite are left out.
   */
  record(values, ...labels) {
    if (labels.length !== this.#keys) {
      throw new TypeError(`${this.#name} was declared with ${this.#keys} labels, not ${labels.length}`)
    }
    const lists = [values, ...labels].filter(isList)
    const count = lists[0]?.length ?? 1
    if (lists.some((list) => list.length !== count)) {
      throw new TypeError(`${this.#name}: values and labels have to be of the same records`)
    }
    const columns = labels.map((label) => (isList(label) ? label : new Array(count).fill(label)))
    const texts = new Map()
    const codeOf = (label) => {
      if (typeof label === 'number') return label
      if (label === undefined || label === null) return NONE
      let code = texts.get(label)
      if (code === undefined) texts.set(label, (code = ADDED + texts.size))
      return code
    }
    const finite = new Float64Array(count)
    const codes = new Uint32Array(count * columns.length)
    let [found, at] = [0, 0]
    for (let index = 0; index < count; index++) {
      const value = isList(values) ? values[index] : values
      if (!Number.isFinite(value)) continue
      finite[found++] = value
      for (const column of columns) codes[at++] = codeOf(column[index])
    }
    if (found > 0) recordMany(this.#id, finite.subarray(0, found), codes.subarray(0, at), packed([...texts.keys()]))
  }
}

function isList(given) {
  return typeof given === 'object' && given !== null
}
