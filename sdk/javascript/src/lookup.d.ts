import type { Code } from './index.js'

export interface Table {
  join(codes: Iterable<Code>, column: string): Uint32Array
}
export declare function open(name: string): Table | undefined
