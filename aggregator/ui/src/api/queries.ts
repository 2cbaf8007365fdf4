/** Every question a page may ask, with its cache key. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { type Filter, toApi } from '../lib/filters'
import { toNanos, type Window } from '../lib/time'
import { get, listen, post, query, remove } from './client'
import { isUnauthorised } from './errors'
import type {
  Answer, Ingest, KeyCount, LogHistogram, LogRow, MetricBody, MetricData, MetricRow, OutlineData, Project, SearchBody, ServiceRow,
  Session, Signal, Span, SpanRow, Timeseries, TimeBody, TracePlace, TraceRow, ValueCount,
} from './types'

const time = (window: Window): TimeBody => ({ from: String(toNanos(window.from)), to: String(toNanos(window.to)) })
const span = (window: Window) => ({ from: String(toNanos(window.from)), to: String(toNanos(window.to)) })
const where = (filters: Filter[]) => filters.map(toApi)

// --- who is asking ---

/** Null means signed out, which isn't an error. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) =>
    get<Session>('/session', signal).catch((error: unknown) => {
      if (isUnauthorised(error)) return null
      throw error
    }),
  staleTime: 60_000,
})
export const setupQuery = queryOptions({
  queryKey: ['setup'],
  queryFn: ({ signal }) => get<{ needed: boolean }>('/setup', signal),
  staleTime: 0,
})
export const signIn = (email: string, password: string) => post<Session>('/session', { email, password })
export const signOut = () => remove('/session')
export const createAdmin = (body: { token: string; email: string; password: string; name?: string }) => post<Session>('/setup', body)

// --- project ---

export const projectQuery = (p: number) =>
  queryOptions({ queryKey: ['project', p], queryFn: ({ signal }) => get<Project>(`/projects/${p}`, signal), staleTime: 300_000 })

export const listenToIngest = (p: number, on: { message: (value: Ingest) => void; open: () => void; problem: () => void }) =>
  listen<Ingest>(`/projects/${p}/ingest/recent`, on)

export const servicesQuery = (p: number, window: Window) =>
  queryOptions({
    queryKey: ['services', p, window],
    queryFn: ({ signal }) => get<Answer<ServiceRow[]>>(`/projects/${p}/services${query(span(window))}`, signal),
    placeholderData: keepPreviousData,
  })

// --- traces ---

export const tracesQuery = (p: number, window: Window, filters: Filter[]) =>
  infiniteQueryOptions({
    queryKey: ['traces', p, window, filters],
    queryFn: ({ signal, pageParam }) => {
      const body: SearchBody = { time: time(window), where: where(filters), limit: 50, page: pageParam }
      return post<Answer<TraceRow[]>>(`/projects/${p}/traces/search`, body, signal)
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.meta.next ?? undefined,
    placeholderData: keepPreviousData,
  })

export const spansQuery = (p: number, window: Window, filters: Filter[]) =>
  infiniteQueryOptions({
    queryKey: ['spans', p, window, filters],
    queryFn: ({ signal, pageParam }) => {
      const body: SearchBody = { time: time(window), where: where(filters), limit: 50, page: pageParam }
      return post<Answer<SpanRow[]>>(`/projects/${p}/spans/search`, body, signal)
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.meta.next ?? undefined,
    placeholderData: keepPreviousData,
  })

export const timeseriesQuery = (p: number, window: Window, filters: Filter[], step_ms: number) =>
  queryOptions({
    queryKey: ['timeseries', p, window, filters, step_ms],
    queryFn: ({ signal }) =>
      post<Answer<Timeseries>>(`/projects/${p}/spans/timeseries`, { time: time(window), where: where(filters), step_ms }, signal),
    placeholderData: keepPreviousData,
  })

export const findTraceQuery = (id: string) =>
  queryOptions({
    queryKey: ['find-trace', id],
    queryFn: ({ signal }) => get<Answer<TracePlace[]>>(`/traces/${id}`, signal),
    staleTime: 0,
    retry: false,
  })

export const outlineQuery = (p: number, id: string) =>
  queryOptions({
    queryKey: ['outline', p, id],
    queryFn: ({ signal }) => get<Answer<OutlineData>>(`/projects/${p}/traces/${id}/outline`, signal),
    staleTime: 30_000,
  })

export const spanDetailsQuery = (p: number, id: string, spanIds: string[]) =>
  queryOptions({
    queryKey: ['span-details', p, id, spanIds],
    queryFn: ({ signal }) => post<Answer<Span[]>>(`/projects/${p}/traces/${id}/spans`, { span_ids: spanIds }, signal),
    staleTime: 300_000,
    enabled: spanIds.length > 0,
  })

export const traceLogsQuery = (p: number, id: string) =>
  queryOptions({
    queryKey: ['trace-logs', p, id],
    queryFn: ({ signal }) => get<Answer<LogRow[]>>(`/projects/${p}/traces/${id}/logs`, signal),
    staleTime: 30_000,
  })

// --- logs ---

export const logsQuery = (p: number, window: Window, filters: Filter[], text: string) =>
  infiniteQueryOptions({
    queryKey: ['logs', p, window, filters, text],
    queryFn: ({ signal, pageParam }) => {
      const body: SearchBody = { time: time(window), where: where(filters), text: text || undefined, limit: 100, page: pageParam }
      return post<Answer<LogRow[]>>(`/projects/${p}/logs/search`, body, signal)
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.meta.next ?? undefined,
    placeholderData: keepPreviousData,
  })

export const logHistogramQuery = (p: number, window: Window, filters: Filter[], text: string, step_ms: number) =>
  queryOptions({
    queryKey: ['log-histogram', p, window, filters, text, step_ms],
    queryFn: ({ signal }) =>
      post<Answer<LogHistogram>>(
        `/projects/${p}/logs/histogram`,
        { time: time(window), where: where(filters), text: text || undefined, step_ms },
        signal,
      ),
    placeholderData: keepPreviousData,
  })

// --- metrics ---

export const metricsQuery = (p: number, window: Window) =>
  queryOptions({
    queryKey: ['metrics', p, window],
    queryFn: ({ signal }) => get<Answer<MetricRow[]>>(`/projects/${p}/metrics${query(span(window))}`, signal),
    placeholderData: keepPreviousData,
  })

export const metricDataQuery = (p: number, window: Window, body: Omit<MetricBody, 'time'>) =>
  queryOptions({
    queryKey: ['metric-data', p, window, body],
    queryFn: ({ signal }) =>
      post<Answer<MetricData>>(`/projects/${p}/metrics/query`, { ...body, where: where(body.where), time: time(window) }, signal),
    placeholderData: keepPreviousData,
  })

// --- words to complete with ---

export const keysQuery = (p: number, signalName: Signal, window: Window, q: string) =>
  queryOptions({
    queryKey: ['keys', p, signalName, window, q],
    queryFn: ({ signal }) =>
      get<Answer<KeyCount[]>>(`/projects/${p}/keys${query({ signal: signalName, q: q || undefined, ...span(window) })}`, signal),
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  })

export const valuesQuery = (p: number, signalName: Signal, window: Window, key: string, q: string) =>
  queryOptions({
    queryKey: ['values', p, signalName, window, key, q],
    queryFn: ({ signal }) =>
      get<Answer<ValueCount[]>>(`/projects/${p}/values${query({ signal: signalName, key, q: q || undefined, ...span(window) })}`, signal),
    staleTime: 60_000,
    enabled: key !== '',
  })
