/** One metric over time, aggregated and split as asked. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createLazyRoute, Link, useNavigate } from '@tanstack/react-router'
import { Plus, X } from 'lucide-react'
import { useCallback, useMemo, useState } from 'react'
import { explain, isMissing } from '../api/errors'
import { keysQuery, metricDataQuery, metricsQuery } from '../api/queries'
import { type Aggregate, aggregates } from '../api/types'
import { Chart } from '../components/chart/Chart'
import { stepFor } from '../components/chart/types'
import { FilterBar } from '../components/FilterBar'
import { useTime } from '../components/time'
import { type Filter, filtersFromSearch, filtersToSearch } from '../lib/filters'
import { visibleText } from '../lib/text'
import { formatMetric, plural } from '../lib/units'
import { Button } from '../ui/button'
import { Popover } from '../ui/popover'
import { Busy, Cost, Empty, Failure, Partial } from '../ui/states'
import { NothingHere } from './NothingHere'

export const route = createLazyRoute('/inside/p/$p/metrics/$name')({ component: MetricPage })

const said: Record<Aggregate, string> = {
  avg: 'Average', sum: 'Sum', min: 'Least', max: 'Greatest', last: 'Last value', rate: 'Per second', count: 'Count', p50: 'p50', p90: 'p90', p99: 'p99',
}
const shownSeries = 20

function firstAggregate(type: string | undefined): Aggregate {
  const t = (type ?? '').toLowerCase()
  if (t.includes('histogram')) return 'p90'
  return t === 'sum' || t === 'counter' ? 'rate' : 'avg'
}

function MetricPage() {
  const { p, name } = route.useParams()
  const { agg, by = none, f } = route.useSearch()
  const navigate = useNavigate({ from: '/p/$p/metrics/$name' })
  const { window, zoomTo } = useTime()
  const filters = useMemo(() => filtersFromSearch(f), [f])
  const list = useQuery({ ...metricsQuery(p, window), staleTime: 300_000 })
  const about = list.data?.data.find((m) => m.name === name)
  const aggregate = agg ?? firstAggregate(about?.type)
  const step_ms = stepFor(window, 120)
  const query = useQuery({
    ...metricDataQuery(p, window, { metric: name, aggregate, group_by: by, filters, step_ms }),
    enabled: agg !== undefined || !list.isPending,
  })
  const data = query.data?.data
  const unit = useMemo(() => {
    const base = data?.unit ?? about?.unit ?? ''
    return aggregate === 'rate' ? (base === 'By' ? 'By/s' : base === '1' || base === '' || base.startsWith('{') ? '/s' : `${base}/s`) : base
  }, [data, about, aggregate])
  const format = useCallback((value: number) => formatMetric(value, unit), [unit])
  const series = useMemo(
    () =>
      (data?.series ?? []).slice(0, shownSeries).map((s, index) => ({
        label: labelOf(s.labels, name),
        color: `var(--s${index % 12})`,
        values: s.values,
      })),
    [data, name],
  )
  const setFilters = (next: Filter[]) => void navigate({ to: '.', search: (b) => ({ ...b, f: filtersToSearch(next) }) })
  const setBy = (next: string[]) => void navigate({ to: '.', search: (b) => ({ ...b, by: next.length > 0 ? next : undefined }) })
  return (
    <div className="flex flex-col gap-3 p-4">
      <header>
        <nav aria-label="Breadcrumb" className="flex items-center gap-1 text-xs text-muted">
          <Link to="/p/$p/metrics" params={{ p }} className="hover:text-accent-text hover:underline">
            Metrics
          </Link>
        </nav>
        <h1 className="text-xl font-semibold break-words">{visibleText(name)}</h1>
        <p className="text-soft">
          {about ? (
            <>
              {about.description !== '' && <>{visibleText(about.description)} · </>}
              {about.type.replaceAll('_', ' ')}
              {about.unit !== '' && <> · {visibleText(about.unit)}</>} · {plural(about.series, 'series', 'series')}
            </>
          ) : list.isPending ? (
            ' '
          ) : (
            'Not seen in this window'
          )}
        </p>
      </header>
      <div className="flex flex-wrap items-center gap-1.5">
        <label className="flex items-center gap-2">
          <span className="text-muted">Show</span>
          <select
            className="field !h-8"
            value={aggregate}
            onChange={(event) => {
              const next = aggregates.find((a) => a === event.target.value)
              void navigate({ to: '.', search: (b) => ({ ...b, agg: next }) })
            }}
          >
            {aggregates.map((a) => (
              <option key={a} value={a}>
                {said[a]}
              </option>
            ))}
          </select>
        </label>
        <GroupBy p={p} by={by} onChange={setBy} />
        <FilterBar p={p} signal="metrics" filters={filters} onChange={setFilters} />
      </div>
      <section className="card px-2 pt-2 pb-2" aria-label="Chart">
        <Busy on={query.isFetching} />
        <Partial meta={query.data?.meta} />
        {data === undefined ? (
          query.isError ? (
            isMissing(query.error) ? (
              <Empty title="No such metric">{explain(query.error)}</Empty>
            ) : (
              <Failure error={query.error} retry={() => void query.refetch()} />
            )
          ) : (
            <div className="late shimmer h-[340px] rounded-md" role="status" aria-label="Loading the chart" />
          )
        ) : series.length === 0 ? (
          <NothingHere p={p} what="points of this metric" filtered={filters.length > 0} />
        ) : (
          <div className={query.isPlaceholderData ? 'opacity-60' : ''}>
            <Chart
              label={`${said[aggregate]} of ${name}`}
              times={data.times}
              series={series}
              height={300}
              format={format}
              kind={series.length === 1 ? 'area' : 'line'}
              stepMs={data.step_ms}
              window={window}
              onZoom={zoomTo}
            />
          </div>
        )}
      </section>
      {data && series.length > 0 && (
        <section className="card overflow-hidden" aria-label="Series">
          {data.series.length > shownSeries && (
            <p className="border-b border-line bg-warn-soft px-3 py-1.5 text-sm">
              {shownSeries} of {data.series.length} series are drawn. A filter narrows them down.
            </p>
          )}
          <table className="w-full">
            <thead className="border-b border-line">
              <tr>
                <th className="th">Series</th>
                {['Last', 'Least', 'Average', 'Greatest'].map((head) => (
                  <th key={head} className="th !text-right">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {series.map((s) => {
                const values = s.values.filter((v) => v !== null)
                const sum = values.reduce((a, b) => a + b, 0)
                const cell = (v: number | undefined) => <td className="px-3 text-right">{v === undefined || !Number.isFinite(v) ? '–' : format(v)}</td>
                return (
                  <tr key={s.label} className="h-8 border-b border-line last:border-b-0 hover:bg-hover">
                    <td className="px-3">
                      <span className="inline-flex items-center gap-2">
                        <span aria-hidden className="h-2.5 w-2.5 rounded-[3px]" style={{ background: s.color }} />
                        {visibleText(s.label)}
                      </span>
                    </td>
                    {cell(values.at(-1))}
                    {cell(values.length > 0 ? Math.min(...values) : undefined)}
                    {cell(values.length > 0 ? sum / values.length : undefined)}
                    {cell(values.length > 0 ? Math.max(...values) : undefined)}
                  </tr>
                )
              })}
            </tbody>
          </table>
          <p className="px-3 py-1.5 text-right">
            <Cost meta={query.data?.meta} />
          </p>
        </section>
      )}
    </div>
  )
}

const none: string[] = []

function labelOf(labels: Record<string, string>, name: string): string {
  const list = Object.entries(labels)
  if (list.length === 0) return name
  return list.map(([key, value]) => (list.length === 1 ? value || '(empty)' : `${key}=${value || '(empty)'}`)).join(', ')
}

function GroupBy({ p, by, onChange }: { p: number; by: string[]; onChange: (by: string[]) => void }) {
  const { window } = useTime()
  const [open, setOpen] = useState(false)
  const [typed, setTyped] = useState('')
  const keys = useQuery({ ...keysQuery(p, 'metrics', window, typed), enabled: open, placeholderData: keepPreviousData })
  const offered = (keys.data?.data ?? []).map((k) => k.key).filter((key) => !by.includes(key))
  const add = (key: string) => {
    setOpen(false)
    setTyped('')
    onChange([...by, key])
  }
  return (
    <div className="flex items-center gap-1.5" role="group" aria-label="Split by">
      <span className="text-muted">by</span>
      {by.map((key) => (
        <span key={key} className="inline-flex h-8 items-center rounded-md bg-accent-soft pl-2">
          {visibleText(key)}
          <button type="button" aria-label={`Don’t split by ${key}`} className="flex h-8 w-6 items-center justify-center text-muted hover:text-text" onClick={() => onChange(by.filter((k) => k !== key))}>
            <X size={12} />
          </button>
        </span>
      ))}
      <Popover
        label="Split by an attribute"
        open={open}
        onOpenChange={setOpen}
        trigger={
          <Button className="!h-8">
            <Plus size={13} aria-hidden /> {by.length === 0 ? 'Split by' : 'Add'}
          </Button>
        }
      >
        <div className="w-64 p-1">
          <form
            onSubmit={(event) => {
              event.preventDefault()
              const key = offered[0] ?? typed.trim()
              if (key) add(key)
            }}
          >
            <input className="field mb-1 w-full" aria-label="Find an attribute" placeholder="Find an attribute" value={typed} onChange={(event) => setTyped(event.target.value)} />
          </form>
          {keys.isSuccess && offered.length === 0 && <p className="px-2 py-1.5 text-muted">No attribute in this window</p>}
          <ul className="max-h-64 overflow-auto">
            {offered.map((key) => (
              <li key={key}>
                <button type="button" className="w-full rounded-md px-2 py-1 text-left hover:bg-hover" onClick={() => add(key)}>
                  {visibleText(key)}
                </button>
              </li>
            ))}
          </ul>
        </div>
      </Popover>
    </div>
  )
}
