// What a plugin keeps across restarts: a small map of its own, best effort and no database.
//
// Only in `process`. Keys and values together may have 1 MiB, a key 1 KiB; what was written longest ago
// makes room for what comes. Writes count when the batch was accepted, so a batch that is sent again
// meets what it met the first time. The host writes them down every few seconds and when it stops: what
// came after the last time does not survive a crash. Every call crosses over to the host, so ask for
// many keys at once.

import { deleteMany as hostDelete, getMany as hostGet, putMany as hostPut } from 'petrel:plugin/state@0.1.0'
import { packed } from './edits.js'

const decoder = new TextDecoder()

/** The values of these keys (texts or bytes) in their order: bytes, or `undefined`. */
export function getMany(keys) {
  const list = [...keys]
  return list.length === 0 ? [] : hostGet(packed(list)).map((value) => value ?? undefined)
}

/** As `getMany`, for values that are text. */
export function getTexts(keys) {
  return getMany(keys).map((value) => value && decoder.decode(value))
}

/** The value of one key. */
export function get(key) {
  return getMany([key])[0]
}

/** Puts pairs of key and value, a `Map` say; texts or bytes. They are over after `ttlS` seconds; 0 is for ever. */
export function putMany(pairs, ttlS = 0) {
  const list = [...pairs]
  if (list.length === 0) return
  const [keys, values] = [list.map(([key]) => key), list.map(([, value]) => value)]
  hostPut(packed(keys), packed(values), ttlS)
}

/** Puts one value under a key. */
export function put(key, value, ttlS = 0) {
  putMany([[key, value]], ttlS)
}

/** Removes what is under these keys. */
export function deleteMany(keys) {
  const list = [...keys]
  if (list.length > 0) hostDelete(packed(list))
}
