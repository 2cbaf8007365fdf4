/** Filters in one spelling, `service.name = checkout`: the same in the chip, in the URL and under the fingers. */
import { formatDuration, parseDuration } from './units'

export const ops = ['=', '!=', '>', '>=', '<', '<=', 'contains', 'exists', 'missing'] as const
export type Op = (typeof ops)[number]
export type Filter = { key: string; op: Op; value: string }

const needsNoValue = (op: Op) => op === 'exists' || op === 'missing'

/** Reads one filter; undefined while it isn't complete. */
export function parseFilter(text: string): Filter | undefined {
  const { key, op, value } = parsePartial(text)
  if (!key || !op) return undefined
  if (needsNoValue(op)) return { key, op, value: '' }
  const unquoted = unquote(value)
  return unquoted === '' && value === '' ? undefined : { key, op, value: unquoted }
}

/** What has been typed so far, for completion: key, then operator, then value. */
export function parsePartial(text: string): { key: string; op?: Op; value: string; stage: 'key' | 'op' | 'value' } {
  const start = text.trimStart()
  const quoted = /^"((?:[^"\\]|\\.)*)"/.exec(start)
  const key = quoted ? unquote(quoted[0]) : (/^[^\s=!<>"]+/.exec(start)?.[0] ?? '')
  const rest = start.slice(quoted ? quoted[0].length : key.length)
  const op = /^\s*(!=|>=|<=|=|>|<|contains(?=\s|$)|exists(?=\s|$)|missing(?=\s|$))/i.exec(rest)
  if (!op) return { key, value: rest.trim(), stage: key !== '' && /^\s/.test(rest) ? 'op' : 'key' }
  const found = ops.find((o) => o === op[1].toLowerCase())
  return { key, op: found, value: rest.slice(op[0].length).trim(), stage: 'value' }
}

export function formatFilter(filter: Filter): string {
  const key = /^[^\s=!<>"]+$/.test(filter.key) ? filter.key : JSON.stringify(filter.key)
  if (needsNoValue(filter.op)) return `${key} ${filter.op}`
  const value = filter.value === '' || /^\s|\s$|^"/.test(filter.value) ? JSON.stringify(filter.value) : filter.value
  return `${key} ${filter.op} ${value}`
}

function unquote(text: string): string {
  if (!/^".*"$/s.test(text)) return text
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'string' ? parsed : text
  } catch {
    return text
  }
}

/** As the API wants it: durations in nanoseconds. */
export function toApi(filter: Filter): Filter {
  if (filter.key !== 'duration') return filter
  const ns = parseDuration(filter.value)
  return ns === undefined ? filter : { ...filter, value: String(ns) }
}

/** Why this filter can't be asked, in words. */
export function problem(filter: Filter): string | undefined {
  if (filter.key === 'duration' && !needsNoValue(filter.op) && parseDuration(filter.value) === undefined) {
    return `“${filter.value}” is not a duration; try 250ms or 1.5s`
  }
  return undefined
}

export function sameFilter(a: Filter, b: Filter): boolean {
  return a.key === b.key && a.op === b.op && a.value === b.value
}

/** Adds a filter; one that is already there is not added twice. */
export function withFilter(list: Filter[], filter: Filter): Filter[] {
  return list.some((f) => sameFilter(f, filter)) ? list : [...list, filter]
}

/** Sets or clears what a picker stands for: at most one filter with this key and operator. */
export function setFilter(list: Filter[], key: string, op: Op, value: string | undefined): Filter[] {
  const rest = list.filter((f) => !(f.key === key && f.op === op))
  return value === undefined || value === '' ? rest : [...rest, { key, op, value }]
}

export function valueOf(list: Filter[], key: string, op: Op): string | undefined {
  return list.find((f) => f.key === key && f.op === op)?.value
}

/** The `f` search parameter, once or many times. */
export function filtersFromSearch(f: string | string[] | undefined): Filter[] {
  const list = f === undefined ? [] : Array.isArray(f) ? f : [f]
  return list.map(parseFilter).filter((x) => x !== undefined)
}

export function filtersToSearch(list: Filter[]): string[] | undefined {
  return list.length === 0 ? undefined : list.map(formatFilter)
}

export const durationFilter = (ns: number) => formatDuration(ns).replace(' ', '')
