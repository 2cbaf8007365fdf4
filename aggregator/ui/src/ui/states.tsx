/** Loading, empty, failed, partial: every view has all four, and they look alike everywhere. */
import { CircleAlert, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { ApiError, explain } from '../api/errors'
import { formatBytes, formatCount } from '../lib/units'
import type { Meta } from '../api/types'
import { Button, CopyButton } from './button'

/** Lines in the shape of what comes; they appear after 150 ms, so quick answers never flash. */
export function Skeleton({ rows = 8, height = 28, label = 'Loading' }: { rows?: number; height?: number; label?: string }) {
  return (
    <div role="status" aria-label={label} className="late">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="flex items-center gap-4 border-b border-line px-3" style={{ height }}>
          <div className="shimmer h-2.5" style={{ width: `${18 + ((i * 37) % 23)}%` }} />
          <div className="shimmer h-2.5" style={{ width: `${8 + ((i * 23) % 11)}%` }} />
          <div className="shimmer ml-auto h-2.5 w-16" />
        </div>
      ))}
    </div>
  )
}

export function Empty({ title, children, icon }: { title: string; children?: ReactNode; icon?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-xl flex-col items-center gap-2 px-6 py-14 text-center">
      {icon && <div className="mb-1 text-muted">{icon}</div>}
      <p className="text-lg font-medium">{title}</p>
      {children && <div className="text-soft">{children}</div>}
    </div>
  )
}

export function Failure({ error, retry, small = false }: { error: unknown; retry?: () => void; small?: boolean }) {
  const api = error instanceof ApiError ? error : undefined
  const details = api ? `${api.message} (${api.code}, status ${api.status}) at ${window.location.href}` : explain(error)
  return (
    <div role="alert" className={`flex items-start gap-3 rounded-lg bg-error-soft px-4 py-3 ${small ? 'm-2' : 'mx-auto my-10 max-w-xl'}`}>
      <CircleAlert size={18} className="mt-px shrink-0 text-error" aria-hidden />
      <div className="min-w-0 flex-1">
        <p className="font-medium break-words">{explain(error)}</p>
        {api?.hint && <p className="mt-0.5 text-soft">{api.hint}</p>}
        {api && api.status > 0 && <p className="mt-0.5 text-xs text-muted">{api.code}</p>}
        <div className="mt-2 flex gap-2">
          {retry && <Button onClick={retry}>Try again</Button>}
          <CopyButton text={details} label="Copy details" />
        </div>
      </div>
    </div>
  )
}

/** What a person must know about the numbers they see. */
export function Partial({ meta }: { meta: Meta | undefined }) {
  if (!meta?.partial) return null
  return (
    <p role="status" className="flex items-center gap-2 border-b border-line bg-warn-soft px-3 py-1.5 text-sm">
      <TriangleAlert size={14} className="shrink-0 text-warn" aria-hidden />
      Not everything is shown: {meta.partial}
    </p>
  )
}

/** What the answer cost. */
export function Cost({ meta }: { meta: Meta | undefined }) {
  if (!meta) return null
  return (
    <span className="tabular text-xs text-muted" title="What this answer cost the store">
      {formatCount(meta.elapsed_ms)} ms · {formatCount(meta.rows_read)} rows · {formatBytes(meta.bytes_read)}
    </span>
  )
}

/** Thin bar while newer data is on its way; the old stays, dimmed. */
export function Busy({ on }: { on: boolean }) {
  return <div aria-hidden className={`h-0.5 shrink-0 ${on ? 'progress late' : ''}`} />
}
