/** Small marks that mean the same everywhere: service, status, severity. Never by colour alone. */
import { CircleAlert, Info, OctagonX, TriangleAlert } from 'lucide-react'
import { serviceColor } from '../lib/color'
import { type Severity, severityColor, severityOf, visibleText } from '../lib/text'

export function ServiceName({ name, color, strong = false }: { name: string; color?: string; strong?: boolean }) {
  return (
    <span className="inline-flex max-w-full min-w-0 items-center gap-1.5 align-middle">
      <span aria-hidden className="h-2.5 w-2.5 shrink-0 rounded-[3px]" style={{ background: color ?? serviceColor(name) }} />
      <span className={`truncate ${strong ? 'font-medium' : ''}`} title={name}>
        {name === '' ? '(no service)' : visibleText(name)}
      </span>
    </span>
  )
}

/** Several services as squares, with their names on hover. */
export function ServiceDots({ names }: { names: readonly string[] }) {
  return (
    <span className="inline-flex items-center gap-1 align-middle" title={names.join('\n')}>
      {names.slice(0, 6).map((name) => (
        <span key={name} aria-hidden className="h-2.5 w-2.5 shrink-0 rounded-[3px]" style={{ background: serviceColor(name) }} />
      ))}
      <span className="tabular text-muted">{names.length}</span>
      <span className="sr-only">services: {names.join(', ')}</span>
    </span>
  )
}

/** With an empty label it is an ornament beside words that say the same. */
export function ErrorMark({ label = 'error', size = 13 }: { label?: string; size?: number }) {
  const said = label === '' ? { 'aria-hidden': true } : { role: 'img', 'aria-label': label }
  return <CircleAlert size={size} {...said} className="shrink-0 text-error" />
}

export function StatusWord({ status }: { status: string }) {
  if (status === 'error') {
    return (
      <span className="inline-flex items-center gap-1 text-error">
        <ErrorMark label="" /> Error
      </span>
    )
  }
  return <span className="text-soft">{status === 'ok' ? 'OK' : 'Unset'}</span>
}

const icons: Partial<Record<Severity, typeof Info>> = { warn: TriangleAlert, error: CircleAlert, fatal: OctagonX }

export function SeverityMark({ text, number }: { text: string; number: number }) {
  const severity = severityOf(number, text)
  const Icon = icons[severity]
  const word = text === '' ? severity : text
  return (
    <span className="inline-flex items-center gap-1.5 align-middle" title={word}>
      <span aria-hidden className="h-3 w-[3px] shrink-0 rounded-full" style={{ background: severityColor(severity) }} />
      <span className={`truncate text-xs font-semibold uppercase ${severity === 'error' || severity === 'fatal' ? 'text-error' : severity === 'warn' ? 'text-warn' : 'text-muted'}`}>
        {visibleText(word).slice(0, 8)}
      </span>
      {Icon && <Icon size={11} aria-hidden className={severity === 'warn' ? 'text-warn' : 'text-error'} />}
    </span>
  )
}

export const Key = ({ children }: { children: string }) => (
  <kbd className="inline-flex h-5 min-w-5 items-center justify-center rounded border border-line-strong bg-sunken px-1 font-mono text-2xs text-soft">{children}</kbd>
)

export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden>
      <rect width="32" height="32" rx="8" className="fill-[#0f6c8c]" />
      <path
        className="fill-white"
        d="M3.5 12.2c4.300-1.900 8.400-1.100 11.200 2.400.6.7 1.100 1.400 1.500 2.200 2.200-4.100 6.300-6.700 12.300-7.300-3.200 1.700-5.300 3.900-6.700 6.600-1.500 2.900-3.300 5.700-7 6.600-1.700.4-3.400.2-4.900-.6l3.900-1.300c-.4-3.900-3.900-7.600-10.300-8.600z"
      />
    </svg>
  )
}
