/** Names for the API's shapes, which come from `openapi.json`. Times are Unix nanoseconds in text; ids are lower-case hex. */
import type { components } from './generated'

type Schemas = components['schemas']

export type Session = Schemas['Session']
export type Project = Schemas['ProjectDetail']
export type Meta = Schemas['Meta']
export type Answer<T> = { data: T; meta: Meta }

export type Attributes = Record<string, string>
export type ServiceRow = Schemas['Service']
export type TraceRow = Schemas['TraceRow']
export type TracePlace = Schemas['TracePlace']
export type SpanRow = Schemas['SpanRow']
export type Span = Schemas['Span']
export type SpanEvent = Schemas['SpanEvent']
export type OutlineData = Schemas['Outline']
export type LogRow = Schemas['LogRow']
export type Ingest = Schemas['Arrived']

export type Signal = 'traces' | 'logs' | 'metrics'
export type MetricQuestion = Schemas['MetricChart']
export type Aggregate = Schemas['Aggregate']
export const aggregates = ['avg', 'sum', 'min', 'max', 'last', 'rate', 'count', 'p50', 'p90', 'p99'] as const satisfies readonly Aggregate[]
