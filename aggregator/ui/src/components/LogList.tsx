/** Log records, virtualised; a row opens in place. j and k walk, Enter opens. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { Link } from '@tanstack/react-router'
import { ChevronRight, Waypoints } from 'lucide-react'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import type { LogRow } from '../api/types'
import type { Filter } from '../lib/filters'
import { useKeys } from '../lib/keys'
import { visibleText } from '../lib/text'
import { formatExact, formatTime, nanos, toMillis } from '../lib/time'
import { formatDuration } from '../lib/units'
import { CopyButton } from '../ui/button'
import { AttributeTable, LongText } from './attributes'
import { ServiceName, SeverityMark } from './marks'

type Props = {
  rows: LogRow[]
  /** With a trace's start, times are shown as offsets from it. */
  t0?: bigint
  onSpan?: (log: LogRow) => void
  onFilter?: (filter: Filter) => void
  /** Called when the end comes near. */
  onEnd?: () => void
  foot?: ReactNode
  dimmed?: boolean
}

export function LogList({ rows, t0, onSpan, onFilter, onEnd, foot, dimmed = false }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const [open, setOpen] = useState<ReadonlySet<number>>(() => new Set())
  const [at, setAt] = useState(-1)
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => 26, overscan: 15 })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (last >= rows.length - 20) onEnd?.()
  }, [last, rows.length, onEnd])

  const toggle = (index: number) => {
    const next = new Set(open)
    if (!next.delete(index)) next.add(index)
    setOpen(next)
    setAt(index)
  }
  const walk = (by: number) => {
    const next = Math.min(Math.max(at + by, 0), rows.length - 1)
    setAt(next)
    virtual.scrollToIndex(next)
  }
  useKeys({
    j: () => walk(1),
    k: () => walk(-1),
    Enter: (event) => {
      if (event.target instanceof HTMLElement && event.target.closest('a,button')) event.target.click()
      else if (at >= 0) toggle(at)
    },
    Escape: () => setOpen(new Set()),
  })
  return (
    // What scrolls must be reachable by keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div ref={scroller} className={`h-full min-h-0 flex-1 overflow-auto overscroll-contain bg-panel ${dimmed ? 'opacity-60' : ''}`} tabIndex={0} role="region" aria-label="Logs">
      <div role="list" className="relative" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const log = rows[item.index]
          return (
            <div
              key={item.index}
              role="listitem"
              ref={virtual.measureElement}
              data-index={item.index}
              className="absolute top-0 left-0 w-full"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <Line log={log} t0={t0} open={open.has(item.index)} current={item.index === at} onToggle={() => toggle(item.index)} />
              {open.has(item.index) && <Detail log={log} onSpan={onSpan} onFilter={onFilter} />}
            </div>
          )
        })}
      </div>
      {foot}
    </div>
  )
}

function Line({ log, t0, open, current, onToggle }: { log: LogRow; t0?: bigint; open: boolean; current: boolean; onToggle: () => void }) {
  const time = nanos(log.time)
  return (
    <button
      type="button"
      aria-expanded={open}
      onClick={onToggle}
      className={`flex h-[26px] w-full items-center gap-3 border-b border-line px-2 text-left focus-visible:outline-offset-[-2px] ${open || current ? 'bg-selected' : 'hover:bg-hover'}`}
    >
      <ChevronRight size={12} aria-hidden className={`shrink-0 text-muted ${open ? 'rotate-90' : ''}`} />
      <time className="tabular shrink-0 font-mono text-xs text-muted" title={formatExact(time)} dateTime={new Date(toMillis(time)).toISOString()}>
        {t0 === undefined ? formatTime(toMillis(time)) : formatDuration(Number(time - t0)).padStart(8)}
      </time>
      <span className="w-[74px] shrink-0">
        <SeverityMark text={log.severity_text} number={log.severity_number} />
      </span>
      <span className="w-32 shrink-0 text-xs text-soft">
        <ServiceName name={log.service} />
      </span>
      <span className="min-w-0 flex-1 truncate font-mono text-xs">{visibleText(log.body.slice(0, 500))}</span>
      {log.trace_id !== '' && <Waypoints size={12} role="img" aria-label="belongs to a trace" className="shrink-0 text-muted" />}
    </button>
  )
}

function Detail({ log, onSpan, onFilter }: { log: LogRow; onSpan?: (log: LogRow) => void; onFilter?: (filter: Filter) => void }) {
  return (
    <div className="border-b border-line bg-bg px-4 py-3">
      <div className="card relative px-3 py-2 pr-8 font-mono text-xs leading-[18px] break-words">
        <LongText text={log.body} limit={16_384} />
        <span className="absolute top-1 right-1">
          <CopyButton small text={log.body} label="Copy the message" />
        </span>
      </div>
      <p className="tabular mt-2 flex flex-wrap items-center gap-x-4 gap-y-1 text-xs text-soft">
        <span>{formatExact(nanos(log.time))}</span>
        {log.trace_id !== '' &&
          (onSpan ? (
            <button type="button" className="inline-flex items-center gap-1 text-accent-text hover:underline" onClick={() => onSpan(log)}>
              <Waypoints size={12} aria-hidden /> Show its span
            </button>
          ) : (
            <Link
              to="/traces/$id"
              params={{ id: log.trace_id }}
              search={{ span_id: log.span_id || undefined }}
              className="inline-flex items-center gap-1 text-accent-text hover:underline"
            >
              <Waypoints size={12} aria-hidden /> Open its trace <span className="font-mono">{log.trace_id.slice(0, 8)}</span>
            </Link>
          ))}
        {log.trace_id === '' && <span className="text-muted">Carries no trace id</span>}
      </p>
      <div className="mt-2 grid grid-cols-2 gap-3 max-[1100px]:grid-cols-1">
        <section className="card overflow-hidden">
          <h3 className="caps border-b border-line px-3 py-1.5">Attributes</h3>
          <AttributeTable attributes={log.attributes} onFilter={onFilter} />
        </section>
        <section className="card overflow-hidden">
          <h3 className="caps border-b border-line px-3 py-1.5">Resource</h3>
          <AttributeTable attributes={log.resource} onFilter={onFilter} />
        </section>
      </div>
    </div>
  )
}
