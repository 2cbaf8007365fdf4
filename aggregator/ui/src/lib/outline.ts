/**
 * A trace's shape: rows in depth-first order, as the server laid them out. Folding, searching and walking are arithmetic on
 * columns; no object per span exists, so 50,000 spans cost what their numbers cost.
 */
import type { OutlineData } from '../api/types'
import type { SpanId } from './ids'
import { parseSpanId } from './ids'
import { nanos, type Nanos } from './time'

const flag = { error: 1, orphan: 2, logs: 4, links: 8, critical: 16, events: 32 } as const
export type Flag = keyof typeof flag

/** Index of a row in depth-first order. */
export type Row = number

export class Outline {
  readonly traceId: string
  readonly t0: Nanos
  readonly duration: number
  /** Spans shown, and spans the trace has. */
  readonly length: number
  readonly count: number
  readonly truncated: boolean
  readonly services: string[]
  readonly names: string[]
  private readonly c: OutlineData['columns']
  private readonly byId = new Map<string, Row>()

  constructor(data: OutlineData) {
    this.traceId = data.trace_id
    this.t0 = nanos(data.t0)
    this.duration = Math.max(1, Number(data.duration))
    this.length = data.columns.span_id.length
    this.count = data.count
    this.truncated = Boolean(data.truncated)
    this.services = data.services
    this.names = data.names
    this.c = data.columns
    data.columns.span_id.forEach((id, row) => this.byId.set(id, row))
  }

  id = (row: Row): string => this.c.span_id[row]
  spanId = (row: Row): SpanId | undefined => parseSpanId(this.c.span_id[row])
  parent = (row: Row): Row => this.c.parent[row]
  depth = (row: Row): number => this.c.depth[row]
  subtree = (row: Row): number => this.c.subtree[row]
  serviceIndex = (row: Row): number => this.c.service[row]
  service = (row: Row): string => this.services[this.c.service[row]] ?? ''
  name = (row: Row): string => this.names[this.c.name[row]] ?? ''
  kind = (row: Row): string => kindName(this.c.kind[row])
  start = (row: Row): number => this.c.start[row]
  dur = (row: Row): number => this.c.dur[row]
  self = (row: Row): number => this.c.self[row]
  has = (row: Row, name: Flag): boolean => (this.c.flags[row] & flag[name]) !== 0
  rowOf = (id: string | undefined): Row | undefined => (id === undefined ? undefined : this.byId.get(id))

  /** Rows to draw: everything but what lies under a folded row and, while filtering, what neither matches nor leads to a match. */
  visible(folded: ReadonlySet<Row>, keep?: ReadonlySet<Row>): Row[] {
    const rows: Row[] = []
    for (let row = 0; row < this.length; ) {
      if (keep && !keep.has(row)) {
        row += 1
        continue
      }
      rows.push(row)
      row += folded.has(row) ? this.subtree(row) : 1
    }
    return rows
  }

  ancestors(row: Row): Row[] {
    const list: Row[] = []
    for (let at = this.parent(row); at >= 0 && list.length < this.length; at = this.parent(at)) list.push(at)
    return list
  }

  /** Matches and all rows on the way to them. */
  withAncestors(rows: readonly Row[]): Set<Row> {
    const keep = new Set<Row>()
    for (const row of rows) {
      for (let at = row; at >= 0 && !keep.has(at); at = this.parent(at)) keep.add(at)
    }
    return keep
  }

  /** Words match service or name; `error`, `service:x`, `name:x`, `>100ms`-like terms narrow further. All must hold. */
  search(text: string): Row[] {
    const terms = text.toLowerCase().split(/\s+/).filter(Boolean)
    if (terms.length === 0) return []
    const service = this.services.map((s) => s.toLowerCase())
    const name = this.names.map((s) => s.toLowerCase())
    const rows: Row[] = []
    for (let row = 0; row < this.length; row++) {
      const s = service[this.c.service[row]] ?? ''
      const n = name[this.c.name[row]] ?? ''
      const holds = terms.every((term) => {
        if (term === 'status:error' || term === 'is:error') return this.has(row, 'error')
        if (term.startsWith('service:')) return s.includes(term.slice(8))
        if (term.startsWith('name:')) return n.includes(term.slice(5))
        return s.includes(term) || n.includes(term) || this.c.span_id[row].startsWith(term)
      })
      if (holds) rows.push(row)
    }
    return rows
  }

  errors(): Row[] {
    const rows: Row[] = []
    for (let row = 0; row < this.length; row++) if (this.has(row, 'error')) rows.push(row)
    return rows
  }

  /** Rows of big traces that start folded: everything deeper than what fills a few screens. */
  foldedAtFirst(most = 400): Set<Row> {
    if (this.length <= most) return new Set()
    const at: number[] = []
    for (let row = 0; row < this.length; row++) at[this.depth(row)] = (at[this.depth(row)] ?? 0) + 1
    let shown = 0
    let level = 0
    while (level < at.length && shown + (at[level] ?? 0) <= most) {
      shown += at[level] ?? 0
      level += 1
    }
    const folded = new Set<Row>()
    const cut = Math.max(0, level - 1)
    for (let row = 0; row < this.length; row++) if (this.depth(row) === cut && this.subtree(row) > 1) folded.add(row)
    return folded
  }

  /** Time by service, spans that aren't waiting for others only: what the trace really spent where. */
  byService(): { service: string; index: number; self: number; spans: number; errors: number }[] {
    const list = this.services.map((service, index) => ({ service, index, self: 0, spans: 0, errors: 0 }))
    for (let row = 0; row < this.length; row++) {
      const entry = list[this.c.service[row]]
      if (!entry) continue
      entry.self += this.self(row)
      entry.spans += 1
      if (this.has(row, 'error')) entry.errors += 1
    }
    return list.toSorted((a, b) => b.self - a.self)
  }
}

/** The next entry after `from` in a sorted list of rows, walking round at the ends. */
export function step(rows: readonly Row[], from: Row | undefined, by: 1 | -1): Row | undefined {
  if (rows.length === 0) return undefined
  if (from === undefined) return by === 1 ? rows[0] : rows.at(-1)
  if (by === 1) return rows.find((row) => row > from) ?? rows[0]
  return rows.findLast((row) => row < from) ?? rows.at(-1)
}

/** Round marks for an axis of this many nanoseconds, about `n` of them. */
export function ticks(from: number, to: number, n: number): number[] {
  const width = to - from
  if (!(width > 0)) return [from]
  const rough = width / n
  const power = 10 ** Math.floor(Math.log10(rough))
  const size = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? power * 10
  const list: number[] = []
  for (let at = Math.ceil(from / size) * size; at <= to; at += size) list.push(at)
  return list
}

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
export function kindName(kind: string | number): string {
  return typeof kind === 'number' ? (kinds[kind] ?? 'unspecified') : kind.toLowerCase().replace('span_kind_', '')
}
