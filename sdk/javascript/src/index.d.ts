// What an author uses, for editors and TypeScript.

export declare const Table: Readonly<Record<'RESOURCE' | 'SCOPE' | 'RECORD' | 'EVENT' | 'LINK' | 'EXEMPLAR' | 'METRIC', number>>
export declare const Field: Readonly<Record<
  | 'NAME' | 'BODY' | 'SEVERITY_NUMBER' | 'SEVERITY_TEXT' | 'TIME' | 'OBSERVED_TIME' | 'DURATION' | 'SPAN_KIND'
  | 'STATUS_CODE' | 'STATUS_MESSAGE' | 'TRACE_ID' | 'SPAN_ID' | 'PARENT_ID' | 'TRACE_FLAGS' | 'TRACESTATE'
  | 'METRIC_NAME' | 'UNIT' | 'METRIC_DESCRIPTION' | 'SCOPE_VERSION', number>>
export declare const Signals: Readonly<Record<'TRACES' | 'LOGS' | 'METRICS' | 'ALL', number>>
export declare const Kinds: Readonly<Record<'UNSEEN' | 'STRING' | 'BYTES' | 'BOOL' | 'INT' | 'DOUBLE' | 'JSON' | 'ANY', number>>

export type Slot = number
export type Code = number
export declare const ALL: Slot
/** The code of no string. */
export declare const NONE: Code

export interface May {
  kinds?: number
  write?: boolean
  create?: boolean
  remove?: boolean
}

export declare class Plan {
  attributes(table: number, key: string, may?: May): Slot
  field(table: number, field: number, may?: May): Slot
  signals(signals: number): void
  withoutStrings(): void
  /** In milliseconds; 100 is the least. */
  tickEvery(ms: number): void
  readonly stateBytes: number
  readonly windowBytes: number
}

export type Value = string | bigint | number | boolean | undefined

export interface Cell {
  slot: Slot
  /** The attribute's key; not there for a built-in field. */
  key?: string
  keyCode: Code
  row: number
  kind: number
  /** Of strings, bytes and JSON. */
  code?: Code
  value?: Value
}

export declare class Batch {
  readonly signal: number
  readonly nowNs: bigint
  readonly seed: bigint
  rows(table: number): number
  parent(table: number, row: number): number | undefined
  resourceOf(record: number): number | undefined
  text(code: Code): string
  cells(slot: Slot): Generator<Cell>
  get(slot: Slot, row: number): Cell | undefined
  codes(slot: Slot): Set<Code>
  values(slot: Slot): Value[]
  labels(slot: Slot): Label[]
  numbers(slot: Slot, factor?: number): Float64Array
}

/** A code of the batch, another text, or nothing. */
export type Label = Code | string | undefined
/** The id of a trace, 32 hexadecimal digits: what the field `TRACE_ID` has. */
export type Trace = string

export interface Scalar {
  kind: number
}
export declare function int(value: number | bigint): Scalar
export declare function double(value: number): Scalar
export declare function bool(value: boolean): Scalar
export declare function json(value: unknown): Scalar
export declare function bytes(value: Uint8Array): Scalar
export declare function code(value: Code): Scalar

export declare class Edits {
  text(text: string): Code
  replace(slot: Slot, from: Code, to: Code): void
  replaceMany(slot: Slot, pairs: [ArrayLike<Code>, ArrayLike<Code>]): void
  replaceAll(slot: Slot, text: string): void
  removeAll(slot: Slot): void
  mapText(batch: Batch, slot: Slot, change: (text: string) => string | undefined): void
  set(cell: Cell, value: string | Scalar): void
  remove(cell: Cell): void
  put(batch: Batch, slot: Slot, row: number, value: string | Scalar): void
  dropRecord(batch: Batch, row: number): void
  hold(batch: Batch, row: number): void
  holdAll(batch: Batch): void
  keepTrace(trace: Trace): void
  dropTrace(trace: Trace): void
  sampleTrace(trace: Trace, part: number): void
}

/** Traces that wait for a decision, in the order in which their first spans came. */
export declare class Waiting {
  readonly size: number
  add(trace: Trace, nowNs: bigint): void
  remove(trace: Trace): void
  due(nowNs: bigint, waitMs: number): Trace[]
  beyond(most: number): Trace[]
  save(mostBytes: number): Uint8Array
  restore(state: Uint8Array): void
}

export interface Processor {
  process(batch: Batch, edits: Edits): void
  tick?(nowNs: bigint, edits: Edits): void
  flush?(edits: Edits): void
  save?(): Uint8Array
  restore?(state: Uint8Array): void
}

export interface About<Config> {
  name: string
  version: string
  signals?: number
  /** JSON Schema of the configuration. */
  schema?: object
  /** Losing it must stop the data. */
  failsClosed?: boolean
  /** There shall be one instance. */
  keepsState?: boolean
  isRandom?: boolean
  /** It may hold spans, so it keeps state, and has to be the last one of a chain. */
  holdsTraces?: boolean
  configure(config: Config, plan: Plan): Processor
}

export declare function plugin<Config>(about: About<Config>): object
