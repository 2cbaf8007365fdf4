/** `/traces/<id>`: the link an application prints. It finds the project, goes there, and waits when the trace isn't here yet. */
import { useQuery } from '@tanstack/react-query'
import { createLazyRoute, Link, Navigate } from '@tanstack/react-router'
import { isMissing } from '../api/errors'
import { findTraceQuery } from '../api/queries'
import type { TracePlace } from '../api/types'
import { Logo } from '../components/marks'
import { parseTraceId } from '../lib/ids'
import { visibleText } from '../lib/text'
import { formatExact, nanos } from '../lib/time'
import { plural } from '../lib/units'
import { Empty, Failure, Skeleton } from '../ui/states'
import { Waiting } from './Waiting'

export const finderRoute = createLazyRoute('/inside/traces/$id')({ component: FinderPage })

function FinderPage() {
  const params = finderRoute.useParams()
  const id = parseTraceId(params.id)
  return (
    <div className="flex h-full flex-col">
      <header className="flex h-11 shrink-0 items-center border-b border-line bg-panel px-3">
        <Link to="/" className="flex items-center gap-2 text-[15px] font-semibold" aria-label="Petrel, start">
          <Logo /> Petrel
        </Link>
      </header>
      <main className="flex-1">
        {id ? (
          <Finder id={id} />
        ) : (
          <Empty title="That isn’t a trace id">
            <p>A trace id has 32 hexadecimal digits; this link carries “{visibleText(params.id).slice(0, 60)}”.</p>
          </Empty>
        )}
      </main>
    </div>
  )
}

function Finder({ id }: { id: string }) {
  const { span_id } = finderRoute.useSearch()
  const query = useQuery({
    ...findTraceQuery(id),
    refetchInterval: (q) => (isMissing(q.state.error) || q.state.data?.data.length === 0 ? 1500 : false),
  })
  const places = query.data?.data
  if (places?.length === 1) {
    return <Navigate to="/p/$p/traces/$id" params={{ p: places[0].project_id, id }} search={{ span_id }} replace />
  }
  if (places && places.length > 1) return <Places id={id} span_id={span_id} places={places} />
  if (query.isPending) return <Skeleton rows={4} label="Looking for the trace" />
  if (places || isMissing(query.error)) return <Waiting id={id} tries={query.errorUpdateCount} />
  return <Failure error={query.error} retry={() => void query.refetch()} />
}

function Places({ id, span_id, places }: { id: string; span_id: string | undefined; places: TracePlace[] }) {
  return (
    <Empty title="Several projects have spans of this trace">
      <ul className="mt-2 w-80 text-left">
        {places.map((place) => (
          <li key={place.project_id} className="card mb-2">
            <Link to="/p/$p/traces/$id" params={{ p: place.project_id, id }} search={{ span_id }} className="block px-4 py-2.5 hover:bg-hover">
              <span className="block font-medium text-accent-text">{place.project_name}</span>
              <span className="text-xs text-muted">
                {plural(place.spans, 'span')}, {formatExact(nanos(place.start))}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Empty>
  )
}
