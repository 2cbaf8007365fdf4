/** A filter that deserves its own button: service, operation, status. */
import { useQuery } from '@tanstack/react-query'
import { ChevronDown, X } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { valuesQuery } from '../api/queries'
import type { Signal } from '../api/types'
import { visibleText } from '../lib/text'
import { formatCount } from '../lib/units'
import { Button } from '../ui/button'
import { Popover } from '../ui/popover'
import { explain } from '../api/errors'
import { serviceColor } from '../lib/color'
import { useTime } from './time'

export function ValuePicker({ p, signal, label, attribute, value, onPick, colored = false }: {
  p: number
  signal: Signal
  label: string
  attribute: string
  value: string | undefined
  onPick: (value: string | undefined) => void
  colored?: boolean
}) {
  const [open, setOpen] = useState(false)
  return (
    <div className="flex shrink-0">
      <Popover
        label={label}
        open={open}
        onOpenChange={setOpen}
        trigger={
          <Button pressed={value !== undefined || undefined} className={`!h-8 max-w-56 ${value !== undefined ? 'rounded-r-none border-r-0' : ''}`}>
            <span className="text-muted">{label}</span>
            {value !== undefined && <span className="truncate">{visibleText(value)}</span>}
            {value === undefined && <ChevronDown size={13} aria-hidden className="text-muted" />}
          </Button>
        }
      >
        <Choices
          p={p}
          signal={signal}
          attribute={attribute}
          label={label}
          value={value}
          colored={colored}
          onPick={(picked) => {
            setOpen(false)
            onPick(picked)
          }}
        />
      </Popover>
      {value !== undefined && (
        <Button pressed className="!h-8 rounded-l-none border-l-0 !px-1.5" aria-label={`Any ${label.toLowerCase()}`} onClick={() => onPick(undefined)}>
          <X size={13} />
        </Button>
      )}
    </div>
  )
}

function Choices({ p, signal, attribute, label, value, onPick, colored }: {
  p: number
  signal: Signal
  attribute: string
  label: string
  value: string | undefined
  onPick: (value: string | undefined) => void
  colored: boolean
}) {
  const { window } = useTime()
  const [typed, setTyped] = useState('')
  const q = useDeferredValue(typed)
  const query = useQuery(valuesQuery(p, signal, window, attribute, q))
  const rows = query.data?.data ?? []
  return (
    <div className="w-72 p-1">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          const first = rows[0]?.value ?? typed
          if (first) onPick(first)
        }}
      >
        <input className="field mb-1 w-full" aria-label={`Find ${label.toLowerCase()}`} placeholder={`Find ${label.toLowerCase()}`} value={typed} onChange={(event) => setTyped(event.target.value)} />
      </form>
      {query.isError && <p className="px-2 py-1.5 text-error">{explain(query.error)}</p>}
      {query.isPending && <p className="late px-2 py-1.5 text-muted">Loading…</p>}
      {query.isSuccess && rows.length === 0 && <p className="px-2 py-1.5 text-muted">None in this window</p>}
      <ul className="max-h-72 overflow-auto">
        {rows.map((row) => (
          <li key={row.value}>
            <button
              type="button"
              className={`flex w-full items-center gap-2 rounded-md px-2 py-1 text-left hover:bg-hover ${row.value === value ? 'bg-selected font-medium' : ''}`}
              onClick={() => onPick(row.value)}
            >
              {colored && <span aria-hidden className="h-2.5 w-2.5 shrink-0 rounded-[3px]" style={{ background: serviceColor(row.value) }} />}
              <span className="min-w-0 flex-1 truncate">{row.value === '' ? '(empty)' : visibleText(row.value)}</span>
              <span className="tabular text-xs text-muted">{formatCount(row.count)}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}
