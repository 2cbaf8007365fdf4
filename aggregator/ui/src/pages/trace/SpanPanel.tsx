/** Everything about one span, beside the waterfall. */
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { ArrowUpRight, X } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { spanDetailsQuery } from '../../api/queries'
import type { Attributes, LogRow, Span, SpanEvent } from '../../api/types'
import { AttributeTable, LongText, Stack } from '../../components/attributes'
import { ErrorMark, ServiceName, SeverityMark, StatusWord } from '../../components/marks'
import { type Filter, formatFilter } from '../../lib/filters'
import { shortId } from '../../lib/ids'
import { kindName, type Outline, type Row } from '../../lib/outline'
import { valueText, visibleText } from '../../lib/text'
import { formatExact, nanos } from '../../lib/time'
import { formatDuration, formatShare } from '../../lib/units'
import { CopyButton, IconButton } from '../../ui/button'
import { Empty, Failure, Skeleton } from '../../ui/states'
import { Count, Tabs } from '../../ui/tabs'

export function SpanPanel({ p, outline, row, color, logs, tab, onTab, onPick, onClose }: {
  p: number
  outline: Outline
  row: Row
  color: string
  logs: LogRow[]
  tab: string
  onTab: (tab: string) => void
  onPick: (row: Row) => void
  onClose: () => void
}) {
  const id = outline.id(row)
  const query = useQuery(spanDetailsQuery(p, outline.traceId, [id]))
  const span = query.data?.data.find((s) => s.span_id === id)
  return (
    <>
      <header className="shrink-0 border-b border-line px-4 pt-2.5 pb-2">
        <div className="flex items-start gap-2">
          <div className="min-w-0 flex-1">
            <div className="text-xs text-soft">
              <ServiceName name={outline.service(row)} color={color} />
            </div>
            <h2 className="flex items-center gap-1.5 text-[14px] leading-5 font-semibold break-words">
              {outline.has(row, 'error') && <ErrorMark size={14} />}
              <span className="min-w-0 break-words">{visibleText(outline.name(row))}</span>
            </h2>
          </div>
          <IconButton label="Close (Esc)" onClick={onClose}>
            <X size={16} />
          </IconButton>
        </div>
        <p className="tabular mt-1 flex flex-wrap gap-x-3 text-xs text-soft">
          <span className="font-medium text-text">{formatDuration(outline.dur(row))}</span>
          <span>{formatShare(outline.dur(row), outline.duration)} of the trace</span>
          <span>starts at {formatDuration(outline.start(row))}</span>
        </p>
      </header>
      {query.isPending ? (
        <Skeleton rows={6} label="Loading the span" />
      ) : query.isError ? (
        <Failure small error={query.error} retry={() => void query.refetch()} />
      ) : span ? (
        <Detail p={p} outline={outline} row={row} span={span} logs={logs} tab={tab} onTab={onTab} onPick={onPick} />
      ) : (
        <Empty title="No details">The span is in the outline, but its attributes are no longer stored.</Empty>
      )}
    </>
  )
}

function Detail({ p, outline, row, span, logs, tab, onTab, onPick }: {
  p: number
  outline: Outline
  row: Row
  span: Span
  logs: LogRow[]
  tab: string
  onTab: (tab: string) => void
  onPick: (row: Row) => void
}) {
  const moments = span.events.length + logs.length
  return (
    <Tabs
      fill
      label="Span"
      value={tab}
      onChange={onTab}
      tabs={[
        { id: 'overview', label: 'Overview', content: <Overview outline={outline} row={row} span={span} logs={logs} onTab={onTab} onPick={onPick} /> },
        {
          id: 'attributes',
          label: (
            <>
              Attributes <Count>{Object.keys(span.attributes).length}</Count>
            </>
          ),
          content: <AllAttributes p={p} span={span} />,
        },
        {
          id: 'events',
          label: <>Events and logs {moments > 0 && <Count>{moments}</Count>}</>,
          content: <Moments outline={outline} span={span} logs={logs} />,
        },
        {
          id: 'links',
          label: <>Links {span.links.length > 0 && <Count>{span.links.length}</Count>}</>,
          content: <Links span={span} />,
        },
        { id: 'raw', label: 'Raw', content: <Raw span={span} /> },
      ]}
    />
  )
}

