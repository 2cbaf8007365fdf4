/** Find traces: filters on top, their shape over time, then the traces themselves, newest first. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { createLazyRoute, Link, useNavigate } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { spansQuery, timeseriesQuery, tracesQuery } from '../api/queries'
import type { SpanRow, TraceRow } from '../api/types'
import { Chart, Panel } from '../components/chart/Chart'
import { stepFor } from '../components/chart/types'
import { FilterBar } from '../components/FilterBar'
import { ErrorMark, ServiceDots, ServiceName } from '../components/marks'
import { useTime } from '../components/time'
import { ValuePicker } from '../components/ValuePicker'
import { type Filter, filtersFromSearch, filtersToSearch, setFilter, valueOf } from '../lib/filters'
import { useKeys } from '../lib/keys'
import { kindName } from '../lib/outline'
import { visibleText } from '../lib/text'
import { formatExact, formatTime, nanos, toMillis } from '../lib/time'
import { formatCount, formatDuration, formatRate, formatWhole, parseDuration } from '../lib/units'
import { Button } from '../ui/button'
import { Busy, Cost, Failure, Partial, Skeleton } from '../ui/states'
import { Segments } from '../ui/tabs'
import { NothingHere } from './NothingHere'

export const route = createLazyRoute('/inside/p/$p/traces')({ component: TracesPage })

function TracesPage() {
  const { p } = route.useParams()
  const { f, view } = route.useSearch()
  const navigate = useNavigate({ from: '/p/$p/traces' })
  const filters = useMemo(() => filtersFromSearch(f), [f])
  const field = useRef<HTMLInputElement>(null)
  const setFilters = useCallback(
    (next: Filter[]) => void navigate({ to: '.', search: (before) => ({ ...before, f: filtersToSearch(next) }) }),
    [navigate],
  )
  const set = (key: string, op: Filter['op']) => (value: string | undefined) => setFilters(setFilter(filters, key, op, value))
  useKeys({ '/': () => field.current?.focus() })
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Traces</h1>
      <div className="flex flex-wrap items-center gap-1.5 border-b border-line bg-panel px-3 py-2">
        <ValuePicker p={p} signal="traces" label="Service" attribute="service.name" value={valueOf(filters, 'service.name', '=')} onPick={set('service.name', '=')} colored />
        <ValuePicker p={p} signal="traces" label="Span" attribute="name" value={valueOf(filters, 'name', '=')} onPick={set('name', '=')} />
        <DurationRange filters={filters} onChange={setFilters} />
        <Button pressed={valueOf(filters, 'status', '=') === 'error'} className="!h-8" onClick={() => set('status', '=')(valueOf(filters, 'status', '=') === 'error' ? undefined : 'error')}>
          <ErrorMark label="" /> Errors only
        </Button>
        <FilterBar p={p} signal="traces" filters={filters} onChange={setFilters} field={field} />
      </div>
      <Charts p={p} filters={filters} />
      <div className="flex items-center gap-3 border-y border-line bg-panel px-3 py-1.5">
        <Segments
          label="Show"
          value={view ?? 'traces'}
          options={[
            { id: 'traces', label: 'Traces' },
            { id: 'spans', label: 'Spans' },
          ]}
          onChange={(next) => void navigate({ to: '.', search: (before) => ({ ...before, view: next === 'spans' ? 'spans' : undefined }) })}
        />
      </div>
      {view === 'spans' ? <SpanList p={p} filters={filters} /> : <TraceList p={p} filters={filters} />}
    </div>
  )
}

/** At least and at most; empty means open. */
function DurationRange({ filters, onChange }: { filters: Filter[]; onChange: (filters: Filter[]) => void }) {
  return (
    <div role="group" aria-label="Duration" className="flex h-8 shrink-0 items-center rounded-md border border-line-strong bg-panel pl-2.5">
      <span className="text-muted">Duration</span>
      {(['>=', '<='] as const).map((op) => (
        <Bound key={`${op}${valueOf(filters, 'duration', op) ?? ''}`} op={op} value={valueOf(filters, 'duration', op) ?? ''} onSet={(value) => onChange(setFilter(filters, 'duration', op, value))} />
      ))}
    </div>
  )
}

