/** Filters as chips and one input that completes keys, operators and values from what the project really has. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Filter as FilterIcon, X } from 'lucide-react'
import { type KeyboardEvent, type RefObject, useDeferredValue, useId, useMemo, useRef, useState } from 'react'
import { keysQuery, valuesQuery } from '../api/queries'
import type { Signal } from '../api/types'
import { type Filter, formatFilter, type Op, ops, parseFilter, parsePartial, problem, withFilter } from '../lib/filters'
import { visibleText } from '../lib/text'
import { formatCount } from '../lib/units'
import { useTime } from './time'

type Props = {
  p: number
  signal: Signal
  filters: Filter[]
  onChange: (filters: Filter[]) => void
  field?: RefObject<HTMLInputElement | null>
  /** Keys that other controls of the page show already. */
  shownElsewhere?: (filter: Filter) => boolean
}
type Suggestion = { text: string; label: string; note?: string; done: boolean }

const words: Record<Op, string> = {
  '=': 'is', '!=': 'is not', '>': 'greater than', '>=': 'at least', '<': 'less than', '<=': 'at most', contains: 'has this text in it',
  exists: 'is there', missing: 'is not there',
}

export function FilterBar({ p, signal, filters, onChange, field, shownElsewhere }: Props) {
  const own = useRef<HTMLInputElement>(null)
  const input = field ?? own
  const [typed, setTyped] = useState('')
  const [open, setOpen] = useState(false)
  const [at, setAt] = useState(-1)
  const id = useId()
  const suggestions = useSuggestions(p, signal, typed, open)
  const complete = parseFilter(typed)
  const complaint = complete ? problem(complete) : undefined

  const add = (filter: Filter) => {
    onChange(withFilter(filters, filter))
    setTyped('')
    setAt(-1)
  }
  const take = (suggestion: Suggestion) => {
    const filter = suggestion.done ? parseFilter(suggestion.text) : undefined
    if (filter && !problem(filter)) add(filter)
    else {
      setTyped(suggestion.text)
      setAt(-1)
    }
    input.current?.focus()
  }
  const onKey = (event: KeyboardEvent<HTMLInputElement>) => {
    const chosen = suggestions[at]
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      setOpen(true)
      const n = suggestions.length
      if (n > 0) setAt((before) => (before + (event.key === 'ArrowDown' ? 1 : -1) + n + (before < 0 && event.key === 'ArrowUp' ? 1 : 0)) % n)
    } else if (event.key === 'Enter') {
      event.preventDefault()
      if (chosen) take(chosen)
      else if (complete && !complaint) add(complete)
    } else if (event.key === 'Tab' && typed !== '' && suggestions.length > 0 && !event.shiftKey) {
      event.preventDefault()
      take(chosen ?? suggestions[0])
    } else if (event.key === 'Escape') {
      event.preventDefault()
      if (open && suggestions.length > 0 && typed !== '') setTyped('')
      else event.currentTarget.blur()
      setOpen(false)
    } else if (event.key === 'Backspace' && typed === '' && filters.length > 0) {
      onChange(filters.slice(0, -1))
    }
  }
  return (
    <div className="relative flex min-h-8 min-w-0 flex-1 flex-wrap items-center gap-1 rounded-md border border-line-strong bg-panel px-1.5 py-0.5 focus-within:border-accent">
      <FilterIcon size={13} aria-hidden className="mx-1 text-muted" />
      {filters.map((filter) =>
        shownElsewhere?.(filter) ? null : (
          <Chip
            key={formatFilter(filter)}
            filter={filter}
            onRemove={() => onChange(filters.filter((f) => f !== filter))}
            onEdit={() => {
              onChange(filters.filter((f) => f !== filter))
              setTyped(formatFilter(filter))
              input.current?.focus()
            }}
          />
        ),
      )}
      <input
        ref={input}
        role="combobox"
        aria-label="Add a filter"
        aria-expanded={open && suggestions.length > 0}
        aria-controls={`${id}list`}
        aria-activedescendant={at >= 0 ? `${id}${at}` : undefined}
        aria-autocomplete="list"
        aria-invalid={complaint !== undefined}
        className="h-6 min-w-40 flex-1 bg-transparent px-1 outline-none"
        placeholder={filters.length === 0 ? 'Filter by any attribute, for example http.route = /cart' : 'Add a filter'}
        spellCheck={false}
        autoComplete="off"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value)
          setAt(-1)
          setOpen(true)
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKey}
      />
      {filters.length > 0 && (
        <button type="button" className="px-1 text-xs text-muted hover:text-text" onClick={() => onChange([])}>
          Clear
        </button>
      )}
      {open && (suggestions.length > 0 || complaint !== undefined) && (
        <div className="absolute top-full left-0 z-40 mt-1 w-[min(480px,100%)] overflow-hidden rounded-lg border border-line bg-raised shadow-pop">
          {complaint !== undefined && <p className="border-b border-line px-3 py-1.5 text-error">{complaint}</p>}
          <div id={`${id}list`} role="listbox" aria-label="Suggestions" className="max-h-72 overflow-auto p-1">
            {suggestions.map((suggestion, index) => (
              // The input keeps the focus; its keys choose here.
              // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
              <div
                key={suggestion.text}
                id={`${id}${index}`}
                role="option"
                aria-selected={index === at}
                className={`flex cursor-pointer items-baseline gap-3 rounded-md px-2 py-1 ${index === at ? 'bg-selected' : 'hover:bg-hover'}`}
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => take(suggestion)}
              >
                <span className="min-w-0 flex-1 truncate font-mono text-xs">{visibleText(suggestion.label)}</span>
                {suggestion.note !== undefined && <span className="tabular shrink-0 text-xs text-muted">{suggestion.note}</span>}
              </div>
            ))}
          </div>
          <p className="border-t border-line px-3 py-1 text-2xs text-muted">↑↓ choose · Tab completes · Enter adds · key op value</p>
        </div>
      )}
    </div>
  )
}

