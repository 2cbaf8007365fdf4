/** Every question a page may ask, with its cache key. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { type Filter, toApi } from '../lib/filters'
import { toNanos, type Window } from '../lib/time'
import { api, ask, listen, tell } from './client'
import { isUnauthorised } from './errors'
import type { Ingest, MetricQuestion, Signal } from './types'

const time = (window: Window) => ({ from: String(toNanos(window.from)), to: String(toNanos(window.to)) })
const where = (filters: Filter[]) => filters.map(toApi)

// --- who is asking ---

/** Null means signed out, which isn't an error. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) =>
    ask(api.GET('/api/v1/session', { signal })).catch((error: unknown) => {
      if (isUnauthorised(error)) return null
      throw error
    }),
  staleTime: 60_000,
})
export const setupQuery = queryOptions({
  queryKey: ['setup'],
  queryFn: ({ signal }) => ask(api.GET('/api/v1/setup', { signal })),
  staleTime: 0,
})
export const signIn = (email: string, password: string) => ask(api.POST('/api/v1/session', { body: { email, password } }))
export const signOut = () => tell(api.DELETE('/api/v1/session'))
export const createAdmin = (body: { token: string; email: string; password: string; name?: string }) => ask(api.POST('/api/v1/setup', { body }))

// --- project ---

export const projectQuery = (p: number) =>
  queryOptions({
    queryKey: ['project', p],
    queryFn: ({ signal }) => ask(api.GET('/api/v1/projects/{p}', { params: { path: { p } }, signal })),
    staleTime: 300_000,
  })

export const listenToIngest = (p: number, on: { message: (value: Ingest) => void; open: () => void; problem: () => void }) =>
  listen<Ingest>(`/projects/${p}/ingest/recent`, on)

export const servicesQuery = (p: number, window: Window) =>
  queryOptions({
    queryKey: ['services', p, window],
    queryFn: ({ signal }) => ask(api.GET('/api/v1/projects/{p}/services', { params: { path: { p }, query: time(window) }, signal })),
    placeholderData: keepPreviousData,
  })

// --- traces ---

export const tracesQuery = (p: number, window: Window, filters: Filter[]) =>
  infiniteQueryOptions({
    queryKey: ['traces', p, window, filters],
    queryFn: ({ signal, pageParam }) => {
      const body = { time: time(window), where: where(filters), limit: 50, page: pageParam }
      return ask(api.POST('/api/v1/projects/{p}/traces/search', { params: { path: { p } }, body, signal }))
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.meta.next ?? undefined,
    placeholderData: keepPreviousData,
  })

export const spansQuery = (p: number, window: Window, filters: Filter[]) =>
  infiniteQueryOptions({
    queryKey: ['spans', p, window, filters],
    queryFn: ({ signal, pageParam }) => {
      const body = { time: time(window), where: where(filters), limit: 50, page: pageParam }
      return ask(api.POST('/api/v1/projects/{p}/spans/search', { params: { path: { p } }, body, signal }))
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.meta.next ?? undefined,
    placeholderData: keepPreviousData,
  })

export const timeseriesQuery = (p: number, window: Window, filters: Filter[], step_ms: number) =>
  queryOptions({
    queryKey: ['timeseries', p, window, filters, step_ms],
    queryFn: ({ signal }) => {
      const body = { time: time(window), where: where(filters), step_ms }
      return ask(api.POST('/api/v1/projects/{p}/spans/timeseries', { params: { path: { p } }, body, signal }))
    },
    placeholderData: keepPreviousData,
  })

export const findTraceQuery = (id: string) =>
  queryOptions({
    queryKey: ['find-trace', id],
    queryFn: ({ signal }) => ask(api.GET('/api/v1/traces/{id}', { params: { path: { id } }, signal })),
    staleTime: 0,
    retry: false,
  })

export const outlineQuery = (p: number, id: string) =>
  queryOptions({
    queryKey: ['outline', p, id],
    queryFn: ({ signal }) => ask(api.GET('/api/v1/projects/{p}/traces/{id}/outline', { params: { path: { p, id } }, signal })),
    staleTime: 30_000,
  })

export const spanDetailsQuery = (p: number, id: string, span_ids: string[]) =>
  queryOptions({
    queryKey: ['span-details', p, id, span_ids],
    queryFn: ({ signal }) => ask(api.POST('/api/v1/projects/{p}/traces/{id}/spans', { params: { path: { p, id } }, body: { span_ids }, signal })),
    staleTime: 300_000,
    enabled: span_ids.length > 0,
  })

export const traceLogsQuery = (p: number, id: string) =>
  queryOptions({
    queryKey: ['trace-logs', p, id],
    queryFn: ({ signal }) => ask(api.GET('/api/v1/projects/{p}/traces/{id}/logs', { params: { path: { p, id } }, signal })),
    staleTime: 30_000,
  })

// --- logs ---

export const logsQuery = (p: number, window: Window, filters: Filter[], text: string) =>
  infiniteQueryOptions({
    queryKey: ['logs', p, window, filters, text],
    queryFn: ({ signal, pageParam }) => {
      const body = { time: time(window), where: where(filters), text: text || undefined, limit: 100, page: pageParam }
      return ask(api.POST('/api/v1/projects/{p}/logs/search', { params: { path: { p } }, body, signal }))
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.meta.next ?? undefined,
    placeholderData: keepPreviousData,
  })

export const logHistogramQuery = (p: number, window: Window, filters: Filter[], text: string, step_ms: number) =>
  queryOptions({
    queryKey: ['log-histogram', p, window, filters, text, step_ms],
    queryFn: ({ signal }) => {
      const body = { time: time(window), where: where(filters), text: text || undefined, step_ms }
      return ask(api.POST('/api/v1/projects/{p}/logs/histogram', { params: { path: { p } }, body, signal }))
    },
    placeholderData: keepPreviousData,
  })

// --- metrics ---

export const metricsQuery = (p: number, window: Window) =>
  queryOptions({
    queryKey: ['metrics', p, window],
    queryFn: ({ signal }) => ask(api.GET('/api/v1/projects/{p}/metrics', { params: { path: { p }, query: time(window) }, signal })),
    placeholderData: keepPreviousData,
  })

type Lines = Pick<MetricQuestion, 'metric' | 'aggregate'> & { group_by: string[]; filters: Filter[]; step_ms: number }

export const metricDataQuery = (p: number, window: Window, { filters, ...lines }: Lines) =>
  queryOptions({
    queryKey: ['metric-data', p, window, lines, filters],
    queryFn: ({ signal }) => {
      const body = { ...lines, where: where(filters), time: time(window) }
      return ask(api.POST('/api/v1/projects/{p}/metrics/query', { params: { path: { p } }, body, signal }))
    },
    placeholderData: keepPreviousData,
  })

// --- words to complete with ---

export const keysQuery = (p: number, signalName: Signal, window: Window, q: string) =>
  queryOptions({
    queryKey: ['keys', p, signalName, window, q],
    queryFn: ({ signal }) => {
      const query = { signal: signalName, q: q || undefined, ...time(window) }
      return ask(api.GET('/api/v1/projects/{p}/keys', { params: { path: { p }, query }, signal }))
    },
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  })

export const valuesQuery = (p: number, signalName: Signal, window: Window, key: string, q: string) =>
  queryOptions({
    queryKey: ['values', p, signalName, window, key, q],
    queryFn: ({ signal }) => {
      const query = { signal: signalName, key, q: q || undefined, ...time(window) }
      return ask(api.GET('/api/v1/projects/{p}/values', { params: { path: { p }, query }, signal }))
    },
    staleTime: 60_000,
    enabled: key !== '',
  })
