/** Time: nanoseconds as bigint, ranges as the URL spells them, and one formatter for what a person reads. */

/** Unix nanoseconds. They don't fit a number. */
export type Nanos = bigint & { readonly __unit: 'ns' }
/** Unix milliseconds. */
export type Millis = number & { readonly __unit: 'ms' }

export const nanos = (value: bigint | string): Nanos => {
  const n = BigInt(value)
  return brandNanos(n)
}
function brandNanos(n: bigint): Nanos {
  return n as Nanos
}
export const millis = (value: number): Millis => value as Millis
export const toMillis = (ns: bigint): Millis => millis(Number(ns / 1_000_000n))
export const toNanos = (ms: number): Nanos => brandNanos(BigInt(Math.round(ms)) * 1_000_000n)

/** A range is either "the last so long", which moves, or two fixed points. */
export type TimeRange = { kind: 'last'; last: string; ms: number } | { kind: 'fixed'; from: Millis; to: Millis }
export type Window = { from: Millis; to: Millis }

export const presets: { last: string; label: string }[] = [
  { last: '5m', label: 'Last 5 minutes' },
  { last: '15m', label: 'Last 15 minutes' },
  { last: '30m', label: 'Last 30 minutes' },
  { last: '1h', label: 'Last hour' },
  { last: '3h', label: 'Last 3 hours' },
  { last: '6h', label: 'Last 6 hours' },
  { last: '12h', label: 'Last 12 hours' },
  { last: '24h', label: 'Last 24 hours' },
  { last: '3d', label: 'Last 3 days' },
  { last: '7d', label: 'Last 7 days' },
  { last: '30d', label: 'Last 30 days' },
  { last: '90d', label: 'Last 90 days' },
]
export const defaultLast = '1h'

const spanOf: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3, w: 604_800e3 }

/** `15m`, `3h`, `7d` to milliseconds. */
export function parseLast(text: string): number | undefined {
  const match = /^(\d{1,5})\s*([smhdw])$/.exec(text.trim().toLowerCase())
  if (!match) return undefined
  const ms = Number(match[1]) * spanOf[match[2]]
  return ms > 0 && ms <= 400 * spanOf.d ? ms : undefined
}

export function lastRange(last: string): TimeRange | undefined {
  const ms = parseLast(last)
  return ms === undefined ? undefined : { kind: 'last', last: last.trim().toLowerCase().replace(/\s/g, ''), ms }
}

/** The search parameters that hold a range: `last=3h`, or `from=` and `to=` in ISO 8601. */
export type RangeSearch = { last?: string; from?: string; to?: string }

export function rangeFromSearch(search: RangeSearch): TimeRange {
  if (search.from && search.to) {
    const from = Date.parse(search.from)
    const to = Date.parse(search.to)
    if (Number.isFinite(from) && Number.isFinite(to) && from < to) return { kind: 'fixed', from: millis(from), to: millis(to) }
  }
  return lastRange(search.last ?? defaultLast) ?? { kind: 'last', last: defaultLast, ms: 3600e3 }
}

export function rangeToSearch(range: TimeRange): RangeSearch {
  if (range.kind === 'last') return { last: range.last === defaultLast ? undefined : range.last, from: undefined, to: undefined }
  return { last: undefined, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() }
}

export function resolve(range: TimeRange, now: number): Window {
  return range.kind === 'fixed' ? { from: range.from, to: range.to } : { from: millis(now - range.ms), to: millis(now) }
}

/** The window before (-1) or after (+1) this one; stops at now. */
export function shift(range: TimeRange, by: -1 | 1, now: number): TimeRange {
  const { from, to } = resolve(range, now)
  const width = to - from
  const end = Math.min(to + by * width, now)
  if (by === 1 && end >= now && range.kind === 'last') return range
  return { kind: 'fixed', from: millis(end - width), to: millis(end) }
}

export function zoomOut(range: TimeRange, now: number): TimeRange {
  const { from, to } = resolve(range, now)
  const end = Math.min(to + (to - from) / 2, now)
  return { kind: 'fixed', from: millis(end - (to - from) * 2), to: millis(end) }
}

const pad = (n: number, width = 2) => String(n).padStart(width, '0')
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `14:03:27.125`, with the day in front when it isn't today. Local time, as the header says. */
export function formatTime(ms: number, now: number = Date.now()): string {
  const at = new Date(ms)
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`
  return new Date(now).toDateString() === at.toDateString() ? clock : `${formatDay(at)} ${clock}`
}

/** `21 Nov 2026, 14:03:27.125 402 881`: everything there is, for titles and details. */
export function formatExact(ns: bigint): string {
  const at = new Date(toMillis(ns))
  const rest = Number(ns % 1_000_000n)
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`
  return `${at.getDate()} ${months[at.getMonth()]} ${at.getFullYear()}, ${clock} ${pad(Math.floor(rest / 1000), 3)} ${pad(rest % 1000, 3)}`
}

function formatDay(at: Date): string {
  return `${at.getDate()} ${months[at.getMonth()]}`
}

/** What the time picker shows: `Last hour`, or `21 Nov 14:00 – 15:30`. */
export function describeRange(range: TimeRange): string {
  if (range.kind === 'last') return presets.find((p) => p.last === range.last)?.label ?? `Last ${range.last}`
  const from = new Date(range.from)
  const to = new Date(range.to)
  const fine = range.to - range.from < 10 * 60e3
  const clock = (d: Date) => `${pad(d.getHours())}:${pad(d.getMinutes())}${fine ? `:${pad(d.getSeconds())}` : ''}`
  const sameDay = from.toDateString() === to.toDateString()
  return sameDay
    ? `${formatDay(from)}, ${clock(from)} – ${clock(to)}`
    : `${formatDay(from)} ${clock(from)} – ${formatDay(to)} ${clock(to)}`
}

/** `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`. */
export function formatAgo(ms: number, now: number): string {
  const s = Math.round((now - ms) / 1000)
  if (s < 2) return 'just now'
  if (s < 90) return `${s} s ago`
  if (s < 5400) return `${Math.round(s / 60)} min ago`
  if (s < 129_600) return `${Math.round(s / 3600)} h ago`
  return `${Math.round(s / 86_400)} d ago`
}

/** For `<input type="datetime-local">`. */
export function toLocalInput(ms: number): string {
  const at = new Date(ms)
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}T${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`
}

/** The viewer's time zone, as a name. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
