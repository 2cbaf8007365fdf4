/** The frame of a project: navigation on the left; project, search, time and person on top. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, Outlet, useNavigate, useParams, useRouterState } from '@tanstack/react-router'
import { Activity, ChevronsUpDown, Keyboard, LayoutList, LogOut, Monitor, Moon, PlugZap, ScrollText, Search, Sun, UserRound, Waypoints } from 'lucide-react'
import { type ComponentType, type FormEvent, useEffect, useRef, useState } from 'react'
import { sessionQuery, signOut } from '../api/queries'
import { Logo } from '../components/marks'
import { KeyboardHelp } from '../components/KeyboardHelp'
import { rememberProject, TimePicker, TimeProvider, useTime } from '../components/time'
import { parseTraceId } from '../lib/ids'
import { useKeys } from '../lib/keys'
import { shift, zoomOut } from '../lib/time'
import { useTheme } from '../lib/theme'
import { Button, IconButton } from '../ui/button'
import { Menu, MenuItem, MenuLabel, MenuLine } from '../ui/popover'

type Page = { to: '/p/$p' | '/p/$p/traces' | '/p/$p/logs' | '/p/$p/metrics' | '/p/$p/setup'; label: string; icon: ComponentType<{ size?: number }>; key: string }
const pages: Page[] = [
  { to: '/p/$p', label: 'Overview', icon: LayoutList, key: 's' },
  { to: '/p/$p/traces', label: 'Traces', icon: Waypoints, key: 't' },
  { to: '/p/$p/logs', label: 'Logs', icon: ScrollText, key: 'l' },
  { to: '/p/$p/metrics', label: 'Metrics', icon: Activity, key: 'm' },
  { to: '/p/$p/setup', label: 'Send data', icon: PlugZap, key: 'd' },
]

export function Shell() {
  return (
    <TimeProvider>
      <div className="grid h-full grid-cols-[auto_minmax(0,1fr)] grid-rows-[44px_minmax(0,1fr)]">
        <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:m-2 focus:rounded focus:bg-raised focus:px-3 focus:py-2">
          Skip to the page
        </a>
        <Header />
        <Navigation />
        <main id="main" className="flex min-h-0 min-w-0 flex-col overflow-auto" tabIndex={-1}>
          <Outlet />
        </main>
      </div>
    </TimeProvider>
  )
}

function Navigation() {
  const { p } = useParams({ from: '/inside/p/$p' })
  return (
    <nav aria-label="Pages" className="flex flex-col gap-0.5 border-r border-line bg-panel px-2 py-2 min-[1100px]:w-40">
      {pages.map(({ to, label, icon: Icon }) => (
        <Link
          key={to}
          to={to}
          params={{ p }}
          activeOptions={{ exact: to === '/p/$p', includeSearch: false }}
          title={label}
          className="flex h-8 items-center gap-2.5 rounded-md px-2 text-soft hover:bg-hover hover:text-text"
          activeProps={{ className: 'bg-selected !text-accent-text font-medium' }}
        >
          <Icon size={16} aria-hidden />
          <span className="max-[1099px]:sr-only">{label}</span>
        </Link>
      ))}
    </nav>
  )
}

function Header() {
  const { p } = useParams({ from: '/inside/p/$p' })
  const navigate = useNavigate()
  const { range, setRange } = useTime()
  const [picking, setPicking] = useState(false)
  const [help, setHelp] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  const path = useRouterState({ select: (s) => s.location.pathname })
  const timed = !/\/setup$|\/traces\/./.test(path)
  useEffect(() => rememberProject(p), [p])
  useKeys({
    '?': () => setHelp(true),
    'Control+k': () => {
      field.current?.focus()
      field.current?.select()
    },
    ...Object.fromEntries(pages.map((page) => [`g ${page.key}`, () => void navigate({ to: page.to, params: { p } })])),
    ...(timed && {
      t: () => setPicking(true),
      '[': () => setRange(shift(range, -1, Date.now())),
      ']': () => setRange(shift(range, 1, Date.now())),
      '-': () => setRange(zoomOut(range, Date.now())),
    }),
  })
  return (
    <header className="col-span-2 flex items-center gap-2 border-b border-line bg-panel pr-2 pl-3">
      <Link to="/p/$p" params={{ p }} aria-label="Petrel, overview" className="mr-1 flex items-center gap-2 font-semibold tracking-tight">
        <Logo />
        <span className="text-[15px] max-[900px]:sr-only">Petrel</span>
      </Link>
      <ProjectPicker p={p} />
      <PasteBox field={field} />
      <div className="ml-auto flex items-center gap-1">
        {timed && <TimePicker open={picking} onOpenChange={setPicking} />}
        <span className="mx-1 h-5 w-px bg-line" aria-hidden />
        <ThemeMenu />
        <IconButton label="Keyboard (?)" onClick={() => setHelp(true)}>
          <Keyboard size={16} />
        </IconButton>
        <PersonMenu />
      </div>
      {help && <KeyboardHelp onClose={() => setHelp(false)} />}
    </header>
  )
}

function ProjectPicker({ p }: { p: number }) {
  const session = useQuery(sessionQuery)
  const navigate = useNavigate()
  const projects = session.data?.projects ?? []
  const name = projects.find((project) => project.id === p)?.name ?? `Project ${p}`
  return (
    <Menu
      trigger={
        <Button look="ghost" className="max-w-52 !text-text" aria-label={`Project: ${name}`}>
          <span className="truncate font-medium">{name}</span>
          <ChevronsUpDown size={13} aria-hidden className="text-muted" />
        </Button>
      }
    >
      <MenuLabel>Projects</MenuLabel>
      {projects.map((project) => (
        <MenuItem key={project.id} checked={project.id === p} onSelect={() => void navigate({ to: '/p/$p', params: { p: project.id } })}>
          <span className="flex-1">{project.name}</span>
          <span className="tabular text-xs text-muted">{project.id}</span>
        </MenuItem>
      ))}
    </Menu>
  )
}

/** Paste a trace id in any form and get the trace; other words search the span names. */
function PasteBox({ field }: { field: React.RefObject<HTMLInputElement | null> }) {
  const { p } = useParams({ from: '/inside/p/$p' })
  const navigate = useNavigate()
  const [typed, setTyped] = useState('')
  const go = (text: string) => {
    const id = parseTraceId(text)
    setTyped('')
    field.current?.blur()
    if (id) void navigate({ to: '/traces/$id', params: { id } })
    else if (text.trim()) void navigate({ to: '/p/$p/traces', params: { p }, search: { f: [`name contains ${text.trim()}`] } })
  }
  return (
    <form
      role="search"
      className="relative ml-2 w-full max-w-[340px] min-w-24"
      onSubmit={(event: FormEvent) => {
        event.preventDefault()
        go(typed)
      }}
    >
      <Search size={14} aria-hidden className="absolute top-[7px] left-2 text-muted" />
      <input
        ref={field}
        className="field w-full !border-line !bg-bg pl-7"
        aria-label="Trace id or span name"
        placeholder="Paste a trace id, or search span names"
        value={typed}
        spellCheck={false}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
        onPaste={(event) => {
          const text = event.clipboardData.getData('text')
          if (parseTraceId(text)) {
            event.preventDefault()
            go(text)
          }
        }}
      />
    </form>
  )
}

