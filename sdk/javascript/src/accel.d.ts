import type { Code, Edits, Slot } from './index.js'

export type Patterns = number
export type Keys = number
export declare function patterns(list: string[]): Patterns
export declare function keys(rule: string): Keys
export declare function matches(set: Patterns, slot?: Slot): (code: Code) => boolean
export declare function redact(edits: Edits, what: { set?: Patterns; keys?: Keys; slot?: Slot; replacement: string }): void
export declare function hash(codes: Iterable<Code>, seed?: bigint): BigUint64Array