function Bound({ op, value, onSet }: { op: '>=' | '<='; value: string; onSet: (value: string | undefined) => void }) {
  const [typed, setTyped] = useState(value)
  const wrong = typed !== '' && parseDuration(typed) === undefined
  const apply = () => {
    if (!wrong && typed !== value) onSet(typed === '' ? undefined : /^\d+(\.\d+)?$/.test(typed) ? `${typed}ms` : typed)
  }
  return (
    <>
      {op === '<=' && <span className="text-muted">–</span>}
      <input
        aria-label={op === '>=' ? 'Duration at least' : 'Duration at most'}
        aria-invalid={wrong}
        placeholder={op === '>=' ? 'min' : 'max'}
        title={wrong ? 'A duration, like 250ms or 1.5s' : undefined}
        className={`tabular h-6 w-16 rounded bg-transparent px-2 outline-none ${wrong ? 'text-error' : value === '' ? '' : 'font-medium text-accent-text'}`}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={apply}
        onKeyDown={(event) => {
          if (event.key === 'Enter') apply()
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
      />
    </>
  )
}

function Charts({ p, filters }: { p: number; filters: Filter[] }) {
  const { window, zoomTo } = useTime()
  const step = stepFor(window)
  const query = useQuery(timeseriesQuery(p, window, filters, step))
  const height = 118
  const data = query.data?.data
  const seconds = (data?.step_ms ?? step) / 1000
  const rate = useMemo(
    () =>
      data
        ? [
            { label: 'errors', color: 'var(--error)', values: data.errors.map((n) => n / seconds) },
            { label: 'without error', color: 'var(--s0)', values: data.count.map((n, i) => (n - data.errors[i]) / seconds) },
          ]
        : [],
    [data, seconds],
  )
  const latency = useMemo(
    () =>
      data
        ? [
            { label: 'p50', color: 'var(--s5)', values: data.p50 },
            { label: 'p99', color: 'var(--s1)', values: data.p99 },
          ]
        : [],
    [data],
  )
  const total = data?.count.reduce((a, b) => a + b, 0) ?? 0
  const errors = data?.errors.reduce((a, b) => a + b, 0) ?? 0
  return (
    <div className="grid shrink-0 grid-cols-2 gap-2 p-2 max-[900px]:grid-cols-1">
      <Panel title="Spans" aside={data && `${formatCount(total)} spans, ${formatCount(errors)} with an error`} query={query} height={height} isEmpty={() => total === 0}>
        {({ data: d }) => <Chart label="Spans per second" times={d.times} series={rate} height={height} format={formatRate} kind="stacked" stepMs={d.step_ms} window={window} onZoom={zoomTo} syncKey="traces" />}
      </Panel>
      <Panel title="Duration" query={query} height={height} isEmpty={() => total === 0}>
        {({ data: d }) => <Chart label="Duration percentiles" times={d.times} series={latency} height={height} format={formatDuration} log stepMs={d.step_ms} window={window} onZoom={zoomTo} syncKey="traces" />}
      </Panel>
    </div>
  )
}

const traceGrid = 'grid grid-cols-[110px_minmax(0,1fr)_190px_60px_60px_120px] items-center gap-3 px-3'
const spanGrid = 'grid grid-cols-[110px_minmax(0,1fr)_90px_190px_90px] items-center gap-3 px-3'

function TraceList({ p, filters }: { p: number; filters: Filter[] }) {
  const { window } = useTime()
  const query = useInfiniteQuery(tracesQuery(p, window, filters))
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.data) ?? [], [query.data])
  const longest = useMemo(() => rows.reduce((max, row) => Math.max(max, Number(row.duration)), 1), [rows])
  return (
    <RowList
      p={p}
      query={query}
      rows={rows}
      filtered={filters.length > 0}
      label="Traces"
      head={
        <div role="row" className={`${traceGrid} h-7`}>
          <span role="columnheader" className="caps">Started</span>
          <span role="columnheader" className="caps pl-[22px]">Trace</span>
          <span role="columnheader" className="caps">Duration</span>
          <span role="columnheader" className="caps text-right">Spans</span>
          <span role="columnheader" className="caps text-right">Errors</span>
          <span role="columnheader" className="caps">Services</span>
        </div>
      }
      grid={traceGrid}
      linkOf={(row) => ({ id: row.trace_id, span_id: undefined })}
      keyOf={(row) => row.trace_id}
    >
      {(row, link) => <TraceLine row={row} longest={longest} link={link} />}
    </RowList>
  )
}

