/**
 * The contract of the HTTP API, served from an invented world: `npm run mock` beside `npm run dev`, and the e2e tests with `dist`.
 * Sentinels: project 2 is empty, project 3 fails; trace `fee1...` shows up after a few looks, `dead...` never.
 * Sign in with anything but the password `wrong`.
 */
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beat, between, bigTraceId, hostileTraceId, logsOf, metrics, random, serviceNames, spans, traceNumber } from './world.mjs'

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const policy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' }
const projects = [{ id: 1, name: 'Shop' }, { id: 2, name: 'Empty' }, { id: 3, name: 'Broken' }]
const session = { user: { id: '1', email: 'admin@example.com', name: 'Ada Keeper' }, projects }

class Reply extends Error {
  constructor(status, code, message, hint) {
    super(message)
    Object.assign(this, { status, body: { error: { code, message, hint } } })
  }
}
const meta = (more = {}) => ({ elapsed_ms: 4 + Math.floor(Math.random() * 30), rows_read: 48_213, bytes_read: 3_812_004, partial: null, next: null, ...more })
const answer = (data, more) => ({ data, meta: meta(more) })

/** Starts the mock; `start()` gives its port and a way to stop it. */
export function start({ port = 0, needSetup = false } = {}) {
  const state = { setup: needSetup, looks: new Map(), sessions: new Set(), streams: new Set(), fail: false }
  const server = createServer((request, response) => {
    handle(request, response, state).catch((error) => {
      if (!(error instanceof Reply)) console.error(error)
      send(response, error.status ?? 500, error.body ?? { error: { code: 'internal', message: String(error) } })
    })
  })
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () =>
      resolve({
        port: server.address().port,
        url: `http://127.0.0.1:${server.address().port}`,
        state,
        stop: () => {
          for (const stream of state.streams) stream.end()
          server.closeAllConnections()
          server.close()
        },
      }),
    )
  })
}

async function handle(request, response, state) {
  const url = new URL(request.url, 'http://mock')
  const path = decodeURIComponent(url.pathname)
  if (!path.startsWith('/api/')) return file(path, response)
  const body = request.method === 'POST' ? JSON.parse((await text(request)) || '{}') : undefined
  const route = `${request.method} ${path.replace(/^\/api\/v1/, '')}`
  const cookie = /petrel_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
  const known = cookie !== undefined && state.sessions.has(cookie)
  const enter = () => {
    const id = crypto.randomUUID()
    state.sessions.add(id)
    response.setHeader('set-cookie', `petrel_session=${id}; HttpOnly; SameSite=Lax; Path=/`)
    return send(response, 200, session)
  }
  if (route === 'GET /setup') return send(response, 200, { needed: state.setup })
  if (route === 'POST /setup') {
    if (!state.setup) throw new Reply(409, 'already_set_up', 'This server has an administrator already.')
    if (body.token !== 'setup-token') throw new Reply(403, 'bad_token', 'That isn’t the token from the server’s log.', 'It is printed once when the server starts.')
    state.setup = false
    return enter()
  }
  if (route === 'POST /session') {
    if (body.password === 'wrong') throw new Reply(401, 'wrong_login', 'no user has this address and password')
    return enter()
  }
  if (route === 'DELETE /session') {
    state.sessions.delete(cookie)
    return send(response, 204)
  }
  if (!known) throw new Reply(401, 'signed_out', 'you are not signed in')
  if (route === 'GET /session') return send(response, 200, session)

  const find = /^GET \/traces\/([0-9a-f]{32})$/.exec(route)
  if (find) return send(response, 200, answer(place(find[1], state)))
  const match = /^(\w+) \/projects\/(\d+)(\/.*)?$/.exec(route)
  if (!match) throw new Reply(404, 'not_found', 'There is nothing at this address.')
  const [, method, id, rest = ''] = match
  const project = projects.find((p) => p.id === Number(id))
  if (!project) throw new Reply(404, 'project_not_found', 'There is no such project, or it isn’t open to you.')
  if (`${method} ${rest}` === 'GET /ingest/recent') return stream(response, project.id, state)
  if (project.id === 3 && rest !== '') throw new Reply(503, 'store_unavailable', 'ClickHouse doesn’t answer.', 'New data is kept safe in the journal meanwhile.')
  return send(response, 200, data(method, rest, url.searchParams, body, project, state))
}

const empty = {
  'GET /services': [], 'POST /traces/search': [], 'POST /spans/search': [], 'POST /logs/search': [], 'GET /metrics': [], 'GET /keys': [], 'GET /values': [],
  'POST /spans/timeseries': { step_ms: 60_000, times: [], count: [], errors: [], p50: [], p99: [] }, 'POST /logs/histogram': { step_ms: 60_000, times: [], series: [] },
}

