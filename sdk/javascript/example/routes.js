import { getMany, putMany } from 'petrel-plugin/state'

const DAY_S = 24 * 60 * 60

/** The names in this batch that no span had for a day, as codes. */
export function unseen(batch, name) {
  const codes = [...batch.codes(name)]
  const keys = codes.map((code) => batch.text(code).slice(0, 200))
  const before = getMany(keys)
  putMany(keys.map((key) => [key, 'seen']), DAY_S)
  return new Set(codes.filter((_, index) => before[index] === undefined))
}
