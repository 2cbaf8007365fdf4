// Plays the host's part under Node, so that a plugin's own tests can import it:
//
//   node --import petrel-plugin/testing --test
//
// What the plugin imports from the host is found here. What was said to it can be looked at; it answers
// simply: nothing is ever over, nothing makes room, and the kernels are in the host only, so what needs
// them is a case for `petrel plugin test`.

import { register } from 'node:module'

register('./testing-resolve.js', import.meta.url)

const decoder = new TextDecoder()

/** Declared instruments, in order: `{ name, unit, instrumentKind, audience, output, labelKeys }`. */
export const instruments = []
/** What was recorded: `{ name, value, labels }`, labels as codes, texts, or `undefined`. */
export const recorded = []
/** What is kept: bytes by key. */
export const kept = new Map()
/** Lines for the operator: `{ level, message }`. */
export const lines = []

/** What the operator mounts: by name, `(codes, column) => codes`. */
export const tables = new Map()

/** Forgets all that was said; instruments stay declared. */
export function reset() {
  recorded.length = lines.length = 0
  kept.clear()
  tables.clear()
}

// petrel:plugin/log
export function write(level, message) {
  lines.push({ level, message })
}

// petrel:plugin/metrics
export function declare(instrument) {
  return instruments.push(instrument) - 1
}

export function add(id, value) {
  recorded.push({ name: instruments[id].name, value, labels: [] })
}

export function recordMany(id, values, codes, extra) {
  const { name, labelKeys } = instruments[id]
  const texts = parts(extra).map((text) => decoder.decode(text))
  const label = (code) => (code === 0xffffffff ? undefined : (texts[code - 0x80000000] ?? code))
  values.forEach((value, index) => {
    const own = codes.subarray(index * labelKeys.length, (index + 1) * labelKeys.length)
    recorded.push({ name, value, labels: Array.from(own, label) })
  })
}

// petrel:plugin/state
export function getMany(keys) {
  return parts(keys).map((key) => kept.get(decoder.decode(key)))
}

export function putMany(keys, values) {
  const given = parts(values)
  parts(keys).forEach((key, index) => kept.set(decoder.decode(key), given[index]))
}

export function deleteMany(keys) {
  for (const key of parts(keys)) kept.delete(decoder.decode(key))
}

// petrel:plugin/clock
export const wallNs = () => BigInt(Date.now()) * 1_000_000n
export const monotonicNs = () => process.hrtime.bigint()

// petrel:plugin/random
export const bytes = (count) => crypto.getRandomValues(new Uint8Array(count))

// petrel:plugin/lookup
const opened = []
export const open = (name) => (tables.has(name) ? opened.push(tables.get(name)) - 1 : undefined)
export const joinDict = (table, codes, column) => Uint32Array.from(opened[table](codes, column))

// petrel:plugin/accel
const inTheHost = () => {
  throw new Error('the kernels are in the host; test this with `petrel plugin test`')
}
export { inTheHost as hashDict, inTheHost as keySet, inTheHost as matchDict, inTheHost as redactDict, inTheHost as regexSet }

function parts({ ends, bytes }) {
  return Array.from(ends, (end, index) => bytes.slice(index === 0 ? 0 : ends[index - 1], end))
}