function data(method, rest, params, body, project, state) {
  const route = `${method} ${rest}`
  if (route === 'GET ') {
    return { ...project, pinned_attrs: ['service.name', 'host.name', 'deployment.environment.name'], dsn: `http://project${project.id}_secret_token@127.0.0.1:14318?grpc=14317`, http_endpoint: 'http://127.0.0.1:14318', grpc_endpoint: 'http://127.0.0.1:14317' }
  }
  if (project.id === 2 && empty[route]) return answer(empty[route])
  const trace = /^\/traces\/([0-9a-f]{32})\/(outline|spans|logs)$/.exec(rest)
  if (trace) return traceData(trace[1], trace[2], body, state)
  const metric = route === 'POST /metrics/query'
  const from = BigInt(body?.time?.from ?? params.get('from') ?? 0)
  const to = BigInt(body?.time?.to ?? params.get('to') ?? 0)
  if (metric) return answer(metricData(body, from, to))
  switch (route) {
    case 'GET /services':
      return answer(serviceNames.map((service, k) => {
        const n = Math.round(Number((to - from) / 1_000_000n) / beat * (3 + k))
        return { service, spans: n, errors: Math.round(n * [0.001, 0.004, 0.02, 0.031, 0, 0, 0, 0.006, 0.0005][k]), p50: (4 + k * 3) * 1e6, p95: (20 + k * 19) * 1e6, p99: (60 + k * 70) * 1e6 }
      }))
    case 'POST /traces/search':
      return paged(body, from, to, (i) => {
        const list = spans(i)
        const names = [...new Set(list.map((s) => s.service))]
        const errors = list.filter((s) => s.status === 'error').length
        return list.some((s) => holds(s, body.where)) ? [{ trace_id: list[0].trace_id, root_service: list[0].service, root_name: list[0].name, start: String(list[0].start), duration: String(list[0].dur), spans: list.length, errors, services: names, status: list[0].status }] : []
      })
    case 'POST /spans/search':
      return paged(body, from, to, (i) => spans(i).filter((s) => holds(s, body.where)).map(spanRow))
    case 'POST /spans/timeseries':
      return answer(timeseries(from, to, body))
    case 'POST /logs/search':
      return paged(body, from, to, (i) => logsOf(i).filter((l) => logHolds(l, body)).map(logRow).toReversed())
    case 'POST /logs/histogram':
      return answer(histogram(from, to, body))
    case 'GET /metrics':
      return answer(metrics.map((m) => ({ ...m, last_seen: String(to) })))
    case 'GET /keys':
      return answer(keys(params.get('signal'), params.get('q') ?? ''))
    case 'GET /values':
      return answer(values(params.get('key'), params.get('q') ?? '', from, to))
    default:
      throw new Reply(404, 'not_found', 'There is nothing at this address.')
  }
}

function paged(body, from, to, make) {
  const limit = Math.min(body.limit ?? 50, 200)
  const rows = []
  let looked = 0
  for (const i of between(from, to, body.page ? Number(body.page) : Infinity)) {
    rows.push(...make(i))
    looked += 1
    if (rows.length >= limit) return answer(rows, { next: String(i) })
    if (looked > 6000) return answer(rows, { partial: 'the search stopped at its row limit; narrow the time or the filters' })
  }
  return answer(rows)
}

function field(s, key) {
  return { 'service.name': s.service, name: s.name, duration: s.dur, status: s.status, kind: s.kind, severity: s.severity_text, body: s.body }[key] ?? s.attributes[key] ?? s.resource[key]
}
function holds(s, where = []) {
  return where.every(({ key, op, value }) => {
    const have = field(s, key)
    if (op === 'exists') return have !== undefined
    if (op === 'missing') return have === undefined
    if (have === undefined) return op === '!='
    const number = Number(value)
    return { '=': String(have) === value, '!=': String(have) !== value, contains: String(have).toLowerCase().includes(value.toLowerCase()), '>': have > number, '>=': have >= number, '<': have < number, '<=': have <= number }[op]
  })
}
const logHolds = (l, body) => holds(l, body.where) && (!body.text || l.body.toLowerCase().includes(body.text.toLowerCase()))
const logRow = (l) => ({ ...l, time: String(l.time) })
const spanRow = (s) => ({ trace_id: s.trace_id, span_id: s.span_id, parent_id: s.parent_id, service: s.service, name: s.name, kind: s.kind, status: s.status, start: String(s.start), duration: String(s.dur) })

