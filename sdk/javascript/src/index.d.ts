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
}

export interface Cell {
  slot: Slot
  /** The attribute's key; not there for a built-in field. */
  key?: string
  keyCode: Code
  row: number
  kind: number
  /** Of strings, bytes and JSON. */
  code?: Code
  value?: string | bigint | number | boolean
}

export declare class Batch {
  readonly signal: number
  readonly nowNs: bigint
  rows(table: number): number
  parent(table: number, row: number): number | undefined
  resourceOf(record: number): number | undefined
  text(code: Code): string
  cells(slot: Slot): Generator<Cell>
  get(slot: Slot, row: number): Cell | undefined
  codes(slot: Slot): Set<Code>
}

export interface Scalar {
  kind: number
}
export declare function int(value: number | bigint): Scalar
export declare function double(value: number): Scalar
export declare function bool(value: boolean): Scalar
export declare function json(value: unknown): Scalar
export declare function bytes(value: Uint8Array): Scalar

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
  configure(config: Config, plan: Plan): { process(batch: Batch, edits: Edits): void }
}

export declare function plugin<Config>(about: About<Config>): object
