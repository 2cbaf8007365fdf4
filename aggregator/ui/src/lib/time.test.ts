import { describe, expect, it } from 'vitest'
import { formatAgo, formatExact, lastRange, nanos, parseLast, rangeFromSearch, rangeToSearch, resolve, shift, toMillis, toNanos, zoomOut } from './time'

const now = Date.parse('2026-11-21T12:00:00Z')

describe('ranges', () => {
  it('live in the URL and come back the same', () => {
    for (const search of [{ last: '3h' }, { from: '2026-11-21T10:00:00.000Z', to: '2026-11-21T11:00:00.000Z' }]) {
      const back = rangeToSearch(rangeFromSearch(search))
      expect(back).toMatchObject(search)
    }
  })

  it('fall back to the last hour when the URL makes no sense', () => {
    expect(rangeFromSearch({})).toMatchObject({ kind: 'last', last: '1h' })
    expect(rangeFromSearch({ last: 'soon' })).toMatchObject({ last: '1h' })
    expect(rangeFromSearch({ from: '2026-01-02', to: '2026-01-01' })).toMatchObject({ last: '1h' })
  })

  it('step back by their own width and never past now', () => {
    const hour = rangeFromSearch({})
    const before = shift(hour, -1, now)
    expect(resolve(before, now)).toEqual({ from: now - 7200e3, to: now - 3600e3 })
    expect(resolve(shift(before, 1, now), now)).toEqual({ from: now - 3600e3, to: now })
    expect(shift(hour, 1, now)).toBe(hour)
    expect(resolve(zoomOut(hour, now), now).to).toBe(now)
  })

  it('read short spellings and refuse absurd ones', () => {
    expect(parseLast('90m')).toBe(5400e3)
    expect(parseLast('9999d')).toBeUndefined()
    expect(lastRange(' 3 H ')).toMatchObject({ last: '3h' })
  })
})

it('nanoseconds keep every digit', () => {
  const at = nanos('1795262607125402881')
  expect(toNanos(toMillis(at))).toBe(1795262607125000000n)
  expect(formatExact(at)).toMatch(/\.125 402 881$/)
})

it('ages are said in the unit people would use', () => {
  expect(formatAgo(now - 12_000, now)).toBe('12 s ago')
  expect(formatAgo(now - 3 * 3600e3, now)).toBe('3 h ago')
  expect(formatAgo(now, now)).toBe('just now')
})
