/** One chart over time: uPlot on a canvas; cursor, legend and keyboard are ours. Loaded when the first chart is shown. */
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { token } from '../../lib/color'
import { useShownTheme } from '../../lib/theme'
import { formatTime } from '../../lib/time'
import type { ChartProps, Series } from './types'

export default function Plot({ label, times, series, height, format, kind = 'line', stepMs, window: shown, onZoom, syncKey, hideLegend = false, log = false }: ChartProps) {
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const theme = useShownTheme()
  const [index, setIndex] = useState<number>()
  const [hidden, setHidden] = useState<ReadonlySet<string>>(() => new Set())
  const id = useId()
  const zoom = useRef(onZoom)
  useEffect(() => {
    zoom.current = onZoom
  })

  const visible = useMemo(() => series.filter((s) => !hidden.has(s.label)), [series, hidden])
  const stacked = kind === 'stacked'
  const data = useMemo(() => toData(times, visible, stacked, log), [times, visible, stacked, log])

  useEffect(() => {
    const element = host.current
    if (!element) return undefined
    const setup = { element, height, series: visible, kind, stepMs, format, shown, syncKey, log, onCursor: setIndex }
    const chart = new uPlot(options({ ...setup, zoom: (a, b) => zoom.current?.(a, b) }), data, element)
    plot.current = chart
    const observer = new ResizeObserver(([entry]) => chart.setSize({ width: Math.round(entry.contentRect.width), height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      chart.destroy()
      plot.current = undefined
    }
    // Colours come from tokens, so a change of theme draws anew.
  }, [data, visible, kind, stepMs, height, format, shown, syncKey, log, theme])

  const onKey = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0
    const chart = plot.current
    if (by === 0 || !chart || times.length === 0) return
    event.preventDefault()
    const next = Math.min(Math.max((index ?? (by > 0 ? -1 : times.length)) + by, 0), times.length - 1)
    chart.setCursor({ left: chart.valToPos(times[next] / 1000, 'x'), top: 10 })
    setIndex(next)
  }
  const at = index !== undefined && index < times.length ? index : undefined
  return (
    <figure className="min-w-0">
      {/* A chart is read with the arrow keys, too. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <div
        ref={host}
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        role="img"
        aria-label={`${label}. Use the left and right arrow keys to read values.`}
        aria-describedby={id}
        onKeyDown={onKey}
        className="w-full rounded focus-visible:outline-offset-0"
      />
      <figcaption
        id={id}
        aria-live="polite"
        className={`tabular flex min-h-5 flex-wrap items-center gap-x-3.5 pl-1 text-xs text-soft ${hideLegend ? 'sr-only' : ''}`}
      >
        {series.map((s) => (
          <button
            key={s.label}
            type="button"
            aria-pressed={!hidden.has(s.label)}
            title="Show only this, or all again"
            onClick={() => setHidden(toggled(hidden, s.label, series))}
            className={`inline-flex max-w-72 items-center gap-1.5 hover:text-text ${hidden.has(s.label) ? 'line-through opacity-50' : ''}`}
          >
            <span aria-hidden className="h-2 w-2 shrink-0 rounded-[2px]" style={{ background: s.color }} />
            <span className="truncate">{s.label}</span>
            {at !== undefined && <span className="font-medium text-text">{s.values[at] == null ? '–' : format(Number(s.values[at]))}</span>}
          </button>
        ))}
        {at !== undefined && <span className="ml-auto text-muted">{formatTime(times[at]).replace(/\.\d+$/, '')}</span>}
      </figcaption>
    </figure>
  )
}

function toggled(hidden: ReadonlySet<string>, label: string, series: Series[]): Set<string> {
  const others = series.map((s) => s.label).filter((l) => l !== label)
  const alone = !hidden.has(label) && others.every((l) => hidden.has(l))
  return alone ? new Set() : new Set(others)
}

/** Stacks from the bottom up: the first series lies lowest. uPlot draws later series on top, so they go in reverse. */
function toData(times: number[], series: Series[], stacked: boolean, log: boolean): uPlot.AlignedData {
  const x = times.map((t) => t / 1000)
  if (log) return [x, ...series.map((s) => s.values.map((v) => (v !== null && v > 0 ? v : null)))]
  if (!stacked) return [x, ...series.map((s) => s.values)]
  const sums = Array.from({ length: times.length }, () => 0)
  const layers = series.map((s) => s.values.map((v, i) => (sums[i] += v ?? 0)))
  return [x, ...layers.toReversed()]
}

type Setup = {
  element: HTMLElement
  height: number
  series: Series[]
  kind: ChartProps['kind']
  stepMs: number
  format: (value: number) => string
  shown: ChartProps['window']
  syncKey: string | undefined
  log: boolean
  zoom: (from: number, to: number) => void
  onCursor: (index: number | undefined) => void
}

function options({ element, height, series, kind, stepMs, format, shown, syncKey, log, zoom, onCursor }: Setup): uPlot.Options {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`
  const axis = { stroke: token('--muted'), font, grid: { stroke: token('--line'), width: 1 }, ticks: { show: false } }
  const bars = uPlot.paths.bars?.({ size: [0.86, 40], align: 1 })
  const line = uPlot.paths.linear?.()
  const list = kind === 'stacked' ? series.toReversed() : series
  const lonely = (u: uPlot, si: number) => Array.from(u.data[si] ?? []).filter((v) => v != null).length < 3
  return {
    width: Math.max(50, Math.round(element.clientWidth)),
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false },
      points: { show: kind !== 'stacked', size: 7 },
      sync: syncKey === undefined ? undefined : { key: syncKey, setSeries: false },
    },
    scales: {
      x: { range: () => [shown.from / 1000, Math.max(shown.to, shown.from + stepMs) / 1000] },
      y: log
        ? { distr: 3, range: (_, low, high) => (high > 0 ? uPlot.rangeLog(low, high * 1.1, 10, false) : [1, 10]) }
        : { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.06 : 1] },
    },
    axes: [
      { ...axis, size: 24, space: 70, values: (_, splits, __, ___, incr) => splits.map((s) => clock(s, incr)) },
      {
        ...axis,
        size: 58,
        space: log ? 18 : 34,
        values: (_, splits) => splits.map((s) => (s === null ? '' : format(s))),
        ...(log && { filter: powersOfTen, grid: { ...axis.grid, filter: powersOfTen } }),
      },
    ],
    series: [
      {},
      ...list.map((s): uPlot.Series => ({
        label: s.label,
        stroke: token(s.color),
        width: kind === 'stacked' ? 0 : 1.6,
        fill: kind === 'stacked' ? token(s.color) : kind === 'area' ? `color-mix(in srgb, ${token(s.color)} 14%, transparent)` : undefined,
        paths: kind === 'stacked' ? bars : line,
        points: { show: kind === 'stacked' ? false : lonely, size: 5, fill: token(s.color) },
      })),
    ],
    hooks: {
      setCursor: [(u) => onCursor(u.cursor.idx ?? undefined)],
      setSelect: [
        (u) => {
          if (u.select.width < 6) return
          const from = u.posToVal(u.select.left, 'x') * 1000
          const to = u.posToVal(u.select.left + u.select.width, 'x') * 1000
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          zoom(from, to)
        },
      ],
    },
  }
}

const powersOfTen = (_: uPlot, splits: number[]) => splits.map((s) => (Number.isInteger(Math.round(Math.log10(s) * 1e6) / 1e6) ? s : null))
const two = (n: number) => String(n).padStart(2, '0')
function clock(seconds: number, increment: number): string {
  const at = new Date(seconds * 1000)
  const midnight = at.getHours() === 0 && at.getMinutes() === 0
  if (increment >= 86_400 || (midnight && increment >= 3600)) return `${at.getDate()}.${at.getMonth() + 1}.`
  return `${two(at.getHours())}:${two(at.getMinutes())}${increment < 60 ? `:${two(at.getSeconds())}` : ''}`
}
