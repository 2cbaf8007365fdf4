// What a plugin asks for when it is configured.

import { Kinds } from './registry.js'

/** As a slot: everything that the plugin selected. */
export const ALL = 0xffff

export class Plan {
  constructor(signals, limits = {}) {
    /** The most that `save` may give. */
    this.stateBytes = Number(limits.stateBytes ?? 0)
    /** The encoded size of the spans that the host holds for the plugin. */
    this.windowBytes = Number(limits.windowBytes ?? 0)
    this.asked = {
      signals,
      selectors: [],
      onlyIfKey: [],
      wantDict: true,
      outputs: [],
      tickMs: 0,
      mergeDuplicates: false,
    }
  }

  /**
   * Attributes by key: exact, `prefix*`, `*suffix`, `*part*` or `*`; alternatives with `|`. Returns
   * the slot: the way to their columns. At first: strings, to be read.
   */
  attributes(table, key, may = {}) {
    return this.#select(table, 0, key, may.kinds ?? Kinds.STRING, may)
  }

  /** A built-in field. */
  field(table, field, may = {}) {
    return this.#select(table, field, '', may.kinds ?? Kinds.ANY, may)
  }

  #select(table, field, key, kinds, { write, create, remove }) {
    const read = kinds === Kinds.UNSEEN ? 0 : 1
    const access = read | (write ? 2 : 0) | (create ? 4 : 0) | (remove ? 8 : 0)
    return this.asked.selectors.push({ table, field, key, kinds, access }) - 1
  }

  /** Only these signals, where the configuration says so. */
  signals(signals) {
    this.asked.signals = signals
  }

  /** Codes only: for plugins that leave the looking to kernels. No telemetry enters the plugin. */
  withoutStrings() {
    this.asked.wantDict = false
  }

  /** Calls `tick` so often, in milliseconds; 100 is the least. */
  tickEvery(ms) {
    this.asked.tickMs = ms
  }

  table(slot) {
    return this.asked.selectors[slot]?.table
  }
}
