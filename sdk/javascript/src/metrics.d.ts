import type { Label } from './index.js'

export interface Asked {
  /** In UCUM's spelling: `ms`, `By`, `{call}`. */
  unit?: string
  /** New telemetry, which the agent forwards, instead of something about the plugin, which it shows. */
  telemetry?: boolean
  /** Keys of attributes; of one that begins with `resource.` the rest is an attribute of the resource. */
  labels?: string[]
}

export interface Metric {
  add(value?: number): void
  record(values: number | ArrayLike<number>, ...labels: (Label | ArrayLike<Label>)[]): void
}

export declare function counter(name: string, asked?: Asked): Metric
export declare function upDownCounter(name: string, asked?: Asked): Metric
export declare function gauge(name: string, asked?: Asked): Metric
export declare function histogram(name: string, asked?: Asked): Metric
