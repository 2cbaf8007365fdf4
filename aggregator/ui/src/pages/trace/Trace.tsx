/** One trace: head, waterfall, services, logs, and the span that is picked. */
import { useQuery } from '@tanstack/react-query'
import { createLazyRoute, Link, useNavigate } from '@tanstack/react-router'
import { ChevronRight, RefreshCw, TriangleAlert } from 'lucide-react'
import { useCallback, useEffect, useMemo } from 'react'
import { isMissing } from '../../api/errors'
import { outlineQuery, traceLogsQuery } from '../../api/queries'
import { ErrorMark, ServiceName } from '../../components/marks'
import { assignColors } from '../../lib/color'
import { parseSpanId, parseTraceId, shortId } from '../../lib/ids'
import { Outline } from '../../lib/outline'
import { visibleText } from '../../lib/text'
import { formatExact, formatTime, toMillis } from '../../lib/time'
import { formatDuration, formatShare, formatWhole, plural } from '../../lib/units'
import { CopyButton, IconButton } from '../../ui/button'
import { Busy, Empty, Failure, Skeleton } from '../../ui/states'
import { Count, Tabs } from '../../ui/tabs'
import { Waiting } from '../Waiting'
import { ServicesTable } from './ServicesTable'
import { TraceLogs } from './TraceLogs'
import { Waterfall } from './Waterfall'

export const route = createLazyRoute('/inside/p/$p/traces/$id')({ component: TracePage })

function TracePage() {
  const params = route.useParams()
  const id = parseTraceId(params.id)
  if (!id) {
    return (
      <Empty title="That isn’t a trace id">
        <p>A trace id has 32 hexadecimal digits; this link carries “{visibleText(params.id).slice(0, 60)}”.</p>
      </Empty>
    )
  }
  return <LoadedTrace key={`${params.p}/${id}`} p={params.p} id={id} />
}

function LoadedTrace({ p, id }: { p: number; id: string }) {
  const query = useQuery({
    ...outlineQuery(p, id),
    retry: false,
    refetchInterval: (q) => (isMissing(q.state.error) ? 2000 : false),
  })
  const outline = useMemo(() => (query.data ? new Outline(query.data.data) : undefined), [query.data])
  if (outline && outline.length > 0) {
    return <TraceView p={p} id={id} outline={outline} busy={query.isFetching} reload={() => void query.refetch()} />
  }
  if (query.isPending) return <Skeleton rows={14} label="Loading the trace" />
  if (outline || isMissing(query.error)) return <Waiting id={id} tries={query.errorUpdateCount} />
  return <Failure error={query.error} retry={() => void query.refetch()} />
}

function TraceView({ p, id, outline, busy, reload }: { p: number; id: string; outline: Outline; busy: boolean; reload: () => void }) {
  const search = route.useSearch()
  const navigate = useNavigate({ from: '/p/$p/traces/$id' })
  const logs = useQuery(traceLogsQuery(p, id))
  const colors = useMemo(() => assignColors(outline.services), [outline])
  const rows = logs.data?.data

  const wanted = search.span_id === undefined ? undefined : parseSpanId(search.span_id)
  const picked = outline.rowOf(wanted)
  const pick = useCallback(
    (row: number | undefined) => {
      const span_id = row === undefined ? undefined : outline.id(row)
      void navigate({ to: '.', search: (before) => ({ ...before, span_id }), replace: true })
    },
    [navigate, outline],
  )
  const searchFor = useCallback(
    (q: string) => void navigate({ to: '.', search: (before) => ({ ...before, q: q || undefined }), replace: true }),
    [navigate],
  )

  const title = `${outline.service(0)}: ${outline.name(0)}`
  useEffect(() => {
    document.title = `${title} · Petrel`
    return () => {
      document.title = 'Petrel'
    }
  }, [title])

  return (
    <div className="flex min-h-0 flex-1 flex-col bg-panel">
      <Head p={p} id={id} outline={outline} colors={colors} picked={picked} reload={reload} busy={busy} />
      <Busy on={busy} />
      {outline.truncated && (
        <p role="status" className="flex items-center gap-2 border-b border-line bg-warn-soft px-4 py-1.5">
          <TriangleAlert size={14} className="text-warn" aria-hidden /> {formatWhole(outline.length)} of {formatWhole(outline.count)} spans are
          shown; this trace is larger than one page can hold.
        </p>
      )}
      {search.span_id !== undefined && picked === undefined && (
        <p role="status" className="flex items-center gap-2 border-b border-line bg-warn-soft px-4 py-1.5">
          <TriangleAlert size={14} className="text-warn" aria-hidden /> The span {visibleText(search.span_id).slice(0, 24)} isn’t in this trace, or
          hasn’t arrived yet.
        </p>
      )}
      <Tabs
        fill
        label="Trace"
        value={search.view ?? 'waterfall'}
        onChange={(view) =>
          void navigate({
            to: '.',
            search: (before) => ({ ...before, view: view === 'logs' || view === 'services' ? view : undefined }),
          })
        }
        tabs={[
          {
            id: 'waterfall',
            label: 'Waterfall',
            content: (
              <Waterfall
                p={p}
                outline={outline}
                colors={colors}
                logs={rows}
                picked={picked}
                onPick={pick}
                text={search.q ?? ''}
                onText={searchFor}
              />
            ),
          },
          {
            id: 'services',
            label: (
              <>
                Services <Count>{outline.services.length}</Count>
              </>
            ),
            content: <ServicesTable outline={outline} colors={colors} />,
          },
          {
            id: 'logs',
            label: <>Logs {rows && <Count>{formatWhole(rows.length)}</Count>}</>,
            content: <TraceLogs query={logs} outline={outline} onPick={pick} />,
          },
        ]}
      />
    </div>
  )
}

