import { describe, expect, it } from 'vitest'
import { formatBytes, formatCount, formatDuration, formatMetric, formatRate, formatShare, parseDuration, plural } from './units'

describe('durations', () => {
  it('keep three significant digits in the largest unit that fits', () => {
    expect(formatDuration(0)).toBe('0 ms')
    expect(formatDuration(740)).toBe('740 ns')
    expect(formatDuration(1_240_000n)).toBe('1.24 ms')
    expect(formatDuration(12_400_000_000)).toBe('12.4 s')
    expect(formatDuration(999_999)).toBe('1 ms')
    expect(formatDuration(125_000_000_000)).toBe('2m 05s')
    expect(formatDuration(11_520_000_000_000)).toBe('3h 12m')
    expect(formatDuration(-1_500_000)).toBe('-1.5 ms')
  })

  it('are read back as people type them', () => {
    expect(parseDuration('150ms')).toBe(150e6)
    expect(parseDuration('1.5 s')).toBe(1.5e9)
    expect(parseDuration('1h30m')).toBe(5400e9)
    expect(parseDuration('200')).toBe(200e6)
    expect(parseDuration('20 apples')).toBeUndefined()
    expect(parseDuration('')).toBeUndefined()
  })
})

it('short counts stay short and never lose a unit', () => {
  expect(formatCount(999)).toBe('999')
  expect(formatCount(1200)).toBe('1.2k')
  expect(formatCount(999_999)).toBe('1M')
  expect(formatCount(0)).toBe('0')
})

it('a share never rounds something to nothing', () => {
  expect(formatShare(1, 1_000_000)).toBe('<0.01%')
  expect(formatShare(0, 10)).toBe('0%')
  expect(formatShare(1, 3)).toBe('33.3%')
})

it('rates choose the unit that makes them readable', () => {
  expect(formatRate(12.34)).toBe('12.3/s')
  expect(formatRate(0.05)).toBe('3/min')
  expect(formatRate(1 / 3600)).toBe('1/h')
  expect(formatRate(0)).toBe('0/s')
})

it('metric values follow their unit', () => {
  expect(formatMetric(1536, 'By')).toBe('1.5 KiB')
  expect(formatMetric(0.25, 's')).toBe('250 ms')
  expect(formatMetric(12, '{request}')).toBe('12 request')
  expect(formatBytes(10)).toBe('10 B')
})

it('words agree with their number', () => {
  expect(plural(1, 'span')).toBe('1 span')
  expect(plural(5000, 'span')).toBe('5,000 spans')
})
