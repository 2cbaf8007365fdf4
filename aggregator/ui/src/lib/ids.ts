/** Ids as they come out of logs, terminals and other people's tools, and as we keep them. */

/** 32 lower-case hex digits. */
export type TraceId = string & { readonly __id: 'trace' }
/** 16 lower-case hex digits. */
export type SpanId = string & { readonly __id: 'span' }

const isTraceId = (text: string): text is TraceId => /^[0-9a-f]{32}$/.test(text)
const isSpanId = (text: string): text is SpanId => /^[0-9a-f]{16}$/.test(text)

/** Accepts plain hex, the UUID form, a `traceparent` header and a link to one of our own pages. */
export function parseTraceId(text: string): TraceId | undefined {
  const clean = text.trim().toLowerCase()
  const header = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(clean)
  if (header) return parseTraceId(header[1])
  const link = /\/traces\/(?:\d+\/)?([0-9a-f-]{32,36})(?:[/?#]|$)/.exec(clean)
  if (link) return parseTraceId(link[1])
  const hex = clean.replace(/-/g, '')
  return isTraceId(hex) && !/^0+$/.test(hex) ? hex : undefined
}

/** Span ids travel as 16 hex digits or, from Uptrace's clients, as an unsigned decimal. */
export function parseSpanId(text: string): SpanId | undefined {
  const clean = text.trim().toLowerCase()
  if (isSpanId(clean)) return clean
  if (!/^\d{1,20}$/.test(clean)) return undefined
  const value = BigInt(clean)
  if (value === 0n || value >= 1n << 64n) return undefined
  const hex = value.toString(16).padStart(16, '0')
  return isSpanId(hex) ? hex : undefined
}

/** The tail end of an id: enough to tell two apart on a page. */
export function shortId(id: string): string {
  return id.length > 8 ? id.slice(0, 8) : id
}
