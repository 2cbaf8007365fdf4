import type { Window } from '../../lib/time'

export type Series = { label: string; color: string; values: (number | null)[] }
export type ChartProps = {
  /** What the chart shows, for those who don't see it. */
  label: string
  times: number[]
  series: Series[]
  height: number
  format: (value: number) => string
  kind?: 'line' | 'area' | 'stacked'
  stepMs: number
  window: Window
  onZoom?: (from: number, to: number) => void
  syncKey?: string
  hideLegend?: boolean
  /** Logarithmic, for values that spread over powers of ten. */
  log?: boolean
}

const niceSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400].map((s) => s * 1000)

/** A round step that gives about this many points. */
export function stepFor({ from, to }: Window, points = 90): number {
  const rough = (to - from) / points
  return niceSteps.find((s) => s >= rough) ?? 86_400_000
}
