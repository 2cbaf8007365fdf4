/** Numbers as people read them: durations, counts, bytes, rates. Every figure on a page comes through here. */

const threeDigits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, useGrouping: false })
const whole = new Intl.NumberFormat('en')

const steps: [string, number][] = [
  ['s', 1e9],
  ['ms', 1e6],
  ['µs', 1e3],
  ['ns', 1],
]

/** `1.24 ms`, `12.4 s`, `2m 05s`, `3h 12m`: three significant digits, largest unit that fits. */
export function formatDuration(ns: bigint | number): string {
  const n = Number(ns)
  if (!Number.isFinite(n)) return '–'
  if (n < 0) return `-${formatDuration(-n)}`
  if (n === 0) return '0 ms'
  if (n >= 60e9) return formatLong(n / 1e9)
  const [unit, size] = steps.find(([, size]) => n >= size * 0.9995) ?? ['ns', 1]
  return `${threeDigits.format(n / size)} ${unit}`
}

function formatLong(seconds: number): string {
  const two = (n: number) => String(n).padStart(2, '0')
  const total = Math.round(seconds)
  if (total >= 86_400) return `${Math.floor(total / 86_400)}d ${two(Math.floor((total % 86_400) / 3600))}h`
  if (total >= 3600) return `${Math.floor(total / 3600)}h ${two(Math.floor((total % 3600) / 60))}m`
  return `${Math.floor(total / 60)}m ${two(total % 60)}s`
}

const durationUnits: Record<string, number> = {
  ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, sec: 1e9, m: 60e9, min: 60e9, h: 3600e9, d: 86_400e9,
}

/** Reads `150ms`, `1.5 s`, `2m`, `1h30m`; a bare number means milliseconds. Nanoseconds, or undefined when it isn't a duration. */
export function parseDuration(text: string): number | undefined {
  const clean = text.trim().toLowerCase()
  if (clean === '') return undefined
  if (/^\d+(\.\d+)?$/.test(clean)) return Number(clean) * 1e6
  if (!/^(\d+(\.\d+)?\s*(ns|us|µs|μs|ms|sec|min|s|m|h|d)\s*)+$/.test(clean)) return undefined
  let total = 0
  for (const part of clean.matchAll(/(\d+(?:\.\d+)?)\s*(ns|us|µs|μs|ms|sec|min|s|m|h|d)/g)) {
    total += Number(part[1]) * durationUnits[part[2]]
  }
  return Math.round(total)
}

/** `950`, `1.2k`, `34.5M`: short, for charts and tables. */
export function formatCount(n: number): string {
  if (!Number.isFinite(n)) return '–'
  const size = Math.abs(n)
  if (size < 1000) return size === 0 ? '0' : size < 0.001 ? n.toExponential(1) : threeDigits.format(n)
  for (const [suffix, unit] of [['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]] as const) {
    if (size >= unit * 0.9995) return threeDigits.format(n / unit) + suffix
  }
  return threeDigits.format(n)
}

/** `1,234,567`: exact, where the exact number matters. */
export function formatWhole(n: number): string {
  return whole.format(n)
}

export function formatBytes(n: number): string {
  const size = Math.abs(n)
  for (const [suffix, unit] of [['TiB', 2 ** 40], ['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]] as const) {
    if (size >= unit) return `${threeDigits.format(n / unit)} ${suffix}`
  }
  return `${threeDigits.format(n)} B`
}

/** `0%`, `0.04%`, `12.3%`; never rounds something to nothing. */
export function formatShare(part: number, all: number): string {
  if (all === 0 || part === 0) return '0%'
  const share = (part / all) * 100
  return share < 0.01 ? '<0.01%' : `${threeDigits.format(share)}%`
}

/** `12/s`, `3.5/min`, `2/h`: the unit that makes the number readable. */
export function formatRate(perSecond: number): string {
  if (perSecond >= 1 || perSecond === 0) return `${formatCount(perSecond)}/s`
  return perSecond * 60 >= 1 ? `${formatCount(perSecond * 60)}/min` : `${formatCount(perSecond * 3600)}/h`
}

/** A metric's value with the unit OpenTelemetry gave it (UCUM: `By`, `ms`, `s`, `1`, `{request}`). */
export function formatMetric(value: number, unit: string): string {
  switch (unit) {
    case 'By':
      return formatBytes(value)
    case 'By/s':
      return `${formatBytes(value)}/s`
    case 'ns':
      return formatDuration(value)
    case 'us':
      return formatDuration(value * 1e3)
    case 'ms':
      return formatDuration(value * 1e6)
    case 's':
      return formatDuration(value * 1e9)
    case '%':
      return `${formatCount(value)}%`
    case '1':
    case '':
      return formatCount(value)
    default:
      return `${formatCount(value)} ${unit.replace(/[{}]/g, '')}`
  }
}

/** `1 span`, `12 spans`, `1.2k spans`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n < 10_000 ? formatWhole(n) : formatCount(n)} ${n === 1 ? one : many}`
}