/** What a person wants to know first about a span of this sort. */
const telling = [
  'http.request.method', 'http.method', 'http.route', 'url.full', 'url.path', 'http.url', 'http.target', 'http.response.status_code', 'http.status_code',
  'server.address', 'rpc.system', 'rpc.service', 'rpc.method', 'rpc.grpc.status_code', 'db.system.name', 'db.system', 'db.namespace', 'db.name',
  'db.operation.name', 'messaging.system', 'messaging.destination.name', 'error.type', 'enduser.id', 'user.id',
]
const statements = ['db.query.text', 'db.statement']

function Overview({ outline, row, span, logs, onTab, onPick }: {
  outline: Outline
  row: Row
  span: Span
  logs: LogRow[]
  onTab: (tab: string) => void
  onPick: (row: Row) => void
}) {
  const exception = span.events.find((event) => event.name === 'exception')
  const statement = statements.map((key) => span.attributes[key]).find((value) => value !== undefined)
  const shown: Attributes = {}
  for (const key of telling) if (span.attributes[key] !== undefined) shown[key] = span.attributes[key]
  const parent = outline.parent(row)
  const moments = span.events.length + logs.length
  return (
    <div className="space-y-4 p-4">
      {(span.status === 'error' || exception) && (
        <div className="rounded-md bg-error-soft px-3 py-2">
          <p className="flex items-start gap-1.5 font-medium text-error">
            <span className="mt-[3px]">
              <ErrorMark label="" />
            </span>
            <span className="min-w-0 break-words">
              {visibleText(span.status_message || valueText(exception?.attributes['exception.message']) || 'This span ended with an error.').slice(0, 2000)}
            </span>
          </p>
          {exception && (
            <button type="button" className="mt-1 text-xs text-accent-text hover:underline" onClick={() => onTab('events')}>
              {visibleText(valueText(exception.attributes['exception.type']) || 'Exception')}: show the stack
            </button>
          )}
        </div>
      )}
      <dl className="grid grid-cols-[88px_minmax(0,1fr)] gap-x-3 gap-y-1.5">
        <Term name="Kind">
          <span className="capitalize">{kindName(span.kind)}</span>
        </Term>
        <Term name="Status">
          <StatusWord status={span.status} />
        </Term>
        <Term name="Started">
          <span className="tabular">{formatExact(nanos(span.start))}</span>
        </Term>
        <Term name="Own time">
          <span className="tabular">
            {formatDuration(outline.self(row))} <span className="text-muted">({formatShare(outline.self(row), outline.dur(row))} of the span)</span>
          </span>
        </Term>
        <Term name="Parent">
          {parent >= 0 ? (
            <button type="button" className="max-w-full truncate text-left text-accent-text hover:underline" onClick={() => onPick(parent)}>
              {visibleText(outline.name(parent))}
            </button>
          ) : outline.has(row, 'orphan') ? (
            <span className="text-warn">Missing: it never arrived ({shortId(span.parent_id)})</span>
          ) : (
            <span className="text-muted">None, this is the root</span>
          )}
        </Term>
        <Term name="Span id">
          <span className="inline-flex items-center gap-1 font-mono text-xs">
            {span.span_id} <CopyButton small text={span.span_id} label="Copy the span id" />
          </span>
        </Term>
        {span.scope.name !== '' && (
          <Term name="Scope">
            <span className="break-words">
              {visibleText(span.scope.name)} <span className="text-muted">{visibleText(span.scope.version)}</span>
            </span>
          </Term>
        )}
      </dl>
      {statement !== undefined && (
        <section>
          <h3 className="caps mb-1">Query</h3>
          <div className="relative rounded-md bg-sunken px-3 py-2 pr-8 font-mono text-xs leading-[18px]">
            <LongText text={valueText(statement)} limit={1200} />
            <span className="absolute top-1 right-1">
              <CopyButton small text={valueText(statement)} label="Copy the query" />
            </span>
          </div>
        </section>
      )}
      {Object.keys(shown).length > 0 && (
        <section>
          <h3 className="caps mb-1">What it did</h3>
          <div className="card overflow-hidden">
            <AttributeTable attributes={shown} />
          </div>
        </section>
      )}
      {moments > 0 && (
        <button type="button" className="text-accent-text hover:underline" onClick={() => onTab('events')}>
          {moments === 1 ? '1 event or log' : `${moments} events and logs`} of this span
        </button>
      )}
    </div>
  )
}

function Term({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  )
}

