// The numbers of wit/README.md by name.

export const Table = Object.freeze({
  RESOURCE: 0, SCOPE: 1, RECORD: 2, EVENT: 3, LINK: 4, EXEMPLAR: 5, METRIC: 6,
})

export const Field = Object.freeze({
  NAME: 1, BODY: 2, SEVERITY_NUMBER: 3, SEVERITY_TEXT: 4, TIME: 5, OBSERVED_TIME: 6, DURATION: 7,
  SPAN_KIND: 8, STATUS_CODE: 9, STATUS_MESSAGE: 10, TRACE_ID: 11, SPAN_ID: 12, PARENT_ID: 13,
  TRACE_FLAGS: 14, TRACESTATE: 15, METRIC_NAME: 20, UNIT: 21, METRIC_DESCRIPTION: 43, SCOPE_VERSION: 44,
})

/** Sets of signals: `Signals.TRACES | Signals.LOGS`. */
export const Signals = Object.freeze({ TRACES: 1, LOGS: 2, METRICS: 4, ALL: 7 })

/** Kinds of values, by number. */
export const kind = Object.freeze({
  NULL: 0, STRING: 1, BYTES: 2, BOOL: 3, INT: 4, DOUBLE: 5, UINT: 6, TIME: 7, ID16: 8, ID8: 9, JSON: 10,
  MIXED: 255,
})

/** Sets of kinds: `Kinds.STRING | Kinds.JSON`. */
export const Kinds = Object.freeze({
  /** Where a value is, never what it is. */
  UNSEEN: 0,
  STRING: 1 << 1, BYTES: 1 << 2, BOOL: 1 << 3, INT: 1 << 4, DOUBLE: 1 << 5, JSON: 1 << 10,
  ANY: (1 << 1) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 10),
})

/** No value; as the target of an edit: delete. */
export const NONE = 0xffffffff
/** As the source of an edit: whatever is there. */
export const ANY = 0xfffffffe
/** The first string that an edit adds. */
export const ADDED = 0x80000000

/** Verdicts on records, and on traces. */
export const verdict = Object.freeze({ KEEP: 0, DROP: 1, HOLD: 2, SAMPLED: 4 })
