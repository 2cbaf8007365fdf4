/** The URL's search part, as plain strings: nothing is quoted, and a 64-bit number keeps its digits. */
import type { RangeSearch } from './time'

export type RawSearch = Record<string, unknown>

export function parseSearch(text: string): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = {}
  for (const [key, value] of new URLSearchParams(text)) {
    const before = found[key]
    found[key] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return found
}

export function stringifySearch(search: RawSearch): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(search)) {
    if (value === undefined || value === null || value === '') continue
    for (const one of Array.isArray(value) ? value : [value]) params.append(key, String(one))
  }
  // Readable where the grammar allows it: people read and edit these links.
  const text = params.toString().replace(/%3A/g, ':').replace(/%2F/g, '/').replace(/%2C/g, ',')
  return text === '' ? '' : `?${text}`
}

export function text(search: RawSearch, key: string): string | undefined {
  const value = search[key]
  const one: unknown = Array.isArray(value) ? value[0] : value
  return typeof one === 'string' && one !== '' ? one : undefined
}

export function texts(search: RawSearch, key: string): string[] | undefined {
  const value = search[key]
  const list = (Array.isArray(value) ? value : [value]).filter((v): v is string => typeof v === 'string' && v !== '')
  return list.length === 0 ? undefined : list
}

export const rangeSearch = (search: RawSearch): RangeSearch => ({
  last: text(search, 'last'),
  from: text(search, 'from'),
  to: text(search, 'to'),
})

/** Where to go after signing in: a path of ours, never another site. */
export function safeNext(next: string | undefined): string {
  return next !== undefined && /^\/(?![/\\])/.test(next) ? next : '/'
}