function TraceLine({ row, longest, link }: { row: TraceRow; longest: number; link: AsLink }) {
  const start = nanos(row.start)
  return (
    <>
      <time role="cell" className="tabular font-mono text-xs text-muted" title={formatExact(start)}>
        {formatTime(toMillis(start))}
      </time>
      <span role="cell" className="flex min-w-0 items-center gap-2">
        <span className="flex w-3.5 shrink-0">{(row.status === 'error' || row.errors > 0) && <ErrorMark label="has errors" />}</span>
        <span className="max-w-[40%] shrink-0 text-soft">
          <ServiceName name={row.root_service} />
        </span>
        {link(row.root_name === '' ? <span className="text-muted">(root not here yet)</span> : visibleText(row.root_name))}
      </span>
      <DurationBar ns={Number(row.duration)} longest={longest} />
      <span role="cell" className="tabular text-right">
        {formatWhole(row.spans)}
      </span>
      <span role="cell" className={`tabular text-right ${row.errors > 0 ? 'font-medium text-error' : 'text-muted'}`}>{formatWhole(row.errors)}</span>
      <span role="cell">
        <ServiceDots names={row.services} />
      </span>
    </>
  )
}

function SpanList({ p, filters }: { p: number; filters: Filter[] }) {
  const { window } = useTime()
  const query = useInfiniteQuery(spansQuery(p, window, filters))
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.data) ?? [], [query.data])
  const longest = useMemo(() => rows.reduce((max, row) => Math.max(max, Number(row.duration)), 1), [rows])
  return (
    <RowList
      p={p}
      query={query}
      rows={rows}
      filtered={filters.length > 0}
      label="Spans"
      head={
        <div role="row" className={`${spanGrid} h-7`}>
          <span role="columnheader" className="caps">Started</span>
          <span role="columnheader" className="caps pl-[22px]">Span</span>
          <span role="columnheader" className="caps">Kind</span>
          <span role="columnheader" className="caps">Duration</span>
          <span role="columnheader" className="caps">Trace</span>
        </div>
      }
      grid={spanGrid}
      linkOf={(row) => ({ id: row.trace_id, span_id: row.span_id })}
      keyOf={(row) => row.trace_id + row.span_id}
    >
      {(row, link) => <SpanLine row={row} longest={longest} link={link} />}
    </RowList>
  )
}

function SpanLine({ row, longest, link }: { row: SpanRow; longest: number; link: AsLink }) {
  const start = nanos(row.start)
  return (
    <>
      <time role="cell" className="tabular font-mono text-xs text-muted" title={formatExact(start)}>
        {formatTime(toMillis(start))}
      </time>
      <span role="cell" className="flex min-w-0 items-center gap-2">
        <span className="flex w-3.5 shrink-0">{row.status === 'error' && <ErrorMark />}</span>
        <span className="max-w-[40%] shrink-0 text-soft">
          <ServiceName name={row.service} />
        </span>
        {link(visibleText(row.name))}
      </span>
      <span role="cell" className="text-soft">
        {kindName(row.kind)}
      </span>
      <DurationBar ns={Number(row.duration)} longest={longest} />
      <span role="cell" className="font-mono text-xs text-muted">
        {row.trace_id.slice(0, 8)}
      </span>
    </>
  )
}

function DurationBar({ ns, longest }: { ns: number; longest: number }) {
  return (
    <span role="cell" className="tabular flex items-center gap-2">
      <span className="w-16 shrink-0 text-right">{formatDuration(ns)}</span>
      <span aria-hidden className="h-1.5 flex-1 overflow-hidden rounded-full bg-sunken">
        <span className="block h-full rounded-full bg-accent/70" style={{ width: `${Math.max(1, (ns / longest) * 100)}%` }} />
      </span>
    </span>
  )
}

