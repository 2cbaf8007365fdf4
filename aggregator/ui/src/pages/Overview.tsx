/** The project at a glance: every service's rate, errors and duration. */
import { useQuery } from '@tanstack/react-query'
import { createLazyRoute, Link, useNavigate } from '@tanstack/react-router'
import { ArrowDown, CircleCheck, TriangleAlert } from 'lucide-react'
import { useMemo } from 'react'
import { servicesQuery } from '../api/queries'
import type { ServiceRow } from '../api/types'
import { ServiceName } from '../components/marks'
import { useTime } from '../components/time'
import { formatFilter } from '../lib/filters'
import { visibleText } from '../lib/text'
import { formatDuration, formatRate, formatShare, plural } from '../lib/units'
import { Busy, Cost, Failure, Partial, Skeleton } from '../ui/states'
import { NothingHere } from './NothingHere'

export const route = createLazyRoute('/inside/p/$p/')({ component: OverviewPage })

const columns = [
  { id: 'rate', label: 'Rate', value: (s: ServiceRow) => s.spans },
  { id: 'errors', label: 'Errors', value: (s: ServiceRow) => s.errors / Math.max(1, s.spans) },
  { id: 'p50', label: 'p50', value: (s: ServiceRow) => s.p50 },
  { id: 'p95', label: 'p95', value: (s: ServiceRow) => s.p95 },
  { id: 'p99', label: 'p99', value: (s: ServiceRow) => s.p99 },
] as const

const failing = (s: ServiceRow) => s.spans > 0 && s.errors / s.spans >= 0.02