function Head({ p, id, outline, colors, picked, reload, busy }: {
  p: number
  id: string
  outline: Outline
  colors: string[]
  picked: number | undefined
  reload: () => void
  busy: boolean
}) {
  const errors = useMemo(() => outline.errors().length, [outline])
  const services = useMemo(() => outline.byService(), [outline])
  const total = services.reduce((sum, s) => sum + s.self, 0) || 1
  const startMs = toMillis(outline.t0)
  const link = () => {
    const span = picked === undefined ? '' : `?span_id=${outline.id(picked)}`
    return `${window.location.origin}/traces/${id}${span}`
  }
  const summary = () =>
    `${outline.service(0)}: ${outline.name(0)} – ${formatDuration(outline.duration)}, ${plural(outline.count, 'span')}, ` +
    `${plural(outline.services.length, 'service')}, ${plural(errors, 'error')}, ${new Date(startMs).toISOString()} ${link()}`
  return (
    <header className="shrink-0 px-4 pt-2.5 pb-1">
      <div className="flex items-start gap-4">
        <div className="min-w-0 flex-1">
          <nav aria-label="Breadcrumb" className="flex items-center gap-1 text-xs text-muted">
            <Link to="/p/$p/traces" params={{ p }} className="hover:text-accent-text hover:underline">
              Traces
            </Link>
            <ChevronRight size={12} aria-hidden />
            <span className="font-mono" title={id}>
              {shortId(id)}
            </span>
            <CopyButton small text={id} label="Copy the trace id" />
          </nav>
          <h1 className="flex min-w-0 items-center gap-2 text-lg font-semibold">
            {outline.has(0, 'error') && <ErrorMark size={16} />}
            <ServiceName name={outline.service(0)} color={colors[outline.serviceIndex(0)]} />
            <span className="truncate">{visibleText(outline.name(0))}</span>
          </h1>
        </div>
        <div className="flex shrink-0 items-center gap-1.5">
          <IconButton label="Load again" onClick={reload}>
            <RefreshCw size={14} className={busy ? 'animate-spin' : ''} />
          </IconButton>
          <CopyButton text={summary} label="Copy summary" />
          <CopyButton text={link} label="Copy link" />
        </div>
      </div>
      <dl className="tabular mt-1 flex flex-wrap items-baseline gap-x-5 gap-y-1">
        <Fact name="Duration">
          <span className="font-medium">{formatDuration(outline.duration)}</span>
        </Fact>
        <Fact name="Started">
          <time dateTime={new Date(startMs).toISOString()} title={formatExact(outline.t0)}>
            {formatTime(startMs)}
          </time>
        </Fact>
        <Fact name="Spans">{formatWhole(outline.count)}</Fact>
        <Fact name="Services">{outline.services.length}</Fact>
        <Fact name="Errors">
          <span className={errors > 0 ? 'font-medium text-error' : ''}>{formatWhole(errors)}</span>
        </Fact>
      </dl>
      <div
        className="mt-2 mb-1 flex h-1.5 gap-px overflow-hidden rounded-full"
        role="img"
        aria-label={`Time by service: ${services.map((s) => `${s.service} ${formatShare(s.self, total)}`).join(', ')}`}
      >
        {services
          .filter((s) => s.self / total > 0.002)
          .map((s) => (
            <span
              key={s.service}
              title={`${s.service}: ${formatDuration(s.self)} of its own, ${formatShare(s.self, total)}`}
              style={{ width: `${(s.self / total) * 100}%`, background: colors[s.index] }}
            />
          ))}
      </div>
    </header>
  )
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="flex items-baseline gap-1.5">
      <dt className="text-xs text-muted">{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