function AllAttributes({ p, span }: { p: number; span: Span }) {
  const [find, setFind] = useState('')
  const navigate = useNavigate()
  const onFilter = (filter: Filter) => void navigate({ to: '/p/$p/traces', params: { p }, search: { f: [formatFilter(filter)] } })
  return (
    <div>
      <div className="border-b border-line p-2">
        <input className="field w-full" aria-label="Find an attribute" placeholder="Find an attribute" value={find} onChange={(event) => setFind(event.target.value)} />
      </div>
      <h3 className="caps px-3 pt-2 pb-1">Span</h3>
      <AttributeTable attributes={span.attributes} onFilter={onFilter} find={find} />
      <h3 className="caps border-t border-line px-3 pt-3 pb-1">Resource</h3>
      <AttributeTable attributes={span.resource} onFilter={onFilter} find={find} />
    </div>
  )
}

type Moment = { at: bigint } & ({ kind: 'event'; event: SpanEvent } | { kind: 'log'; log: LogRow })

function Moments({ outline, span, logs }: { outline: Outline; span: Span; logs: LogRow[] }) {
  const list: Moment[] = [
    ...span.events.map((event): Moment => ({ at: nanos(event.time), kind: 'event', event })),
    ...logs.map((log): Moment => ({ at: nanos(log.time), kind: 'log', log })),
  ].toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
  if (list.length === 0) {
    return (
      <Empty title="No events, no logs">
        <p>
          This span recorded no events, and no log carries its id. Logs link to spans when the logging library puts trace and span ids into each
          record; OpenTelemetry’s log bridges do that by themselves.
        </p>
      </Empty>
    )
  }
  return (
    <ol>
      {list.map((moment, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- moments have no id; their order is fixed
        <li key={index} className="border-b border-line px-4 py-2.5">
          <div className="mb-1 flex items-center gap-2">
            {moment.kind === 'log' ? (
              <SeverityMark text={moment.log.severity_text} number={moment.log.severity_number} />
            ) : (
              <span className={`text-xs font-semibold ${moment.event.name === 'exception' ? 'text-error' : 'text-soft'}`}>
                {visibleText(moment.event.name)}
              </span>
            )}
            <span className="caps !font-normal !tracking-normal !normal-case">{moment.kind === 'log' ? 'log' : 'event'}</span>
            <span className="tabular ml-auto text-xs text-muted" title={formatExact(moment.at)}>
              {formatDuration(Number(moment.at - outline.t0))}
            </span>
          </div>
          {moment.kind === 'log' ? (
            <div className="font-mono text-xs break-words">
              <LongText text={moment.log.body} />
            </div>
          ) : (
            <Event event={moment.event} />
          )}
        </li>
      ))}
    </ol>
  )
}

function Event({ event }: { event: SpanEvent }) {
  const { 'exception.type': type, 'exception.message': message, 'exception.stacktrace': stack, ...rest } = event.attributes
  return (
    <div className="space-y-2">
      {(type !== undefined || message !== undefined) && (
        <p className="break-words">
          {type !== undefined && <span className="font-medium text-error">{visibleText(valueText(type))}</span>}
          {type !== undefined && message !== undefined && ': '}
          {visibleText(valueText(message)).slice(0, 4000)}
        </p>
      )}
      {stack !== undefined && <Stack text={valueText(stack)} />}
      {Object.keys(rest).length > 0 && (
        <div className="card overflow-hidden">
          <AttributeTable attributes={rest} />
        </div>
      )}
    </div>
  )
}

function Links({ span }: { span: Span }) {
  if (span.links.length === 0) return <Empty title="No links">This span doesn’t point at spans of other traces.</Empty>
  return (
    <ul>
      {span.links.map((link, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- the same link may be there twice
        <li key={index} className="border-b border-line px-4 py-2.5">
          <Link to="/traces/$id" params={{ id: link.trace_id }} search={{ span_id: link.span_id }} className="inline-flex items-center gap-1 font-mono text-xs text-accent-text hover:underline">
            {link.trace_id} <ArrowUpRight size={12} aria-hidden />
          </Link>
          <p className="font-mono text-xs text-muted">span {link.span_id}</p>
          {Object.keys(link.attributes).length > 0 && (
            <div className="card mt-2 overflow-hidden">
              <AttributeTable attributes={link.attributes} />
            </div>
          )}
        </li>
      ))}
    </ul>
  )
}

function Raw({ span }: { span: Span }) {
  const text = JSON.stringify(span, null, 2)
  return (
    <div className="p-3">
      <div className="mb-2 flex justify-end">
        <CopyButton text={text} label="Copy JSON" />
      </div>
      <pre className="overflow-x-auto rounded-md bg-sunken p-3 font-mono text-xs leading-[18px]">{visibleText(text.slice(0, 200_000))}</pre>
    </div>
  )
}