function OverviewPage() {
  const { p } = route.useParams()
  const { sort = 'rate' } = route.useSearch()
  const navigate = useNavigate({ from: '/p/$p' })
  const { window } = useTime()
  const query = useQuery(servicesQuery(p, window))
  const rows = useMemo(() => {
    const column = columns.find((c) => c.id === sort)
    const list = query.data?.data ?? []
    return column ? list.toSorted((a, b) => column.value(b) - column.value(a)) : list.toSorted((a, b) => a.service.localeCompare(b.service))
  }, [query.data, sort])
  const seconds = (window.to - window.from) / 1000
  const bad = rows.filter(failing)
  const most = { rate: Math.max(1, ...rows.map((s) => s.spans)), p99: Math.max(1, ...rows.map((s) => s.p99)) }

  if (query.isPending) return <Skeleton rows={10} height={34} label="Loading services" />
  if (query.isError && !query.data) return <Failure error={query.error} retry={() => void query.refetch()} />
  if (rows.length === 0) return <NothingHere p={p} what="spans" filtered={false} />
  return (
    <div className="p-4">
      <div className="mb-3 flex items-baseline gap-3">
        <h1 className="text-xl font-semibold">Services</h1>
        <p className="flex items-center gap-1.5 text-soft">
          {bad.length === 0 ? (
            <>
              <CircleCheck size={15} className="translate-y-px text-ok" aria-hidden /> {plural(rows.length, 'service')}, none with 2% errors or more
            </>
          ) : (
            <>
              <TriangleAlert size={15} className="translate-y-px text-warn" aria-hidden /> {plural(rows.length, 'service')}, {bad.length} with 2% errors or more:{' '}
              {bad
                .slice(0, 3)
                .map((s) => visibleText(s.service).slice(0, 40))
                .join(', ')}
            </>
          )}
        </p>
        <span className="ml-auto">
          <Cost meta={query.data?.meta} />
        </span>
      </div>
      <div className="card overflow-hidden">
        <Busy on={query.isFetching} />
        <Partial meta={query.data?.meta} />
        <table className={`w-full ${query.isPlaceholderData ? 'opacity-60' : ''}`}>
          <thead className="border-b border-line">
            <tr>
              <th className="th" aria-sort={sort === 'name' ? 'ascending' : undefined}>
                <SortButton active={sort === 'name'} onClick={() => void navigate({ to: '.', search: (b) => ({ ...b, sort: 'name' }) })}>
                  Service
                </SortButton>
              </th>
              {columns.map((column) => (
                <th key={column.id} className="th" aria-sort={sort === column.id ? 'descending' : undefined}>
                  <SortButton active={sort === column.id} right onClick={() => void navigate({ to: '.', search: (b) => ({ ...b, sort: column.id === 'rate' ? undefined : column.id }) })}>
                    {column.label}
                  </SortButton>
                </th>
              ))}
              <th className="th w-44 !normal-case">p50 · p95 · p99</th>
              <th className="th">
                <span className="sr-only">Go to</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((s) => {
              const f = [formatFilter({ key: 'service.name', op: '=', value: s.service })]
              return (
                <tr key={s.service} className="group h-[38px] border-b border-line last:border-b-0 hover:bg-hover">
                  <td className="px-3">
                    <Link to="/p/$p/traces" params={{ p }} search={{ f }} className="inline-flex max-w-80 hover:text-accent-text hover:underline">
                      <ServiceName name={s.service} strong />
                    </Link>
                  </td>
                  <td className="px-3 text-right">
                    {formatRate(s.spans / seconds)}
                    <Meter share={s.spans / most.rate} />
                  </td>
                  <td className={`px-3 text-right ${failing(s) ? 'font-medium text-error' : s.errors > 0 ? '' : 'text-muted'}`}>
                    {s.errors > 0 ? (
                      <Link to="/p/$p/traces" params={{ p }} search={{ f: [...f, 'status = error'] }} className="hover:underline">
                        {formatShare(s.errors, s.spans)}
                      </Link>
                    ) : (
                      '0%'
                    )}
                  </td>
                  <td className="px-3 text-right">{formatDuration(s.p50)}</td>
                  <td className="px-3 text-right">{formatDuration(s.p95)}</td>
                  <td className="px-3 text-right">{formatDuration(s.p99)}</td>
                  <td className="px-3">
                    <span aria-hidden className="relative block h-2 rounded-full bg-sunken">
                      <span className="absolute inset-y-0 left-0 rounded-full bg-accent/30" style={{ width: `${(s.p99 / most.p99) * 100}%` }} />
                      <span className="absolute inset-y-0 left-0 rounded-full bg-accent/50" style={{ width: `${(s.p95 / most.p99) * 100}%` }} />
                      <span className="absolute inset-y-0 left-0 rounded-full bg-accent" style={{ width: `${(s.p50 / most.p99) * 100}%` }} />
                    </span>
                  </td>
                  <td className="px-3 text-right whitespace-nowrap">
                    <span className="inline-flex gap-3 text-muted group-focus-within:text-accent-text group-hover:text-accent-text">
                      <Link to="/p/$p/traces" params={{ p }} search={{ f }} className="hover:underline">
                        Traces
                      </Link>
                      <Link to="/p/$p/logs" params={{ p }} search={{ f }} className="hover:underline">
                        Logs
                      </Link>
                    </span>
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
    </div>
  )
}

function SortButton({ active, right = false, onClick, children }: { active: boolean; right?: boolean; onClick: () => void; children: React.ReactNode }) {
  return (
    <button type="button" onClick={onClick} className={`caps flex w-full items-center gap-1 hover:!text-text ${right ? 'justify-end' : ''} ${active ? '!text-text' : ''}`}>
      {children}
      <ArrowDown size={11} aria-hidden className={active ? '' : 'invisible'} />
    </button>
  )
}

function Meter({ share }: { share: number }) {
  return (
    <span aria-hidden className="mt-0.5 block h-[3px] overflow-hidden rounded-full">
      <span className="ml-auto block h-full rounded-full bg-accent/45" style={{ width: `${Math.max(1, share * 100)}%` }} />
    </span>
  )
}
