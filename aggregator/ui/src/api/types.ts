/** The API's shapes, as the contract gives them. Times are Unix nanoseconds in strings; ids are lower-case hex. */
import type { Filter } from '../lib/filters'

export type User = { id: string | number; email: string; name: string | null }
export type ProjectRef = { id: number; name: string }
export type Session = { user: User; projects: ProjectRef[] }
export type Project = {
  id: number
  name: string
  pinned_attrs: string[]
  /** Null when the configuration names no token for the project. */
  dsn: string | null
  http_endpoint: string
  grpc_endpoint: string
}

export type Meta = {
  elapsed_ms: number
  rows_read: number
  bytes_read: number
  partial: string | null
  next: string | null
}
export type Answer<T> = { data: T; meta: Meta }

export type Status = 'ok' | 'error' | 'unset'
export type Attributes = Record<string, unknown>

export type TimeBody = { from: string; to: string }
export type SearchBody = { time: TimeBody; where: Filter[]; text?: string; limit?: number; page?: string }

export type ServiceRow = { service: string; spans: number; errors: number; p50: number; p95: number; p99: number }

export type TraceRow = {
  trace_id: string
  root_service: string
  root_name: string
  start: string
  duration: string
  spans: number
  errors: number
  services: string[]
  status: Status
}

export type SpanRow = {
  trace_id: string
  span_id: string
  parent_id: string
  service: string
  name: string
  kind: string | number
  status: Status
  start: string
  duration: string
}
export type SpanEvent = { time: string; name: string; attributes: Attributes }
export type SpanLink = { trace_id: string; span_id: string; attributes: Attributes }
export type Span = SpanRow & {
  status_message: string
  attributes: Attributes
  resource: Attributes
  scope: { name: string; version: string }
  events: SpanEvent[]
  links: SpanLink[]
}

export type Timeseries = {
  step_ms: number
  times: number[]
  count: number[]
  errors: number[]
  p50: (number | null)[]
  p99: (number | null)[]
}

export type TracePlace = { project_id: number; project_name: string; start: string; end: string; spans: number }

export type OutlineColumns = {
  span_id: string[]
  parent: number[]
  depth: number[]
  subtree: number[]
  service: number[]
  name: number[]
  kind: (string | number)[]
  start: number[]
  dur: number[]
  self: number[]
  flags: number[]
}
export type OutlineData = {
  trace_id: string
  t0: string
  duration: number
  count: number
  truncated: boolean | string | number | null
  services: string[]
  names: string[]
  columns: OutlineColumns
}

export type LogRow = {
  time: string
  severity_text: string
  severity_number: number
  service: string
  body: string
  trace_id: string
  span_id: string
  attributes: Attributes
  resource: Attributes
}
export type LogHistogram = { step_ms: number; times: number[]; series: { severity: string; counts: number[] }[] }

export type MetricRow = { name: string; type: string; unit: string; description: string; series: number; last_seen: string }
export const aggregates = ['avg', 'sum', 'min', 'max', 'last', 'rate', 'count', 'p50', 'p90', 'p99'] as const
export type Aggregate = (typeof aggregates)[number]
export type MetricBody = {
  time: TimeBody
  metric: string
  aggregate: Aggregate
  group_by: string[]
  where: Filter[]
  step_ms?: number
}
export type MetricData = {
  unit: string
  step_ms: number
  times: number[]
  series: { labels: Record<string, string>; values: (number | null)[] }[]
}

export type Signal = 'traces' | 'logs' | 'metrics'
export type KeyCount = { key: string; count: number }
export type ValueCount = { value: string; count: number }

export type Ingest = {
  at: string
  signal: Signal
  items: number
  service: string | null
  outcome: 'accepted' | 'refused'
  reason: string | null
  transport: 'http' | 'grpc'
  via_agent: boolean
}