function grid(from, to, step) {
  const times = []
  for (let t = Math.floor(Number(from / 1_000_000n) / step) * step; t < Number(to / 1_000_000n); t += step) times.push(t)
  return times
}
const wave = (t, seed) => 1 + 0.35 * Math.sin(t / 2.9e6 + seed) + 0.2 * Math.sin(t / 4.1e5 + seed * 3) + 0.16 * (random(Math.floor(t / 1000) + seed)() - 0.5)

function timeseries(from, to, body) {
  const step = body.step_ms ?? 60_000
  const times = grid(from, to, step)
  const failing = body.where?.some((f) => f.key === 'status' && f.value === 'error')
  const share = (body.where ?? []).reduce((n, f) => n * (f.key === 'status' ? 0.02 : 0.35), 1)
  const count = times.map((t) => Math.round((step / beat) * 9 * share * wave(t, 1)))
  return { step_ms: step, times, count, errors: times.map((t, k) => (failing ? count[k] : Math.round(count[k] * 0.012 * Math.max(0, wave(t, 5) ** 4)))), p50: times.map((t) => 9e6 * wave(t, 2)), p99: times.map((t) => 240e6 * wave(t, 3) ** 2) }
}
function histogram(from, to, body) {
  const step = body.step_ms ?? 60_000
  const times = grid(from, to, step)
  const share = (body.text ? 0.2 : 1) * (body.where?.length ? 0.4 : 1)
  return { step_ms: step, times, series: [['ERROR', 0.05], ['WARN', 0.09], ['INFO', 1], ['DEBUG', 0.3]].map(([severity, part], k) => ({ severity, counts: times.map((t) => Math.round((step / beat) * part * share * Math.max(0, wave(t, k + 4) ** (k < 2 ? 4 : 1)))) })) }
}
function metricData(body, from, to) {
  const found = metrics.find((m) => m.name === body.metric)
  if (!found) throw new Reply(404, 'metric_not_found', `No metric is called ${body.metric}.`)
  const step = body.step_ms ?? 60_000
  const times = grid(from, to, step)
  const groups = body.group_by?.length ? serviceNames.slice(0, 6) : ['']
  const scale = { By: 2.4e8, s: 0.04, 1: 0.4 }[found.unit] ?? 40
  return {
    unit: body.aggregate === 'count' ? '1' : found.unit, step_ms: step, times,
    series: groups.map((g, k) => ({ labels: g === '' ? {} : Object.fromEntries(body.group_by.map((key) => [key, key === 'service.name' ? g : `${key}-${k}`])), values: times.map((t, n) => (k === 2 && n % 40 > 35 ? null : scale * (1 + k * 0.4) * wave(t, k))) })),
  }
}

const knownKeys = { traces: ['service.name', 'name', 'duration', 'status', 'kind', 'http.request.method', 'http.route', 'http.response.status_code', 'db.system.name', 'db.query.text', 'app.payment.card', 'app.cart.items', 'enduser.id', 'host.name', 'deployment.environment.name', 'service.version'], logs: ['service.name', 'severity', 'body', 'error.type', 'code.file.path', 'host.name', 'deployment.environment.name'], metrics: ['service.name', 'host.name', 'http.request.method', 'http.response.status_code', 'deployment.environment.name'] }
const keys = (signal, q) => (knownKeys[signal] ?? knownKeys.traces).filter((k) => k.includes(q)).map((key, k) => ({ key, count: Math.round(500_000 / (k + 1)) }))
function values(key, q, from, to) {
  const counts = new Map()
  let looked = 0
  if (key === 'severity') for (const s of ['INFO', 'DEBUG', 'WARN', 'ERROR']) counts.set(s, 100)
  for (const i of between(from, to)) {
    for (const s of spans(i)) {
      const value = field(s, key)
      if (value !== undefined && String(value).toLowerCase().includes(q.toLowerCase())) counts.set(String(value), (counts.get(String(value)) ?? 0) + 1)
    }
    if (++looked > 250) break
  }
  return [...counts].map(([value, count]) => ({ value, count })).toSorted((a, b) => b.count - a.count).slice(0, 50)
}

function look(id, state) {
  if (id === bigTraceId) return -1
  if (id === hostileTraceId) return -2
  if (id.startsWith('fee1')) {
    const n = (state.looks.get(id) ?? 0) + 1
    state.looks.set(id, n)
    return n > 3 ? 2_000_000_002 : undefined
  }
  return traceNumber(id)
}
function place(id, state) {
  const i = look(id, state)
  if (i === undefined) throw new Reply(404, 'trace_not_found', 'This trace is not here yet.', 'It may still be on its way.')
  const list = spans(i)
  return [{ project_id: 1, project_name: 'Shop', start: String(list[0].start), end: String(list[0].start + BigInt(list[0].dur)), spans: list.length }]
}

