/** Every address of the UI, with the search parameters it understands. The URL is the state. */
import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext, createRoute, createRouter, notFound, redirect, retainSearchParams,
} from '@tanstack/react-router'
import { sessionQuery, setupQuery } from './api/queries'
import { type Aggregate, aggregates } from './api/types'
import { parseSearch, rangeSearch, type RawSearch, safeNext, stringifySearch, text, texts } from './lib/search'
import { remembered } from './lib/storage'
import { Frame, LostPage, NoProject, PageFailure, PagePending } from './pages/Frame'
import { Shell } from './pages/Shell'

const root = createRootRouteWithContext<{ queries: QueryClient }>()({ component: Frame, notFoundComponent: LostPage })

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search: RawSearch): { next?: string } => ({ next: text(search, 'next') }),
  beforeLoad: async ({ context, search }) => {
    if (await context.queries.ensureQueryData(sessionQuery)) throw redirect({ to: safeNext(search.next) })
    const setup = await context.queries.fetchQuery(setupQuery).catch(() => ({ needed: false }))
    if (setup.needed) throw redirect({ to: '/setup', search: { next: search.next } })
  },
}).lazy(() => import('./pages/SignIn').then((m) => m.signInRoute))

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  validateSearch: (search: RawSearch): { token?: string; next?: string } => ({ token: text(search, 'token'), next: text(search, 'next') }),
}).lazy(() => import('./pages/SignIn').then((m) => m.setupRoute))

/** Everything below needs a session; who has none signs in and comes back to the same link. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  beforeLoad: async ({ context, location }) => {
    const session = await context.queries.ensureQueryData(sessionQuery)
    if (!session) throw redirect({ to: '/sign-in', search: { next: location.href === '/' ? undefined : location.href } })
    return { session }
  },
})

const home = createRoute({
  getParentRoute: () => inside,
  path: '/',
  beforeLoad: ({ context }) => {
    const { projects } = context.session
    const last = Number(remembered('project'))
    const project = projects.find((p) => p.id === last) ?? projects[0]
    if (project) throw redirect({ to: '/p/$p', params: { p: project.id } })
  },
  component: NoProject,
})

const finder = createRoute({
  getParentRoute: () => inside,
  path: '/traces/$id',
  validateSearch: (search: RawSearch): { span_id?: string } => ({ span_id: text(search, 'span_id') }),
}).lazy(() => import('./pages/TraceFinder').then((m) => m.finderRoute))

/** Uptrace's own spelling of a trace's address, `/traces/<project>/<id>`: old links keep working. */
const uptraceLink = createRoute({
  getParentRoute: () => inside,
  path: '/traces/$project/$id',
  validateSearch: (search: RawSearch): { span_id?: string } => ({ span_id: text(search, 'span_id') }),
  beforeLoad: ({ params, search }) => {
    throw redirect({ to: '/traces/$id', params: { id: params.id }, search: { span_id: search.span_id } })
  },
})

const project = createRoute({
  getParentRoute: () => inside,
  path: '/p/$p',
  params: {
    parse: ({ p }) => {
      if (!/^\d{1,15}$/.test(p)) throw notFound()
      return { p: Number(p) }
    },
    stringify: ({ p }) => ({ p: String(p) }),
  },
  validateSearch: rangeSearch,
  search: { middlewares: [retainSearchParams(['last', 'from', 'to'])] },
  component: Shell,
})

const overview = createRoute({
  getParentRoute: () => project,
  path: '/',
  validateSearch: (search: RawSearch): { sort?: string } => ({ sort: text(search, 'sort') }),
}).lazy(() => import('./pages/Overview').then((m) => m.route))

const projectSetup = createRoute({
  getParentRoute: () => project,
  path: '/setup',
  validateSearch: (search: RawSearch): { tab?: string } => ({ tab: text(search, 'tab') }),
}).lazy(() => import('./pages/ProjectSetup').then((m) => m.route))

const traces = createRoute({
  getParentRoute: () => project,
  path: '/traces',
  validateSearch: (search: RawSearch): { f?: string[]; view?: 'spans' } => ({ f: texts(search, 'f'), view: search.view === 'spans' ? 'spans' : undefined }),
}).lazy(() => import('./pages/Traces').then((m) => m.route))

const trace = createRoute({
  getParentRoute: () => project,
  path: '/traces/$id',
  validateSearch: (search: RawSearch): { span_id?: string; q?: string; view?: 'logs' | 'services' } => ({
    span_id: text(search, 'span_id'),
    q: text(search, 'q'),
    view: search.view === 'logs' || search.view === 'services' ? search.view : undefined,
  }),
}).lazy(() => import('./pages/trace/Trace').then((m) => m.route))

const logs = createRoute({
  getParentRoute: () => project,
  path: '/logs',
  validateSearch: (search: RawSearch): { f?: string[]; q?: string } => ({ f: texts(search, 'f'), q: text(search, 'q') }),
}).lazy(() => import('./pages/Logs').then((m) => m.route))

const metrics = createRoute({
  getParentRoute: () => project,
  path: '/metrics',
  validateSearch: (search: RawSearch): { q?: string } => ({ q: text(search, 'q') }),
}).lazy(() => import('./pages/Metrics').then((m) => m.route))

const metric = createRoute({
  getParentRoute: () => project,
  path: '/metrics/$name',
  validateSearch: (search: RawSearch): { agg?: Aggregate; by?: string[]; f?: string[] } => ({
    agg: aggregates.find((a) => a === search.agg),
    by: texts(search, 'by'),
    f: texts(search, 'f'),
  }),
}).lazy(() => import('./pages/Metric').then((m) => m.route))

const tree = root.addChildren([
  signIn,
  setup,
  inside.addChildren([home, finder, uptraceLink, project.addChildren([overview, projectSetup, traces, trace, logs, metrics, metric])]),
])

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    parseSearch,
    stringifySearch,
    defaultPreload: 'intent',
    defaultPreloadDelay: 80,
    defaultPendingComponent: PagePending,
    defaultErrorComponent: PageFailure,
    defaultNotFoundComponent: LostPage,
    defaultPendingMs: 150,
  })
}