/** Makes the row's text its link; it stretches over the whole row. */
type AsLink = (text: React.ReactNode) => React.ReactNode

type Paged = ReturnType<typeof useInfiniteQuery> & { data?: { pages: { meta: Parameters<typeof Cost>[0]['meta'] }[] } }

/** Rows that are links. j and k walk them, Enter opens; the next page comes when the end is near. */
function RowList<R>({ p, query, rows, filtered, label, head, grid, linkOf, keyOf, children }: {
  p: number
  query: Pick<Paged, 'isPending' | 'isError' | 'error' | 'refetch' | 'isFetching' | 'isPlaceholderData' | 'hasNextPage' | 'isFetchingNextPage' | 'fetchNextPage' | 'data'>
  rows: R[]
  filtered: boolean
  label: string
  head: React.ReactNode
  grid: string
  linkOf: (row: R) => { id: string; span_id: string | undefined }
  keyOf: (row: R) => string
  children: (row: R, link: AsLink) => React.ReactNode
}) {
  const scroller = useRef<HTMLDivElement>(null)
  const navigate = useNavigate()
  const [at, setAt] = useState(-1)
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => 30, overscan: 12 })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query
  useEffect(() => {
    if (rows.length > 0 && last >= rows.length - 15 && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [last, rows.length, hasNextPage, isFetchingNextPage, fetchNextPage])
  const walk = (by: number) => {
    const next = Math.min(Math.max(at + by, 0), rows.length - 1)
    setAt(next)
    virtual.scrollToIndex(next)
  }
  useKeys({
    j: () => walk(1),
    k: () => walk(-1),
    Enter: (event) => {
      const row = rows[at]
      if (event.target instanceof HTMLElement && event.target.closest('a,button')) event.target.click()
      else if (row !== undefined) {
        const { id, span_id } = linkOf(row)
        void navigate({ to: '/p/$p/traces/$id', params: { p, id }, search: { span_id } })
      }
    },
  })
  const meta = query.data?.pages.at(-1)?.meta
  if (query.isPending) return <Skeleton rows={12} height={30} label={`Loading ${label.toLowerCase()}`} />
  if (query.isError && rows.length === 0) return <Failure error={query.error} retry={() => void query.refetch()} />
  if (rows.length === 0) return <NothingHere p={p} what={label.toLowerCase()} filtered={filtered} />
  return (
    <div className="flex min-h-60 flex-1 flex-col bg-panel">
      <Busy on={query.isFetching && !isFetchingNextPage} />
      <Partial meta={meta} />
      <div role="table" aria-label={label} aria-rowcount={hasNextPage ? -1 : rows.length + 1} className="flex min-h-0 flex-1 flex-col">
        <div role="rowgroup" className="border-b border-line pr-2">
          {head}
        </div>
        <div ref={scroller} className={`min-h-0 flex-1 overflow-auto ${query.isPlaceholderData ? 'opacity-60' : ''}`}>
          <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
            {items.map((item) => {
              const row = rows[item.index]
              const { id, span_id } = linkOf(row)
              const current = item.index === at
              return (
                <div
                  key={keyOf(row)}
                  role="row"
                  aria-rowindex={item.index + 2}
                  className={`absolute top-0 left-0 w-full border-b border-line ${grid} h-[30px] ${current ? 'bg-selected' : 'hover:bg-hover'}`}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  {children(row, (text) => (
                    <Link
                      to="/p/$p/traces/$id"
                      params={{ p, id }}
                      search={{ span_id }}
                      preload={false}
                      aria-current={current || undefined}
                      className="truncate font-medium outline-none after:absolute after:inset-0 focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-accent"
                    >
                      {text}
                    </Link>
                  ))}
                </div>
              )
            })}
          </div>
        <p className="flex items-center justify-center gap-4 py-3 text-xs text-muted">
          {isFetchingNextPage ? 'Loading more…' : hasNextPage ? '' : `That is all: ${formatWhole(rows.length)} in this window`}
          <Cost meta={meta} />
        </p>
        </div>
      </div>
    </div>
  )
}

