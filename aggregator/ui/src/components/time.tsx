/** The window of time that all panels of a page share. It lives in the URL; "now" moves when asked, or by itself. */
import { useNavigate, useSearch } from '@tanstack/react-router'
import { CalendarClock, ChevronLeft, ChevronRight, RefreshCw, ZoomOut } from 'lucide-react'
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react'
import { useIsFetching } from '@tanstack/react-query'
import {
  describeRange, lastRange, millis, presets, rangeFromSearch, rangeToSearch, resolve, shift, type TimeRange, toLocalInput, type Window, zone,
  zoomOut,
} from '../lib/time'
import { remember, useRemembered } from '../lib/storage'
import { Button, IconButton } from '../ui/button'
import { Menu, MenuItem, MenuLabel, Popover } from '../ui/popover'

type Time = {
  range: TimeRange
  window: Window
  now: number
  setRange: (range: TimeRange) => void
  zoomTo: (from: number, to: number) => void
  refresh: () => void
}
const Context = createContext<Time | undefined>(undefined)

export function useTime(): Time {
  const time = useContext(Context)
  if (!time) throw new Error('useTime outside of a project page')
  return time
}

const reloadEvery: Record<string, number> = { '10 s': 10_000, '1 min': 60_000 }

export function TimeProvider({ children }: { children: ReactNode }) {
  const { last, from, to } = useSearch({ from: '/inside/p/$p' })
  const navigate = useNavigate()
  const [now, setNow] = useState(() => Date.now())
  const [every] = useRemembered('reload')
  const range = useMemo(() => rangeFromSearch({ last, from, to }), [last, from, to])
  const refresh = useCallback(() => setNow(Date.now()), [])

  const setRange = useCallback(
    (next: TimeRange) => {
      setNow(Date.now())
      void navigate({ to: '.', search: (before) => ({ ...before, ...rangeToSearch(next) }) })
    },
    [navigate],
  )
  const zoomTo = useCallback((a: number, b: number) => setRange({ kind: 'fixed', from: millis(Math.floor(a)), to: millis(Math.ceil(b)) }), [setRange])

  const period = every === undefined ? undefined : reloadEvery[every]
  const moving = range.kind === 'last'
  useEffect(() => {
    if (period === undefined || !moving) return undefined
    const timer = window.setInterval(() => {
      if (!document.hidden) refresh()
    }, period)
    return () => window.clearInterval(timer)
  }, [period, moving, refresh])

  const value = useMemo(
    () => ({ range, window: resolve(range, now), now, setRange, zoomTo, refresh }),
    [range, now, setRange, zoomTo, refresh],
  )
  return <Context.Provider value={value}>{children}</Context.Provider>
}

export function TimePicker({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const { range, now, setRange, refresh } = useTime()
  const [every, setEvery] = useRemembered('reload')
  const fetching = useIsFetching() > 0
  const pick = (next: TimeRange) => {
    onOpenChange(false)
    setRange(next)
  }
  return (
    <div className="flex items-center gap-1" role="group" aria-label="Time">
      <IconButton label="Earlier ([)" onClick={() => setRange(shift(range, -1, Date.now()))}>
        <ChevronLeft size={16} />
      </IconButton>
      <Popover
        label="Time range"
        align="end"
        open={open}
        onOpenChange={onOpenChange}
        trigger={
          <Button className="tabular min-w-32" title="Time range (t)">
            <CalendarClock size={14} aria-hidden className="text-muted" />
            {describeRange(range)}
          </Button>
        }
      >
        <div className="flex">
          <Custom key={open ? 'open' : 'closed'} range={range} now={now} onPick={pick} />
          <ul className="w-44 border-l border-line p-1">
            {presets.map((preset) => (
              <li key={preset.last}>
                <button
                  type="button"
                  className={`w-full rounded-md px-2 py-1 text-left hover:bg-hover ${range.kind === 'last' && range.last === preset.last ? 'bg-selected font-medium text-accent-text' : ''}`}
                  onClick={() => {
                    const next = lastRange(preset.last)
                    if (next) pick(next)
                  }}
                >
                  {preset.label}
                </button>
              </li>
            ))}
          </ul>
        </div>
      </Popover>
      <IconButton label="Later (])" disabled={range.kind === 'last'} onClick={() => setRange(shift(range, 1, Date.now()))}>
        <ChevronRight size={16} />
      </IconButton>
      <IconButton label="Zoom out (-)" onClick={() => setRange(zoomOut(range, Date.now()))}>
        <ZoomOut size={15} />
      </IconButton>
      <Menu
        align="end"
        trigger={
          <Button look="ghost" title="Reload" aria-label="Reload" className={every ? '' : 'w-7 !px-0'}>
            <RefreshCw size={14} className={fetching ? 'animate-spin' : ''} aria-hidden />
            {every && <span className="text-xs">{every}</span>}
          </Button>
        }
      >
        <MenuItem onSelect={refresh}>Reload now</MenuItem>
        <MenuLabel>By itself</MenuLabel>
        {[undefined, ...Object.keys(reloadEvery)].map((choice) => (
          <MenuItem key={choice ?? 'off'} checked={every === choice} onSelect={() => setEvery(choice)}>
            {choice === undefined ? 'Off' : `Every ${choice}`}
          </MenuItem>
        ))}
      </Menu>
    </div>
  )
}

function Custom({ range, now, onPick }: { range: TimeRange; now: number; onPick: (range: TimeRange) => void }) {
  const shown = resolve(range, now)
  const [from, setFrom] = useState(toLocalInput(shown.from))
  const [to, setTo] = useState(toLocalInput(shown.to))
  const [typed, setTyped] = useState('')
  const a = Date.parse(from)
  const b = Date.parse(to)
  const fits = Number.isFinite(a) && Number.isFinite(b) && a < b
  const last = typed === '' ? undefined : lastRange(typed)
  return (
    <div className="w-60 space-y-3 p-3">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (last) onPick(last)
        }}
      >
        <label className="block">
          <span className="caps">The last</span>
          <input
            className="field mt-1 w-full"
            placeholder="45m, 3h, 10d"
            value={typed}
            aria-invalid={typed !== '' && !last}
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
        {typed !== '' && !last && <p className="mt-1 text-xs text-error">A number and s, m, h, d or w</p>}
      </form>
      <form
        className="space-y-2"
        onSubmit={(event) => {
          event.preventDefault()
          if (fits) onPick({ kind: 'fixed', from: millis(a), to: millis(b) })
        }}
      >
        <label className="block">
          <span className="caps">From</span>
          <input type="datetime-local" step={1} className="field mt-1 w-full" value={from} onChange={(event) => setFrom(event.target.value)} />
        </label>
        <label className="block">
          <span className="caps">To</span>
          <input type="datetime-local" step={1} className="field mt-1 w-full" value={to} onChange={(event) => setTo(event.target.value)} />
        </label>
        <Button type="submit" look="primary" className="w-full" disabled={!fits}>
          Apply
        </Button>
      </form>
      <p className="text-xs text-muted">Times are in {zone}.</p>
    </div>
  )
}

/** Remembers the project a person works in. */
export const rememberProject = (p: number) => remember('project', String(p))