function Chip({ filter, onRemove, onEdit }: { filter: Filter; onRemove: () => void; onEdit: () => void }) {
  const wrong = problem(filter)
  return (
    <span
      className={`inline-flex h-6 max-w-[420px] items-center rounded-md border pl-2 text-xs ${wrong ? 'border-error bg-error-soft' : 'border-transparent bg-accent-soft'}`}
      title={wrong ?? formatFilter(filter)}
    >
      <button type="button" className="flex min-w-0 items-center gap-1" onClick={onEdit} aria-label={`Edit the filter ${formatFilter(filter)}`}>
        <span className="truncate text-soft">{visibleText(filter.key)}</span>
        <span className={filter.op.includes('!') || filter.op === 'missing' ? 'text-error' : 'text-accent-text'}>{filter.op}</span>
        <span className="truncate font-medium">{filter.op === 'exists' || filter.op === 'missing' ? '' : filter.value === '' ? '(empty)' : visibleText(filter.value)}</span>
      </button>
      <button type="button" className="ml-1 flex h-6 w-5 items-center justify-center rounded-r-md text-muted hover:text-text" onClick={onRemove} aria-label={`Remove the filter ${formatFilter(filter)}`}>
        <X size={12} />
      </button>
    </span>
  )
}

const builtIn: Record<Signal, string[]> = {
  traces: ['service.name', 'name', 'duration', 'status', 'kind'],
  logs: ['service.name', 'severity', 'body'],
  metrics: ['service.name'],
}
const fixedValues: Record<string, string[]> = {
  status: ['error', 'ok', 'unset'],
  kind: ['server', 'client', 'internal', 'producer', 'consumer'],
  duration: ['100ms', '250ms', '500ms', '1s', '5s'],
}

function useSuggestions(p: number, signal: Signal, typed: string, open: boolean): Suggestion[] {
  const { window } = useTime()
  const { stage, key, op: typedOp, value: typedValue } = parsePartial(useDeferredValue(typed))
  const wantsValue = stage === 'value' && typedOp !== 'exists' && typedOp !== 'missing'
  const fixed = fixedValues[key]
  const keys = useQuery({ ...keysQuery(p, signal, window, stage === 'key' ? key : ''), enabled: open && stage === 'key', retry: false })
  const values = useQuery({
    ...valuesQuery(p, signal, window, key, wantsValue ? typedValue.replace(/^"|"$/g, '') : ''),
    enabled: open && wantsValue && !fixed,
    retry: false,
    placeholderData: keepPreviousData,
  })
  return useMemo(() => {
    if (!open) return []
    if (stage === 'key') {
      const counts = new Map(keys.data?.data.map((k) => [k.key, k.count]))
      const names = [...new Set([...builtIn[signal], ...counts.keys()])].filter((k) => k.toLowerCase().includes(key.toLowerCase()))
      return names.slice(0, 60).map((name) => {
        const count = counts.get(name)
        return { text: `${/[\s=!<>"]/.test(name) ? JSON.stringify(name) : name} `, label: name, note: count === undefined ? undefined : formatCount(count), done: false }
      })
    }
    const quoted = /[\s=!<>"]/.test(key) ? JSON.stringify(key) : key
    if (stage === 'op') {
      const fitting = key === 'duration' ? ops.filter((op) => /[<>]/.test(op)) : ops
      return fitting.filter((op) => op.startsWith(typedValue)).map((op) => {
        const done = op === 'exists' || op === 'missing'
        return { text: `${quoted} ${op}${done ? '' : ' '}`, label: op, note: words[op], done }
      })
    }
    if (!wantsValue || typedOp === undefined) return []
    const op = typedOp
    const offer = (value: string, count?: number): Suggestion => ({ text: formatFilter({ key, op, value }), label: value === '' ? '(empty)' : value, note: count === undefined ? undefined : formatCount(count), done: true })
    if (fixed) return fixed.filter((v) => v.startsWith(typedValue)).map((v) => offer(v))
    return (values.data?.data ?? []).map((v) => offer(v.value, v.count))
  }, [open, stage, key, signal, keys.data, values.data, wantsValue, fixed, typedOp, typedValue])
}
