/** How to send data here, and what arrives while you try. */
import { useQuery } from '@tanstack/react-query'
import { createLazyRoute, Link, useNavigate } from '@tanstack/react-router'
import { ArrowRight, Ban, Check, Eye, EyeOff, RadioTower } from 'lucide-react'
import { useEffect, useMemo, useState } from 'react'
import { listenToIngest, projectQuery } from '../api/queries'
import type { Ingest, Project } from '../api/types'
import { ServiceName } from '../components/marks'
import { masked, snippets } from '../lib/snippets'
import { visibleText } from '../lib/text'
import { formatAgo, formatTime, nanos, toMillis } from '../lib/time'
import { formatWhole, plural } from '../lib/units'
import { Button, CopyButton } from '../ui/button'
import { Failure, Skeleton } from '../ui/states'
import { Tabs } from '../ui/tabs'

export const route = createLazyRoute('/inside/p/$p/setup')({ component: ProjectSetupPage })

function ProjectSetupPage() {
  const { p } = route.useParams()
  const query = useQuery(projectQuery(p))
  if (query.isPending) return <Skeleton rows={8} label="Loading the project" />
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />
  return (
    <div className="grid min-h-full grid-cols-[minmax(0,1fr)_minmax(320px,400px)] gap-4 p-4 max-[1000px]:grid-cols-1">
      <div className="min-w-0 space-y-4">
        <header>
          <h1 className="text-xl font-semibold">Send data to {visibleText(query.data.name)}</h1>
          <p className="text-soft">Traces, logs and metrics in OpenTelemetry’s own protocol. Nothing here is particular to Petrel but the address.</p>
        </header>
        <HowTo project={query.data} />
      </div>
      <Arrivals key={p} p={p} />
    </div>
  )
}

function HowTo({ project }: { project: Project }) {
  const { tab = 'agent' } = route.useSearch()
  const navigate = useNavigate({ from: '/p/$p/setup' })
  const [revealed, setRevealed] = useState(false)
  // Tokens that the configuration doesn't name are stored as hashes; nobody can show those again.
  const dsn = project.dsn ?? project.http_endpoint.replace('://', '://<token>@')
  const shown = useMemo(() => snippets({ ...project, dsn: revealed ? dsn : masked(dsn) }), [project, dsn, revealed])
  const real = useMemo(() => snippets({ ...project, dsn }), [project, dsn])
  return (
    <>
      <section className="card p-4" aria-labelledby="dsn">
        <div className="flex items-center gap-2">
          <h2 id="dsn" className="font-semibold">
            DSN
          </h2>
          <span className="text-xs text-muted">the address of this project and its secret, in one line</span>
        </div>
        <div className="mt-2 flex items-center gap-2">
          <code className="min-w-0 flex-1 truncate rounded-md bg-sunken px-3 py-1.5 font-mono text-xs select-all" data-testid="dsn">
            {revealed ? dsn : masked(dsn)}
          </code>
          <Button onClick={() => setRevealed(!revealed)} aria-pressed={revealed}>
            {revealed ? <EyeOff size={14} aria-hidden /> : <Eye size={14} aria-hidden />} {revealed ? 'Hide' : 'Reveal'}
          </Button>
          <CopyButton text={dsn} label="Copy" />
        </div>
        {project.dsn === null && (
          <p className="mt-2 text-soft">
            The token isn’t shown: the configuration names none for this project. Put yours in place of <code className="font-mono">&lt;token&gt;</code>.
          </p>
        )}
        <dl className="mt-3 flex flex-wrap gap-x-8 gap-y-1 text-xs">
          <Endpoint name="OTLP/HTTP" value={project.http_endpoint} />
          <Endpoint name="OTLP/gRPC" value={project.grpc_endpoint} />
          <Endpoint name="Header" value="uptrace-dsn" />
        </dl>
      </section>
      <section className="card overflow-hidden" aria-label="How to send">
        <Tabs
          label="How to send"
          value={tab}
          onChange={(next) => void navigate({ to: '.', search: (b) => ({ ...b, tab: next === 'agent' ? undefined : next }), replace: true })}
          tabs={shown.map((snippet, index) => ({
            id: snippet.id,
            label: snippet.label,
            content: (
              <div className="space-y-4 p-4">
                <p className="text-soft">{snippet.intro}</p>
                {snippet.blocks.map((block, at) => (
                  <figure key={block.title}>
                    <figcaption className="mb-1 flex items-center">
                      <span className="caps">{block.title}</span>
                      <span className="ml-auto">
                        <CopyButton text={real[index].blocks[at].code} label={block.code === real[index].blocks[at].code ? 'Copy' : 'Copy with the secret'} />
                      </span>
                    </figcaption>
                    <pre className="overflow-x-auto rounded-md bg-sunken px-3 py-2.5 font-mono text-xs leading-[18px]">{block.code}</pre>
                  </figure>
                ))}
              </div>
            ),
          }))}
        />
      </section>
    </>
  )
}

function Endpoint({ name, value }: { name: string; value: string }) {
  return (
    <div className="flex items-center gap-2">
      <dt className="text-muted">{name}</dt>
      <dd className="flex items-center gap-1 font-mono">
        {value} <CopyButton small text={value} label={`Copy ${name}`} />
      </dd>
    </div>
  )
}