function ThemeMenu() {
  const [theme, setTheme] = useTheme()
  const Icon = theme === 'dark' ? Moon : theme === 'light' ? Sun : Monitor
  return (
    <Menu
      align="end"
      trigger={
        <IconButton label="Theme">
          <Icon size={16} />
        </IconButton>
      }
    >
      {(['system', 'light', 'dark'] as const).map((choice) => (
        <MenuItem key={choice} checked={theme === choice} onSelect={() => setTheme(choice)}>
          {choice === 'system' ? 'As the system' : choice === 'light' ? 'Light' : 'Dark'}
        </MenuItem>
      ))}
    </Menu>
  )
}

function PersonMenu() {
  const session = useQuery(sessionQuery)
  const queries = useQueryClient()
  const leave = () =>
    signOut()
      .catch(() => undefined)
      .then(() => {
        queries.clear()
        window.location.assign('/sign-in')
      })
  const user = session.data?.user
  return (
    <Menu
      align="end"
      trigger={
        <IconButton label="Account">
          <UserRound size={16} />
        </IconButton>
      }
    >
      <MenuLabel>{user?.name || user?.email || 'Signed in'}</MenuLabel>
      {user?.name && <p className="px-2 pb-1 text-xs text-muted">{user.email}</p>}
      <MenuLine />
      <MenuItem onSelect={() => void leave()}>
        <LogOut size={14} aria-hidden /> Sign out
      </MenuItem>
    </Menu>
  )
}
