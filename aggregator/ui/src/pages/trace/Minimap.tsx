/** The whole trace at a glance; drag over it to zoom the waterfall in. */
import { type PointerEvent, useEffect, useRef, useState } from 'react'
import { token } from '../../lib/color'
import type { Outline } from '../../lib/outline'
import { useShownTheme } from '../../lib/theme'

export type View = { from: number; to: number }
const height = 54

export function Minimap({ outline, colors, view, onView }: { outline: Outline; colors: string[]; view: View; onView: (view: View) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const theme = useShownTheme()
  const [width, setWidth] = useState(0)
  const [drag, setDrag] = useState<View>()

  useEffect(() => {
    const element = canvas.current
    if (!element) return undefined
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  useEffect(() => {
    if (canvas.current && width > 0) draw(canvas.current, width, outline, colors)
  }, [outline, colors, width, theme])

  const at = (event: PointerEvent<HTMLElement>): number => {
    const box = event.currentTarget.getBoundingClientRect()
    return (Math.min(Math.max(event.clientX - box.left, 0), box.width) / box.width) * outline.duration
  }
  const shown = drag ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) } : view
  const left = (shown.from / outline.duration) * 100
  const right = 100 - (shown.to / outline.duration) * 100
  return (
    <div
      className="relative cursor-crosshair touch-none border-b border-line bg-sunken select-none"
      title="Drag to zoom, double-click to reset"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        const x = at(event)
        setDrag({ from: x, to: x })
      }}
      onPointerMove={(event) => {
        if (drag) setDrag({ from: drag.from, to: at(event) })
      }}
      onPointerUp={() => {
        if (drag && shown.to - shown.from > outline.duration / 400) onView(shown)
        setDrag(undefined)
      }}
      onPointerCancel={() => setDrag(undefined)}
      onDoubleClick={() => onView({ from: 0, to: outline.duration })}
    >
      <canvas ref={canvas} className="block w-full" style={{ height }} aria-hidden />
      <div aria-hidden className="absolute inset-y-0 left-0 bg-bg/70" style={{ width: `${left}%` }} />
      <div aria-hidden className="absolute inset-y-0 right-0 bg-bg/70" style={{ width: `${right}%` }} />
      {(left > 0 || right > 0) && (
        <div aria-hidden className="absolute inset-y-0 border-x-2 border-accent" style={{ left: `${left}%`, right: `${right}%` }} />
      )}
    </div>
  )
}

/** Batched by colour: 50,000 spans are a dozen fills. Errors come last, so that nothing covers them. */
function draw(element: HTMLCanvasElement, width: number, outline: Outline, colors: string[]): void {
  const ratio = window.devicePixelRatio || 1
  element.width = width * ratio
  element.height = height * ratio
  const ctx = element.getContext('2d')
  if (!ctx) return
  ctx.scale(ratio, ratio)
  ctx.clearRect(0, 0, width, height)
  const inner = height - 10
  const pitch = Math.min(4, inner / outline.length)
  const thick = Math.max(0.75, pitch - (pitch > 2 ? 1 : 0))
  const paths = outline.services.map(() => new Path2D())
  const errors = new Path2D()
  for (let row = 0; row < outline.length; row++) {
    const x = (outline.start(row) / outline.duration) * width
    const w = Math.max(1, (outline.dur(row) / outline.duration) * width)
    const y = 5 + row * pitch
    paths[outline.serviceIndex(row)]?.rect(x, y, w, thick)
    if (outline.has(row, 'error')) errors.rect(x, y - 0.5, Math.max(2, w), Math.max(1.5, thick))
  }
  paths.forEach((path, index) => {
    ctx.fillStyle = token(colors[index])
    ctx.fill(path)
  })
  ctx.fillStyle = token('--error')
  ctx.fill(errors)
}
