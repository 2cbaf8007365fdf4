/** What is measured in this project. */
import { useQuery } from '@tanstack/react-query'
import { createLazyRoute, Link, useNavigate } from '@tanstack/react-router'
import { Search } from 'lucide-react'
import { useMemo, useRef } from 'react'
import { metricsQuery } from '../api/queries'
import { useTime } from '../components/time'
import { useKeys } from '../lib/keys'
import { visibleText } from '../lib/text'
import { formatAgo, formatExact, nanos, toMillis } from '../lib/time'
import { formatWhole, plural } from '../lib/units'
import { Busy, Cost, Empty, Failure, Partial, Skeleton } from '../ui/states'
import { NothingHere } from './NothingHere'

export const route = createLazyRoute('/inside/p/$p/metrics')({ component: MetricsPage })

function MetricsPage() {
  const { p } = route.useParams()
  const { q = '' } = route.useSearch()
  const navigate = useNavigate({ from: '/p/$p/metrics' })
  const { window, now } = useTime()
  const field = useRef<HTMLInputElement>(null)
  const query = useQuery(metricsQuery(p, window))
  const all = query.data?.data
  const rows = useMemo(() => {
    const words = q.toLowerCase().split(/\s+/).filter(Boolean)
    return (all ?? [])
      .filter((m) => words.every((w) => `${m.name} ${m.description} ${m.type}`.toLowerCase().includes(w)))
      .toSorted((a, b) => a.name.localeCompare(b.name))
  }, [all, q])
  useKeys({ '/': () => field.current?.focus() })
  if (query.isPending) return <Skeleton rows={10} height={34} label="Loading metrics" />
  if (query.isError && !all) return <Failure error={query.error} retry={() => void query.refetch()} />
  if (all?.length === 0) return <NothingHere p={p} what="metrics" filtered={false} />
  return (
    <div className="p-4">
      <div className="mb-3 flex items-center gap-3">
        <h1 className="text-xl font-semibold">Metrics</h1>
        <span className="text-soft">{plural(all?.length ?? 0, 'metric')}</span>
        <div className="relative ml-2 w-72">
          <Search size={13} aria-hidden className="absolute top-2 left-2 text-muted" />
          <input
            ref={field}
            className="field w-full pl-7"
            aria-label="Find a metric"
            placeholder="Find a metric"
            value={q}
            onChange={(event) => void navigate({ to: '.', search: (b) => ({ ...b, q: event.target.value || undefined }), replace: true })}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && rows[0]) void navigate({ to: '/p/$p/metrics/$name', params: { p, name: rows[0].name } })
              if (event.key === 'Escape') event.currentTarget.blur()
            }}
          />
        </div>
        <span className="ml-auto">
          <Cost meta={query.data?.meta} />
        </span>
      </div>
      <div className="card overflow-hidden">
        <Busy on={query.isFetching} />
        <Partial meta={query.data?.meta} />
        {rows.length === 0 ? (
          <Empty title="No metric is called that">Names, descriptions and types are searched.</Empty>
        ) : (
          <table className="w-full">
            <thead className="border-b border-line">
              <tr>
                <th className="th">Name</th>
                <th className="th">Type</th>
                <th className="th">Unit</th>
                <th className="th !text-right">Series</th>
                <th className="th !text-right">Last seen</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((m) => (
                <tr key={m.name} className="border-b border-line last:border-b-0 hover:bg-hover">
                  <td className="px-3 py-1.5">
                    <Link to="/p/$p/metrics/$name" params={{ p, name: m.name }} className="font-medium hover:text-accent-text hover:underline">
                      {visibleText(m.name)}
                    </Link>
                    {m.description !== '' && <p className="max-w-3xl truncate text-xs text-muted">{visibleText(m.description)}</p>}
                  </td>
                  <td className="px-3 text-soft">{m.type.replaceAll('_', ' ')}</td>
                  <td className="px-3 font-mono text-xs text-soft">{visibleText(m.unit)}</td>
                  <td className="px-3 text-right">{formatWhole(m.series)}</td>
                  <td className="px-3 text-right text-soft" title={formatExact(nanos(m.last_seen))}>
                    {formatAgo(toMillis(nanos(m.last_seen)), now)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </div>
  )
}
