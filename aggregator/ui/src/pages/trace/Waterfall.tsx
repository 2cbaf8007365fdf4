/** The waterfall: a tree of spans over time. A treegrid, so that keyboard and screen readers walk it as what it is. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { ChevronDown, ChevronRight, ChevronUp, ChevronsDownUp, ChevronsUpDown, Link2, Search, Unlink, X } from 'lucide-react'
import { type KeyboardEvent, type PointerEvent, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { LogRow } from '../../api/types'
import { ErrorMark } from '../../components/marks'
import { useKeys } from '../../lib/keys'
import { type Outline, type Row, step, ticks } from '../../lib/outline'
import { useRemembered } from '../../lib/storage'
import { severityColor, severityOf, visibleText } from '../../lib/text'
import { nanos } from '../../lib/time'
import { formatDuration, formatWhole, plural } from '../../lib/units'
import { Button, IconButton } from '../../ui/button'
import { Minimap, type View } from './Minimap'
import { SpanPanel } from './SpanPanel'
import { useEventTimes } from './useEventTimes'

type Props = {
  p: number
  outline: Outline
  colors: string[]
  logs: LogRow[] | undefined
  picked: Row | undefined
  onPick: (row: Row | undefined) => void
  text: string
  onText: (text: string) => void
}
type Line = { kind: 'span'; row: Row } | { kind: 'log'; row: Row; log: LogRow; offset: number } | { kind: 'more'; row: Row; count: number }

const spanHeight = 26
const logHeight = 22
const logsInline = 4

export function Waterfall({ p, outline, colors, logs, picked, onPick, text, onText }: Props) {
  const [closed, setClosed] = useState<ReadonlySet<Row>>(() => {
    const first = outline.foldedAtFirst()
    if (picked !== undefined) for (const row of outline.ancestors(picked)) first.delete(row)
    return first
  })
  const [view, setView] = useState<View>({ from: 0, to: outline.duration })
  const [only, setOnly] = useState(false)
  const [tab, setTab] = useState('overview')
  const [inline, setInline] = useRemembered('inlineLogs')
  const [nameWidth, setNameWidth] = useStoredWidth('nameWidth', 400, 180, 900)
  const [panelWidth, setPanelWidth] = useStoredWidth('panelWidth', 430, 300, 900)
  const scroller = useRef<HTMLDivElement>(null)
  const field = useRef<HTMLInputElement>(null)
  // Arrow keys move faster than the address bar may: the cursor is local, the URL follows when it rests.
  const [cursor, setCursor] = useState<Row>(picked ?? 0)
  const lastPicked = useRef(picked)

  const matches = useMemo(() => outline.search(text), [outline, text])
  const matching = useMemo(() => new Set(matches), [matches])
  const errors = useMemo(() => outline.errors(), [outline])
  const keep = useMemo(() => (only && matches.length > 0 ? outline.withAncestors(matches) : undefined), [only, matches, outline])
  // While only matches are shown, what leads to one is open.
  const folded = useMemo(() => (keep ? new Set([...closed].filter((row) => !keep.has(row))) : closed), [closed, keep])
  const visible = useMemo(() => outline.visible(folded, keep), [outline, folded, keep])
  const bySpan = useMemo(() => groupLogs(logs ?? [], outline), [logs, outline])
  const showLogs = inline !== 'off'
  const lines = useMemo(() => layLines(visible, bySpan, folded, showLogs, outline), [visible, bySpan, folded, showLogs, outline])
  const lineOf = useMemo(() => new Map(lines.flatMap((line, index) => (line.kind === 'span' ? [[line.row, index] as const] : []))), [lines])

  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (lines[index]?.kind === 'span' ? spanHeight : logHeight),
    overscan: 12,
    getItemKey: (index) => lineKey(lines[index], index),
  })
  useEffect(() => virtual.measure(), [lines, virtual])
  const items = virtual.getVirtualItems()
  const onScreen = useMemo(
    () => items.map((item) => lines[item.index]).flatMap((line) => (line?.kind === 'span' && outline.has(line.row, 'events') ? [line.row] : [])),
    [items, lines, outline],
  )
  const eventTimes = useEventTimes(p, outline, onScreen)

  const show = useCallback(
    (row: Row, open: boolean) => {
      const hidden = outline.ancestors(row).filter((a) => folded.has(a))
      if (hidden.length > 0) setClosed(new Set([...folded].filter((f) => !hidden.includes(f))))
      setCursor(row)
      if (open) {
        lastPicked.current = row
        onPick(row)
      }
    },
    [outline, folded, onPick],
  )
  // A link, or back and forward, picked another span.
  useEffect(() => {
    if (picked !== undefined && picked !== lastPicked.current) show(picked, false)
    lastPicked.current = picked
  }, [picked, show])
  // The cursor stays on the screen.
  useEffect(() => {
    const index = lineOf.get(cursor)
    if (index !== undefined) virtual.scrollToIndex(index, { align: 'auto' })
  }, [cursor, lineOf, virtual])
  // While the panel is open it follows the cursor.
  useEffect(() => {
    if (picked === undefined || picked === cursor || lastPicked.current !== picked) return undefined
    const timer = window.setTimeout(() => {
      lastPicked.current = cursor
      onPick(cursor)
    }, 120)
    return () => window.clearTimeout(timer)
  }, [cursor, picked, onPick])

  const fold = (row: Row, on: boolean) => {
    const next = new Set(closed)
    if (on) next.add(row)
    else next.delete(row)
    setClosed(next)
  }
  const foldAll = (on: boolean) => {
    const next = new Set<Row>()
    if (on) for (let row = 0; row < outline.length; row++) if (outline.subtree(row) > 1 && outline.depth(row) > 0) next.add(row)
    setClosed(next)
    if (on) setCursor(outline.depth(cursor) > 1 ? (outline.ancestors(cursor).at(-2) ?? 0) : cursor)
  }
  const go = (row: Row | undefined) => {
    if (row !== undefined) show(row, picked !== undefined)
  }
  const close = () => {
    lastPicked.current = undefined
    onPick(undefined)
    scroller.current?.focus({ preventScroll: true })
  }
  const reset = () => setView({ from: 0, to: outline.duration })
  const withLogs = () => [...bySpan.keys()].toSorted((a, b) => a - b)

  useKeys({
    '/': () => field.current?.focus(),
    n: () => go(step(matches, cursor, 1)),
    p: () => go(step(matches, cursor, -1)),
    e: () => go(step(errors, cursor, 1)),
    l: () => {
      const row = step(withLogs(), cursor, 1)
      if (row === undefined) return
      setTab('events')
      show(row, true)
    },
    '0': reset,
    '*': () => foldAll(false),
    Escape: () => picked !== undefined && close(),
  })

  const move = (by: number) => {
    const at = visible.indexOf(cursor)
    setCursor(visible[Math.min(Math.max(at + by, 0), visible.length - 1)] ?? 0)
  }
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const isFolded = folded.has(cursor)
    const hasChildren = outline.subtree(cursor) > 1
    switch (event.key) {
      case 'ArrowDown':
      case 'j':
        move(1)
        break
      case 'ArrowUp':
      case 'k':
        move(-1)
        break
      case 'PageDown':
        move(20)
        break
      case 'PageUp':
        move(-20)
        break
      case 'Home':
        setCursor(visible[0] ?? 0)
        break
      case 'End':
        setCursor(visible.at(-1) ?? 0)
        break
      case 'ArrowRight':
        if (hasChildren && isFolded) fold(cursor, false)
        else if (hasChildren) move(1)
        break
      case 'ArrowLeft':
        if (hasChildren && !isFolded) fold(cursor, true)
        else if (outline.parent(cursor) >= 0) setCursor(outline.parent(cursor))
        break
      case 'Enter':
      case ' ':
        show(cursor, true)
        break
      default:
        return
    }
    event.preventDefault()
  }

  const place = matches.indexOf(cursor)
  return (
    <div className="flex h-full min-h-0">
      <div className="flex min-w-0 flex-1 flex-col">
        <div className="flex h-10 shrink-0 items-center gap-1.5 border-b border-line px-3">
          <div className="relative w-64 min-w-32 shrink">
            <Search size={13} aria-hidden className="absolute top-2 left-2 text-muted" />
            <input
              ref={field}
              className="field w-full pr-7 pl-7"
              aria-label="Search in this trace"
              placeholder="Search spans, service:…, is:error"
              spellCheck={false}
              value={text}
              onChange={(event) => onText(event.target.value)}
              onKeyDown={(event) => {
                if (event.key === 'Enter') {
                  go(step(matches, cursor, event.shiftKey ? -1 : 1))
                  event.preventDefault()
                } else if (event.key === 'Escape') {
                  if (text !== '') onText('')
                  else scroller.current?.focus()
                  event.preventDefault()
                } else if (event.key === 'ArrowDown') {
                  scroller.current?.focus()
                  event.preventDefault()
                }
              }}
            />
            {text !== '' && (
              <button type="button" aria-label="Clear the search" className="absolute top-1.5 right-1.5 text-muted hover:text-text" onClick={() => onText('')}>
                <X size={15} />
              </button>
            )}
          </div>
          {text !== '' && (
            <>
              <span role="status" className="tabular text-xs whitespace-nowrap text-soft">
                {matches.length === 0 ? 'No match' : `${place >= 0 ? `${formatWhole(place + 1)} of ` : ''}${formatWhole(matches.length)}`}
              </span>
              <IconButton label="Match before (p)" disabled={matches.length === 0} onClick={() => go(step(matches, cursor, -1))}>
                <ChevronUp size={15} />
              </IconButton>
              <IconButton label="Next match (n)" disabled={matches.length === 0} onClick={() => go(step(matches, cursor, 1))}>
                <ChevronDown size={15} />
              </IconButton>
              <Button pressed={only} onClick={() => setOnly(!only)} disabled={matches.length === 0}>
                Only matches
              </Button>
            </>
          )}
          {errors.length > 0 && (
            <Button onClick={() => go(step(errors, cursor, 1))} title="Next error (e)">
              <ErrorMark label="" /> {plural(errors.length, 'error')}
            </Button>
          )}
          <div className="ml-auto flex items-center gap-1.5">
            {(view.from > 0 || view.to < outline.duration) && (
              <Button onClick={reset} title="Reset zoom (0)">
                {formatDuration(view.from)} – {formatDuration(view.to)}
                <X size={13} aria-label="Reset zoom" />
              </Button>
            )}
            {bySpan.size > 0 && (
              <Button pressed={showLogs} onClick={() => setInline(showLogs ? 'off' : undefined)}>
                Logs inline
              </Button>
            )}
            <IconButton label="Fold all" onClick={() => foldAll(true)}>
              <ChevronsDownUp size={15} />
            </IconButton>
            <IconButton label="Unfold all (*)" onClick={() => foldAll(false)}>
              <ChevronsUpDown size={15} />
            </IconButton>
          </div>
        </div>
        <Minimap outline={outline} colors={colors} view={view} onView={setView} />
        <Axis view={view} nameWidth={nameWidth} onNameWidth={setNameWidth} />
        <div
          ref={scroller}
          role="treegrid"
          tabIndex={0}
          aria-label="Spans"
          aria-rowcount={outline.length}
          aria-activedescendant={`span-${outline.id(cursor)}`}
          className="group/grid min-h-0 flex-1 overflow-y-auto overscroll-contain focus-visible:outline-none"
          onKeyDown={onKey}
        >
          <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
            {items.map((item) => {
              const line = lines[item.index]
              if (!line) return null
              const at = { transform: `translateY(${item.start}px)`, height: item.size }
              return line.kind === 'span' ? (
                <SpanLine
                  key={item.key}
                  style={at}
                  outline={outline}
                  row={line.row}
                  color={colors[outline.serviceIndex(line.row)]}
                  view={view}
                  nameWidth={nameWidth}
                  folded={folded.has(line.row)}
                  current={line.row === cursor}
                  picked={line.row === picked}
                  match={matching.has(line.row)}
                  faint={text !== '' && matches.length > 0 && !matching.has(line.row)}
                  events={eventTimes.get(outline.id(line.row))}
                  logs={bySpan.get(line.row)}
                  onFold={() => fold(line.row, !folded.has(line.row))}
                  onOpen={() => {
                    show(line.row, true)
                    scroller.current?.focus({ preventScroll: true })
                  }}
                />
              ) : (
                <LogLine
                  key={item.key}
                  style={at}
                  line={line}
                  depth={outline.depth(line.row) + 1}
                  view={view}
                  nameWidth={nameWidth}
                  onOpen={() => {
                    setTab('events')
                    show(line.row, true)
                  }}
                />
              )
            })}
          </div>
        </div>
      </div>
      {picked !== undefined && (
        <>
          <Handle label="Width of the span panel" width={panelWidth} onWidth={setPanelWidth} reverse />
          <aside className="flex min-h-0 shrink-0 flex-col" style={{ width: panelWidth, maxWidth: '60vw' }} aria-label="Span">
            <SpanPanel
              p={p}
              outline={outline}
              row={picked}
              color={colors[outline.serviceIndex(picked)]}
              logs={bySpan.get(picked) ?? []}
              tab={tab}
              onTab={setTab}
              onPick={(row) => show(row, true)}
              onClose={close}
            />
          </aside>
        </>
      )}
    </div>
  )
}

function Axis({ view, nameWidth, onNameWidth }: { view: View; nameWidth: number; onNameWidth: (width: number) => void }) {
  const width = view.to - view.from
  return (
    <div className="flex h-6 shrink-0 border-b border-line text-xs text-muted">
      <div className="caps flex shrink-0 items-center pl-3" style={{ width: nameWidth }}>
        Service and operation
      </div>
      <Handle label="Width of the name column" width={nameWidth} onWidth={onNameWidth} />
      <div className="tabular relative mr-3 flex-1">
        {ticks(view.from, view.to, 6).map((at) => {
          const x = ((at - view.from) / width) * 100
          if (x > 90) return null
          return (
            <span key={at} className="absolute top-0 h-full border-l border-line pt-1 pl-1 leading-4 whitespace-nowrap" style={{ left: `${x}%` }}>
              {formatDuration(at)}
            </span>
          )
        })}
      </div>
    </div>
  )
}

const indent = (depth: number) => Math.min(depth, 24) * 12 + Math.max(0, Math.min(depth - 24, 60)) * 3

function SpanLine({ style, outline, row, color, view, nameWidth, folded, current, picked, match, faint, events, logs, onFold, onOpen }: {
  style: React.CSSProperties
  outline: Outline
  row: Row
  color: string
  view: View
  nameWidth: number
  folded: boolean
  current: boolean
  picked: boolean
  match: boolean
  faint: boolean
  events: number[] | undefined
  logs: LogRow[] | undefined
  onFold: () => void
  onOpen: () => void
}) {
  const width = view.to - view.from
  const x = (offset: number) => ((offset - view.from) / width) * 100
  const left = x(outline.start(row))
  const right = x(outline.start(row) + outline.dur(row))
  const shownLeft = Math.max(left, 0)
  const shownWidth = Math.min(right, 100) - shownLeft
  const outside = right < 0 || left > 100
  const children = outline.subtree(row) - 1
  const failed = outline.has(row, 'error')
  const depth = outline.depth(row)
  const name = outline.name(row)
  const background = picked ? 'bg-selected' : current ? 'bg-hover' : match ? 'bg-warn-soft' : 'hover:bg-hover'
  return (
    // The grid owns the focus and the keys; a row only takes the mouse.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
    <div
      role="row"
      id={`span-${outline.id(row)}`}
      aria-level={depth + 1}
      aria-rowindex={row + 1}
      aria-expanded={children > 0 ? !folded : undefined}
      aria-selected={picked}
      className={`absolute top-0 left-0 flex w-full cursor-pointer items-center ${background} ${faint ? 'opacity-45' : ''} ${current ? 'group-focus-visible/grid:outline-2 group-focus-visible/grid:-outline-offset-2 group-focus-visible/grid:outline-accent' : ''}`}
      style={style}
      onClick={onOpen}
    >
      <div role="gridcell" className="flex h-full shrink-0 items-center gap-1.5 overflow-hidden border-r border-line pr-2" style={{ width: nameWidth, paddingLeft: 6 + indent(depth) }}>
        {children > 0 ? (
          <button
            type="button"
            tabIndex={-1}
            aria-label={folded ? `Unfold ${plural(children, 'span')}` : 'Fold'}
            className="flex h-4 w-4 shrink-0 items-center justify-center rounded text-muted hover:bg-line hover:text-text"
            onClick={(event) => {
              event.stopPropagation()
              onFold()
            }}
          >
            {folded ? <ChevronRight size={13} /> : <ChevronDown size={13} />}
          </button>
        ) : (
          <span className="w-4 shrink-0" />
        )}
        <span aria-hidden className="h-3.5 w-1 shrink-0 rounded-full" style={{ background: color }} />
        {failed && <ErrorMark />}
        {outline.has(row, 'orphan') && <Unlink size={12} role="img" aria-label="its parent is missing" className="shrink-0 text-warn" />}
        <span className="max-w-[45%] shrink-0 truncate text-xs text-muted">{visibleText(outline.service(row))}</span>
        <span className={`min-w-0 truncate ${failed ? 'font-medium text-error' : ''}`} title={`${outline.service(row)}: ${name}`}>
          {visibleText(name)}
        </span>
        {folded && children > 0 && <span className="tabular shrink-0 rounded bg-sunken px-1 text-2xs text-muted">+{formatWhole(children)}</span>}
        {outline.has(row, 'links') && <Link2 size={12} role="img" aria-label="has links" className="ml-auto shrink-0 text-muted" />}
      </div>
      <div role="gridcell" className="tabular relative mr-3 h-full min-w-0 flex-1 overflow-hidden">
        {!outside && (
          <div
            className={`absolute top-[8px] h-[10px] rounded-[2px] ${failed ? 'ring-1 ring-error' : ''}`}
            style={{ left: `${shownLeft}%`, width: `max(2px, ${shownWidth}%)`, background: color }}
          />
        )}
        {!outside && outline.has(row, 'critical') && (
          <div aria-hidden title="On the critical path" className="absolute top-[20px] h-[2px] rounded-full bg-text/60" style={{ left: `${shownLeft}%`, width: `max(2px, ${shownWidth}%)` }} />
        )}
        {events?.map((at, index) => {
          const tick = x(at)
          return tick >= 0 && tick <= 100 ? (
            <span key={index} aria-hidden className="absolute top-[5px] h-4 w-[2px] rounded-full bg-text" style={{ left: `calc(${tick}% - 1px)` }} />
          ) : null
        })}
        {logs?.slice(0, 50).map((log, index) => {
          const tick = x(Number(nanos(log.time) - outline.t0))
          return tick >= 0 && tick <= 100 ? (
            <span
              key={index}
              aria-hidden
              className="absolute top-[10px] h-1.5 w-1.5 rotate-45 border border-panel"
              style={{ left: `calc(${tick}% - 3px)`, background: severityColor(severityOf(log.severity_number, log.severity_text)) }}
            />
          ) : null
        })}
        {!outside && <DurationLabel left={shownLeft} right={shownLeft + shownWidth} text={formatDuration(outline.dur(row))} />}
        {outside && <span className={`absolute top-1 text-xs text-muted ${right < 0 ? 'left-1' : 'right-1'}`}>{right < 0 ? '‹' : '›'}</span>}
      </div>
    </div>
  )
}

/** Beside the bar where there is room: right of it, left of it, else on it. */
function DurationLabel({ left, right, text }: { left: number; right: number; text: string }) {
  const base = 'absolute top-[4px] text-xs leading-[18px] whitespace-nowrap'
  if (right < 88) {
    return (
      <span className={`${base} pl-1.5 text-soft`} style={{ left: `max(${right}%, ${left}% + 2px)` }}>
        {text}
      </span>
    )
  }
  if (left > 12) {
    return (
      <span className={`${base} pr-1.5 text-soft`} style={{ right: `${100 - left}%` }}>
        {text}
      </span>
    )
  }
  return <span className={`${base} right-1.5 rounded bg-panel/85 px-1 !leading-[14px] !top-[6px] text-text`}>{text}</span>
}

