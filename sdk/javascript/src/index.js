// Write a Petrel processor in JavaScript.
//
// `plugin` makes the component's export out of what the plugin is and what it does. It knows nothing
// of the runtime, so that a plugin can be tested with `node --test` as it is.

import { Batch } from './batch.js'
import { Edits } from './edits.js'
import { Plan } from './plan.js'
import { Signals } from './registry.js'

export { Batch } from './batch.js'
export { Edits, bool, bytes, code, double, int, json } from './edits.js'
export { Waiting } from './hold.js'
export { ALL, Plan } from './plan.js'
export { Field, Kinds, NONE, Signals, Table } from './registry.js'

/** Failures by what the operator can do. */
const CONFIG = 1
const INTERNAL = 4

/**
 * The export of a component: `export const processor = plugin({ ... })`.
 *
 * `configure(config, plan)` selects what to see and change and returns an object with
 * `process(batch, edits)`. It may have `tick(nowNs, edits)`, called as `plan.tickEvery` says; `flush(edits)`,
 * called before another version takes over; `save()`, whose bytes the next instance gets in
 * `restore(state)`. What any of them throws, the operator reads.
 */
export function plugin(about) {
  let processor
  let plan
  return {
    describe() {
      return {
        name: about.name,
        version: about.version,
        signals: about.signals ?? Signals.ALL,
        configSchema: about.schema ? JSON.stringify(about.schema) : '',
        failClosed: about.failsClosed ?? false,
        stateless: !about.keepsState && !about.holdsTraces,
        deterministic: !about.isRandom,
        extra: about.holdsTraces ? [['holds', 'traces']] : [],
      }
    },
    configure(config, limits, state) {
      return answering(CONFIG, () => {
        plan = new Plan(about.signals ?? Signals.ALL, limits)
        processor = about.configure(parse(config), plan)
        if (state) processor.restore?.(state)
        return plan.asked
      })
    },
    process(batch) {
      return edited((edits) => processor.process(new Batch(batch, plan), edits))
    },
    tick: (nowNs) => edited((edits) => processor.tick?.(nowNs, edits)),
    flush: () => edited((edits) => processor.flush?.(edits)),
    save: () => processor?.save?.() ?? new Uint8Array(0),
  }
}

function edited(edit) {
  return answering(INTERNAL, () => {
    const edits = new Edits()
    edit(edits)
    return edits.finish()
  })
}

/** No configuration is an empty one. */
function parse(config) {
  const text = new TextDecoder().decode(config).trim()
  return text === '' || text === 'null' ? {} : JSON.parse(text)
}

/** What is thrown becomes the contract's error: `payload` is where the runtime looks for it. */
function answering(code, run) {
  try {
    return run()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw Object.assign(new Error(message), { payload: { code, message, retryable: false } })
  }
}
