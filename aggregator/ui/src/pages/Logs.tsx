/** Logs: how many of which severity over time, then the records, newest first. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { createLazyRoute, useNavigate } from '@tanstack/react-router'
import { Search, X } from 'lucide-react'
import { useCallback, useMemo, useRef, useState } from 'react'
import { logHistogramQuery, logsQuery } from '../api/queries'
import { Chart, Panel } from '../components/chart/Chart'
import { stepFor } from '../components/chart/types'
import { FilterBar } from '../components/FilterBar'
import { LogList } from '../components/LogList'
import { useTime } from '../components/time'
import { ValuePicker } from '../components/ValuePicker'
import { type Filter, filtersFromSearch, filtersToSearch, setFilter, valueOf, withFilter } from '../lib/filters'
import { useKeys } from '../lib/keys'
import { severityColor, severityOf } from '../lib/text'
import { formatCount, formatWhole } from '../lib/units'
import { Busy, Cost, Failure, Partial, Skeleton } from '../ui/states'
import { NothingHere } from './NothingHere'

export const route = createLazyRoute('/inside/p/$p/logs')({ component: LogsPage })

function LogsPage() {
  const { p } = route.useParams()
  const { f, q = '' } = route.useSearch()
  const navigate = useNavigate({ from: '/p/$p/logs' })
  const filters = useMemo(() => filtersFromSearch(f), [f])
  const text = useRef<HTMLInputElement>(null)
  const setFilters = useCallback(
    (next: Filter[]) => void navigate({ to: '.', search: (before) => ({ ...before, f: filtersToSearch(next) }) }),
    [navigate],
  )
  const setText = useCallback((next: string) => void navigate({ to: '.', search: (before) => ({ ...before, q: next || undefined }) }), [navigate])
  const set = (key: string) => (value: string | undefined) => setFilters(setFilter(filters, key, '=', value))
  useKeys({ '/': () => text.current?.focus() })
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Logs</h1>
      <div className="flex flex-wrap items-center gap-1.5 border-b border-line bg-panel px-3 py-2">
        <TextSearch key={q} field={text} value={q} onSet={setText} />
        <ValuePicker p={p} signal="logs" label="Service" attribute="service.name" value={valueOf(filters, 'service.name', '=')} onPick={set('service.name')} colored />
        <ValuePicker p={p} signal="logs" label="Severity" attribute="severity" value={valueOf(filters, 'severity', '=')} onPick={set('severity')} />
        <FilterBar p={p} signal="logs" filters={filters} onChange={setFilters} />
      </div>
      <div className="shrink-0 p-2">
        <Histogram p={p} filters={filters} text={q} />
      </div>
      <List p={p} filters={filters} text={q} onFilter={(filter) => setFilters(withFilter(filters, filter))} />
    </div>
  )
}

function TextSearch({ field, value, onSet }: { field: React.RefObject<HTMLInputElement | null>; value: string; onSet: (value: string) => void }) {
  const [typed, setTyped] = useState(value)
  return (
    <form
      className="relative w-72 min-w-40 shrink"
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        onSet(typed.trim())
      }}
    >
      <Search size={13} aria-hidden className="absolute top-[9px] left-2.5 text-muted" />
      <input
        ref={field}
        className="field !h-8 w-full pr-7 pl-7"
        aria-label="Search in messages"
        placeholder="Search in messages"
        spellCheck={false}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
      />
      {typed !== '' && (
        <button
          type="button"
          aria-label="Clear the search"
          className="absolute top-2 right-1.5 text-muted hover:text-text"
          onClick={() => {
            setTyped('')
            onSet('')
          }}
        >
          <X size={15} />
        </button>
      )}
    </form>
  )
}

const order = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unset']

function Histogram({ p, filters, text }: { p: number; filters: Filter[]; text: string }) {
  const { window, zoomTo } = useTime()
  const query = useQuery(logHistogramQuery(p, window, filters, text, stepFor(window)))
  const data = query.data?.data
  const series = useMemo(
    () =>
      (data?.series ?? [])
        .map((s) => ({ label: s.severity === '' ? 'unset' : s.severity, severity: severityOf(0, s.severity), values: s.counts }))
        .toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
        .map((s) => ({ label: s.label, color: severityColor(s.severity), values: s.values })),
    [data],
  )
  const total = series.reduce((sum, s) => sum + s.values.reduce((a, b) => a + b, 0), 0)
  return (
    <Panel title="Records" aside={data && `${formatCount(total)} in this window`} query={query} height={100} isEmpty={() => total === 0}>
      {({ data: d }) => <Chart label="Log records by severity" times={d.times} series={series} height={100} format={formatCount} kind="stacked" stepMs={d.step_ms} window={window} onZoom={zoomTo} />}
    </Panel>
  )
}

function List({ p, filters, text, onFilter }: { p: number; filters: Filter[]; text: string; onFilter: (filter: Filter) => void }) {
  const { window } = useTime()
  const query = useInfiniteQuery(logsQuery(p, window, filters, text))
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.data) ?? [], [query.data])
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  const meta = query.data?.pages.at(-1)?.meta
  if (query.isPending) return <Skeleton rows={14} height={26} label="Loading logs" />
  if (query.isError && rows.length === 0) return <Failure error={query.error} retry={() => void query.refetch()} />
  if (rows.length === 0) return <NothingHere p={p} what="logs" filtered={filters.length > 0 || text !== ''} />
  return (
    <div className="flex min-h-60 flex-1 flex-col border-t border-line">
      <Busy on={query.isFetching && !isFetchingNextPage} />
      <Partial meta={meta} />
      <LogList
        rows={rows}
        onFilter={onFilter}
        onEnd={more}
        dimmed={query.isPlaceholderData}
        foot={
          <p className="flex items-center justify-center gap-4 py-3 text-xs text-muted">
            {isFetchingNextPage ? 'Loading more…' : hasNextPage ? '' : `That is all: ${formatWhole(rows.length)} in this window`}
            <Cost meta={meta} />
          </p>
        }
      />
    </div>
  )
}