function LogLine({ style, line, depth, view, nameWidth, onOpen }: {
  style: React.CSSProperties
  line: Extract<Line, { kind: 'log' | 'more' }>
  depth: number
  view: View
  nameWidth: number
  onOpen: () => void
}) {
  const at = line.kind === 'log' ? ((line.offset - view.from) / (view.to - view.from)) * 100 : 0
  const severity = line.kind === 'log' ? severityOf(line.log.severity_number, line.log.severity_text) : 'unset'
  const loud = severity === 'error' || severity === 'fatal'
  return (
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
    <div role="row" aria-level={depth + 1} className="absolute top-0 left-0 flex w-full cursor-pointer items-center hover:bg-hover" style={style} onClick={onOpen}>
      <div role="gridcell" className="flex h-full shrink-0 items-center gap-1.5 overflow-hidden border-r border-line pr-2 text-xs" style={{ width: nameWidth, paddingLeft: 26 + indent(depth) }}>
        <span aria-hidden className="h-1.5 w-1.5 shrink-0 rotate-45" style={{ background: severityColor(severity) }} />
        {line.kind === 'log' ? (
          <>
            <span className={`shrink-0 text-2xs font-semibold uppercase ${loud ? 'text-error' : severity === 'warn' ? 'text-warn' : 'text-muted'}`}>
              {visibleText(line.log.severity_text || severity).slice(0, 5)}
            </span>
            <span className={`truncate font-mono text-2xs ${loud ? 'text-error' : 'text-soft'}`} title={line.log.body.slice(0, 1000)}>
              {visibleText(line.log.body.slice(0, 300))}
            </span>
          </>
        ) : (
          <span className="text-muted">{plural(line.count, 'more log')}</span>
        )}
      </div>
      <div role="gridcell" className="relative mr-3 h-full flex-1">
        {line.kind === 'log' && at >= 0 && at <= 100 && (
          <span className="absolute top-[8px] h-1.5 w-1.5 rotate-45" style={{ left: `calc(${at}% - 3px)`, background: severityColor(severity) }} />
        )}
      </div>
    </div>
  )
}

