/** Telemetry is written by strangers. It is shown as text only, and characters that lie about their order are made visible. */

const sneaky = /[\u202A-\u202E\u2066-\u2069\u200E\u200F\u061C\u200B-\u200D\uFEFF]/g
// oxlint-disable-next-line no-control-regex -- terminal control characters are exactly what is looked for
const control = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/g

export function visibleText(text: string): string {
  return text
    .replace(sneaky, (c) => `‹U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}›`)
    .replace(control, (c) => (c.charCodeAt(0) < 0x20 ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '�'))
}

/** Any attribute value as text. */
export function valueText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (typeof value === 'object') return JSON.stringify(value)
  return String(value)
}

/** Long text in pieces: the start at once, the rest when asked for. */
export const longTextLimit = 4096

/** Only http and https links out of telemetry are links. */
export function safeLink(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || text.length > 2000) return undefined
  try {
    const url = new URL(text)
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : undefined
  } catch {
    return undefined
  }
}

/** Counts of one kind of severity, in words. */
export type Severity = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'unset'

export function severityOf(number: number, text = ''): Severity {
  if (number >= 21) return 'fatal'
  if (number >= 17) return 'error'
  if (number >= 13) return 'warn'
  if (number >= 9) return 'info'
  if (number >= 5) return 'debug'
  if (number >= 1) return 'trace'
  const word = text.toLowerCase()
  if (/^(fatal|crit|emerg|alert|panic)/.test(word)) return 'fatal'
  if (word.startsWith('err')) return 'error'
  if (word.startsWith('warn')) return 'warn'
  if (word.startsWith('info') || word.startsWith('notice')) return 'info'
  if (word.startsWith('debug')) return 'debug'
  return word.startsWith('trace') ? 'trace' : 'unset'
}

export const severityColor = (severity: Severity): string => (severity === 'unset' ? 'var(--sev-trace)' : `var(--sev-${severity})`)
