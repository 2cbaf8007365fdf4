// Traces that wait for a decision, and the part of them that is kept by chance.

const END = 1n << 56n
/** Hexadecimal digits of 56 bits. */
const DIGITS = 14
/** Trace id, time of the first span. */
const SAVED_BYTES = 24

/** The two words of a trace id. */
export function wordsOf(trace) {
  if (!/^[0-9a-f]{32}$/.test(trace)) throw new TypeError('a trace is 32 hexadecimal digits: a value of Field.TRACE_ID')
  return [BigInt(`0x${trace.slice(0, 16)}`), BigInt(`0x${trace.slice(16)}`)]
}

/**
 * The threshold with which a trace is kept when this part of all is, or `undefined`. By the last 56 bits
 * of its id: OpenTelemetry, "TraceState: Probability Sampling".
 */
export function sampled(trace, part) {
  const threshold = thresholdOf(part)
  return (wordsOf(trace)[1] & (END - 1n)) < threshold ? undefined : threshold
}

/**
 * After the digits `f`, which only say that it is little, four digits say something: so the Collector
 * writes it, and whoever rounds alike decides alike.
 */
export function thresholdOf(part) {
  // Of small parts 1 - part would lose the digits that matter. NaN keeps nothing.
  const kept = part > 0 ? BigInt(Math.round(Math.min(part, 1) * Number(END))) : 0n
  const threshold = END - kept
  if (kept === 0n) return threshold
  const little = /^f*/.exec(threshold.toString(16).padStart(DIGITS, '0'))[0].length
  const unit = 1n << BigInt(4 * (DIGITS - Math.min(little + 4, DIGITS)))
  const rounded = ((threshold + unit / 2n) / unit) * unit
  return rounded < END ? rounded : threshold
}

/** Traces that wait for a decision, in the order in which their first spans came. */
export class Waiting {
  #firstNs = new Map()

  /** How many there are. */
  get size() {
    return this.#firstNs.size
  }

  /** A span came; of a trace the first one counts. */
  add(trace, nowNs) {
    if (!this.#firstNs.has(trace)) this.#firstNs.set(trace, nowNs)
  }

  /** It does not wait any more. */
  remove(trace) {
    this.#firstNs.delete(trace)
  }

  /** Takes out those that have waited so long, and those that came later than now: the clock was set back. */
  due(nowNs, waitMs) {
    const wait = BigInt(Math.round(waitMs * 1e6))
    return this.#take((firstNs) => firstNs > nowNs || nowNs - firstNs >= wait)
  }

  /** Takes out the oldest until no more than `most` wait. */
  beyond(most) {
    return this.#take(() => this.size > most)
  }

  #take(isTaken) {
    const taken = []
    for (const [trace, firstNs] of this.#firstNs) {
      if (!isTaken(firstNs)) break
      this.#firstNs.delete(trace)
      taken.push(trace)
    }
    return taken
  }

  /**
   * What `restore` takes. Nothing if it is more than `plan.stateBytes`: then the host shows what it holds
   * again.
   */
  save(mostBytes) {
    if (this.size * SAVED_BYTES > mostBytes) return new Uint8Array(0)
    const out = new DataView(new ArrayBuffer(this.size * SAVED_BYTES))
    let at = 0
    for (const [trace, firstNs] of this.#firstNs) {
      for (const word of [...wordsOf(trace), firstNs]) {
        out.setBigUint64(at, word)
        at += 8
      }
    }
    return new Uint8Array(out.buffer)
  }

  /** Adds what `save` gave. */
  restore(state) {
    const from = new DataView(state.buffer, state.byteOffset, state.byteLength)
    const hex = (at) => from.getBigUint64(at).toString(16).padStart(16, '0')
    for (let at = 0; at + SAVED_BYTES <= state.length; at += SAVED_BYTES) {
      this.add(hex(at) + hex(at + 8), from.getBigUint64(at + 16))
    }
  }
}