/** A divider that is dragged, or moved by the arrow keys. */
function Handle({ label, width, onWidth, reverse = false }: { label: string; width: number; onWidth: (width: number) => void; reverse?: boolean }) {
  const start = useRef<{ x: number; width: number }>(undefined)
  const sign = reverse ? -1 : 1
  const drag = (event: PointerEvent) => {
    if (start.current) onWidth(start.current.width + sign * (event.clientX - start.current.x))
  }
  return (
    <div
      role="separator"
      aria-label={label}
      aria-orientation="vertical"
      aria-valuenow={Math.round(width)}
      tabIndex={0}
      className={`z-10 w-[5px] shrink-0 cursor-col-resize touch-none hover:bg-accent ${reverse ? 'border-l border-line' : '-ml-[3px] -mr-[2px]'}`}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        start.current = { x: event.clientX, width }
      }}
      onPointerMove={drag}
      onPointerUp={() => (start.current = undefined)}
      onKeyDown={(event) => {
        if (event.key === 'ArrowLeft') onWidth(width - sign * 20)
        if (event.key === 'ArrowRight') onWidth(width + sign * 20)
      }}
    />
  )
}

function useStoredWidth(key: string, first: number, least: number, most: number): [number, (width: number) => void] {
  const [stored, store] = useRemembered(key)
  const width = Math.min(Math.max(Number(stored) || first, least), most)
  return [width, useCallback((next: number) => store(String(Math.round(Math.min(Math.max(next, least), most)))), [store, least, most])]
}

function groupLogs(logs: LogRow[], outline: Outline): Map<Row, LogRow[]> {
  const map = new Map<Row, LogRow[]>()
  for (const log of logs) {
    const row = outline.rowOf(log.span_id)
    if (row === undefined) continue
    const list = map.get(row)
    if (list) list.push(log)
    else map.set(row, [log])
  }
  for (const list of map.values()) list.sort((a, b) => Number(nanos(a.time) - nanos(b.time)))
  return map
}

function layLines(visible: Row[], bySpan: Map<Row, LogRow[]>, folded: ReadonlySet<Row>, showLogs: boolean, outline: Outline): Line[] {
  const lines: Line[] = []
  for (const row of visible) {
    lines.push({ kind: 'span', row })
    const logs = showLogs && !folded.has(row) ? bySpan.get(row) : undefined
    if (!logs) continue
    for (const log of logs.slice(0, logsInline)) lines.push({ kind: 'log', row, log, offset: Number(nanos(log.time) - outline.t0) })
    if (logs.length > logsInline) lines.push({ kind: 'more', row, count: logs.length - logsInline })
  }
  return lines
}

function lineKey(line: Line | undefined, index: number): string {
  return line?.kind === 'span' ? `s${line.row}` : `l${index}`
}