type Line = Ingest & { key: number }
const most = 60

const transportNames: Record<string, string> = { http: 'HTTP', grpc: 'gRPC', zipkin: 'Zipkin', prometheus: 'Prometheus', loki: 'Loki' }

function transportName(name: string) {
  return transportNames[name] ?? name
}

function Arrivals({ p }: { p: number }) {
  const [lines, setLines] = useState<Line[]>([])
  const [state, setState] = useState<'connecting' | 'open' | 'broken'>('connecting')
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    let key = 0
    return listenToIngest(p, {
      open: () => setState('open'),
      problem: () => setState('broken'),
      message: (one) => {
        key += 1
        setState('open')
        const line = { ...one, key }
        setNow(Date.now())
        // After a reconnect the server replays what we have.
        setLines((before) => (before.some((l) => l.at === one.at && l.signal === one.signal && l.items === one.items) ? before : [line, ...before].slice(0, most)))
      },
    })
  }, [p])
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 5000)
    return () => window.clearInterval(timer)
  }, [])
  const seen = (signal: Ingest['signal']) => lines.find((l) => l.signal === signal && l.outcome === 'accepted')
  const refused = lines.filter((l) => l.outcome === 'refused').length
  return (
    <section className="card flex max-h-[calc(100vh-76px)] min-h-72 flex-col self-start overflow-hidden" aria-labelledby="arrivals">
      <header className="border-b border-line px-4 py-3">
        <div className="flex items-center gap-2">
          <RadioTower size={15} aria-hidden className={state === 'open' ? 'text-ok' : 'text-muted'} />
          <h2 id="arrivals" className="font-semibold">
            What arrives
          </h2>
          <span role="status" className="ml-auto text-xs text-muted">
            {state === 'open' ? 'live' : state === 'connecting' ? 'listening…' : 'connection lost, trying again…'}
          </span>
        </div>
        <ul className="mt-2 grid grid-cols-3 gap-2">
          {(['traces', 'logs', 'metrics'] as const).map((signal) => {
            const one = seen(signal)
            return (
              <li key={signal} className={`rounded-md px-2 py-1.5 ${one ? 'bg-ok-soft' : 'bg-sunken'}`}>
                <span className="flex items-center gap-1 text-sm font-medium capitalize">
                  {one && <Check size={13} className="text-ok" aria-hidden />} {signal}
                </span>
                <span className={`tabular block text-xs ${one ? 'text-soft' : 'text-muted'}`}>{one ? formatAgo(toMillis(nanos(one.at)), now) : 'not yet'}</span>
              </li>
            )
          })}
        </ul>
        {refused > 0 && (
          <p className="mt-2 flex items-center gap-1.5 text-xs text-error">
            <Ban size={12} aria-hidden /> {plural(refused, 'request')} refused, with the reason below
          </p>
        )}
      </header>
      {lines.length === 0 ? (
        <div className="flex flex-1 flex-col items-center justify-center gap-2 px-6 py-10 text-center text-soft">
          <p>{state === 'broken' ? 'The stream of arrivals is interrupted.' : 'Waiting for the first request…'}</p>
          <p className="text-xs text-muted">Requests with a wrong token or a body that can’t be read show up here, too, with the reason.</p>
        </div>
      ) : (
        // What scrolls must be reachable by keyboard.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <ol tabIndex={0} className="min-h-0 flex-1 overflow-auto focus-visible:outline-offset-[-2px]" aria-label="Requests, newest first">
          {lines.map((line) => (
            <li key={line.key} className={`border-b border-line px-4 py-1.5 ${line.outcome === 'refused' ? 'bg-error-soft' : ''}`}>
              <div className="flex items-center gap-2">
                {line.outcome === 'refused' ? <Ban size={13} role="img" aria-label="refused" className="shrink-0 text-error" /> : <Check size={13} role="img" aria-label="accepted" className="shrink-0 text-ok" />}
                <span className="tabular min-w-0 truncate">
                  {line.items > 0 && `${formatWhole(line.items)} `}
                  {line.signal === 'traces' ? (line.items === 1 ? 'span' : 'spans') : line.signal === 'logs' ? (line.items === 1 ? 'log' : 'logs') : line.items === 1 ? 'point' : 'points'}
                </span>
                {line.service !== null && line.service !== '' && (
                  <span className="min-w-0 text-xs text-soft">
                    <ServiceName name={line.service} />
                  </span>
                )}
                <span className="ml-auto shrink-0 text-2xs text-muted">
                  {transportName(line.transport)}
                  {line.via_agent ? ', agent' : ''}
                </span>
                <time className="tabular shrink-0 font-mono text-2xs text-muted">{formatTime(toMillis(nanos(line.at))).replace(/\.\d+$/, '')}</time>
              </div>
              {line.reason !== null && line.reason !== '' && <p className="mt-0.5 pl-[21px] text-xs break-words text-error">{visibleText(line.reason).slice(0, 400)}</p>}
            </li>
          ))}
        </ol>
      )}
      <footer className="border-t border-line px-4 py-2.5">
        <Link to="/p/$p/traces" params={{ p }} search={{ last: '15m' }} className="inline-flex items-center gap-1 font-medium text-accent-text hover:underline">
          Open the list of traces <ArrowRight size={14} aria-hidden />
        </Link>
      </footer>
    </section>
  )
}