function traceData(id, what, body, state) {
  if (id.startsWith('bad0')) throw new Reply(500, 'internal', 'The store refused the query.', 'Ask for a shorter range.')
  const i = look(id, state)
  if (i === undefined) throw new Reply(404, 'trace_not_found', 'This trace is not here yet.', 'It may still be on its way.')
  const list = spans(i)
  if (what === 'logs') return answer(logsOf(i).map((l) => ({ ...logRow(l), trace_id: id })))
  if (what === 'spans') {
    const wanted = new Set(body.span_ids)
    return answer(list.filter((s) => wanted.has(s.span_id)).map((s) => ({ ...spanRow(s), trace_id: id, status_message: s.status_message, attributes: s.attributes, resource: s.resource, scope: s.scope, events: s.events, links: s.links })))
  }
  return answer(outline(id, list, i))
}

function outline(id, list, i) {
  const children = new Map()
  for (const s of list) children.set(s.parent, [...(children.get(s.parent) ?? []), s])
  const logged = new Set(logsOf(i).map((l) => l.span_id))
  const services = [...new Set(list.map((s) => s.service))]
  const names = [...new Set(list.map((s) => s.name))]
  const c = { span_id: [], parent: [], depth: [], subtree: [], service: [], name: [], kind: [], start: [], dur: [], self: [], flags: [] }
  const t0 = list[0].start
  const critical = new Set()
  for (let at = list[0]; at; ) {
    critical.add(at.row)
    at = (children.get(at.row) ?? []).toSorted((a, b) => b.from + b.dur - (a.from + a.dur))[0]
  }
  const walk = (s, parent, depth) => {
    const row = c.span_id.length
    const below = (children.get(s.row) ?? []).toSorted((a, b) => a.from - b.from)
    c.span_id.push(s.span_id)
    c.parent.push(parent)
    c.depth.push(depth)
    c.subtree.push(1)
    c.service.push(services.indexOf(s.service))
    c.name.push(names.indexOf(s.name))
    c.kind.push(s.kind)
    c.start.push(Number(s.start - t0))
    c.dur.push(s.dur)
    c.self.push(Math.max(0, s.dur - below.reduce((n, b) => n + b.dur, 0)))
    c.flags.push((s.status === 'error' ? 1 : 0) | (logged.has(s.span_id) ? 4 : 0) | (s.links.length ? 8 : 0) | (critical.has(s.row) ? 16 : 0) | (s.events.length ? 32 : 0))
    for (const b of below) c.subtree[row] += walk(b, row, depth + 1)
    return c.subtree[row]
  }
  walk(list[0], -1, 0)
  return { trace_id: id, t0: String(t0), duration: list[0].dur, count: list.length, truncated: false, services, names, columns: c }
}

function stream(response, project, state) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  state.streams.add(response)
  const rand = random(7)
  const tell = (at) => {
    const refused = rand() < 0.14
    const item = { at: String(BigInt(at) * 1_000_000n), signal: ['traces', 'logs', 'metrics'][Math.floor(rand() * 3)], items: 1 + Math.floor(rand() * 400), service: refused ? null : serviceNames[Math.floor(rand() * 9)], outcome: refused ? 'refused' : 'accepted', reason: refused ? ['The token in the DSN is not known here', 'The body is larger than 16 MiB after unpacking', 'OTLP/gRPC was sent to the HTTP port'][Math.floor(rand() * 3)] : null, transport: rand() < 0.5 ? 'http' : 'grpc', via_agent: rand() < 0.7 }
    response.write(`data: ${JSON.stringify(item)}\n\n`)
  }
  if (project === 2) return
  for (let k = 20; k > 0; k--) tell(Date.now() - k * 1400)
  const timer = setInterval(() => tell(Date.now()), 1200)
  response.on('close', () => {
    clearInterval(timer)
    state.streams.delete(response)
  })
}

function send(response, status, body) {
  response.writeHead(status, body === undefined ? {} : { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}
async function text(request) {
  let all = ''
  for await (const chunk of request) all += chunk
  return all
}
/** As the aggregator serves it: the policy on every page, and `index.html` for every address of the UI. */
function file(path, response) {
  const wanted = join(dist, normalize(path))
  const found = wanted.startsWith(dist) && existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(dist, 'index.html')
  response.writeHead(200, { 'content-type': types[extname(found)] ?? 'application/octet-stream', 'content-security-policy': policy, 'x-content-type-options': 'nosniff' })
  createReadStream(found).pipe(response)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await start({ port: Number(process.env.PORT ?? 14399), needSetup: process.env.SETUP === '1' })
  console.log(`mock API at ${url} (and dist, when built)`)
}
