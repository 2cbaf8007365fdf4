import type { Code, Label } from './index.js'

export interface Instrument {
  name: string
  unit: string
  instrumentKind: number
  audience: number
  output: number
  labelKeys: string[]
}
export declare const instruments: Instrument[]
export declare const recorded: { name: string; value: number; labels: Label[] }[]
export declare const kept: Map<string, Uint8Array>
export declare const lines: { level: number; message: string }[]
export declare const tables: Map<string, (codes: Uint32Array, column: string) => Iterable<Code>>
export declare function reset(): void
