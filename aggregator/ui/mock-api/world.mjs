/**
 * An invented world that is the same every time: a shop of nine services. Trace number i happens at i * 900 ms, so any window
 * of time can be computed instead of stored.
 */

export const beat = 900
const services = ['storefront', 'api-gateway', 'checkout', 'payments', 'inventory', 'orders-db', 'session-cache', 'mailer', 'search']
const operations = [
  { root: ['storefront', 'GET /'], slow: 1, weight: 6 },
  { root: ['storefront', 'GET /products/:id'], slow: 1.4, weight: 5 },
  { root: ['api-gateway', 'POST /api/checkout'], slow: 6, weight: 3, errors: 0.06 },
  { root: ['api-gateway', 'GET /api/search'], slow: 2.2, weight: 4, errors: 0.01 },
  { root: ['mailer', 'orders.confirmed process'], slow: 3, weight: 2, errors: 0.02 },
]
const weights = operations.flatMap((operation, index) => Array.from({ length: operation.weight }, () => index))

/** A small generator with a seed: the same number gives the same trace for ever. */
export function random(seed) {
  let state = (seed ^ 0x9e3779b9) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const hex = (n, width) => BigInt(n).toString(16).padStart(width, '0')
export const traceId = (i) => `5e7a${hex(i, 28)}`
export const traceNumber = (id) => (/^5e7a[0-9a-f]{28}$/.test(id) ? Number(BigInt(`0x${id.slice(4)}`)) : undefined)
export const bigTraceId = '00000000000000000000000000005000'
const spanId = (i, row) => hex((BigInt(i) << 20n) + BigInt(row + 1) + (0xabn << 56n), 16)

/** What a list shows of trace i, without building its spans. */
export function summary(i) {
  const rand = random(i)
  const operation = operations[weights[Math.floor(rand() * weights.length)]]
  const tail = rand()
  const ms = operation.slow * (12 + rand() * 40) * (tail > 0.985 ? 18 : tail > 0.9 ? 3 : 1)
  const failed = rand() < (operation.errors ?? 0.004) * (tail > 0.95 ? 4 : 1)
  return { i, operation, ms, failed, start: BigInt(i * beat) * 1_000_000n + BigInt(Math.floor(rand() * 999_999)), rand }
}

export function spans(i) {
  if (i === -1) return bigTrace()
  if (i === -2) return hostileTrace()
  const { operation, ms, failed, start, rand } = summary(i)
  const list = []
  const add = (parent, service, name, kind, from, dur, more = {}) => {
    const row = list.length
    list.push({
      row, parent, service, name, kind, from: Math.round(from), dur: Math.max(1000, Math.round(dur)), status: 'unset', status_message: '',
      attributes: {}, events: [], links: [], ...more,
    })
    return row
  }
  const ns = ms * 1e6
  const [service, name] = operation.root
  const method = name.split(' ')[0]
  const root = add(-1, service, name, name.includes('process') ? 'consumer' : 'server', 0, ns, {
    attributes: {
      'http.request.method': method, 'http.route': name.split(' ')[1], 'http.response.status_code': failed ? 500 : 200,
      'url.full': `https://shop.example${name.split(' ')[1].replace(':id', String(100 + (i % 800)))}`, 'user_agent.original': 'Mozilla/5.0 (X11; Linux x86_64)',
      'client.address': `10.4.${i % 250}.${(i * 7) % 250}`, 'enduser.id': `u-${i % 4000}`,
    },
    status: failed ? 'error' : 'ok', status_message: failed ? 'upstream payment failed' : '',
    links: i % 5 === 0 ? [{ trace_id: traceId(i - 3), span_id: spanId(i - 3, 0), attributes: { 'messaging.batch': 1 } }] : [],
  })
  const cache = add(root, 'session-cache', 'GET session', 'client', ns * 0.02, ns * 0.04, { attributes: { 'db.system.name': 'redis', 'db.query.text': `GET session:${i % 4000}` } })
  void cache
  if (service === 'mailer') {
    const render = add(root, 'mailer', 'render template', 'internal', ns * 0.1, ns * 0.25)
    add(render, 'orders-db', 'SELECT orders', 'client', ns * 0.12, ns * 0.12, sql('SELECT id, total, email FROM orders WHERE id = $1'))
    add(root, 'mailer', 'SMTP send', 'client', ns * 0.4, ns * 0.55, { events: [{ at: 0.5, name: 'message.sent', attributes: { 'messaging.message.body.size': 18_233 } }] })
    return finish(i, start, list)
  }
  const gateway = service === 'storefront' ? add(root, 'api-gateway', name.replace('GET ', 'GET /api'), 'server', ns * 0.08, ns * 0.85) : root
  if (name.includes('search')) {
    const search = add(gateway, 'search', 'query products', 'server', ns * 0.1, ns * 0.8)
    for (let shard = 0; shard < 5; shard++) add(search, 'search', `shard ${shard}`, 'internal', ns * (0.15 + 0.02 * shard), ns * (0.3 + rand() * 0.4))
    return finish(i, start, list)
  }
  if (!name.includes('checkout')) {
    const stock = add(gateway, 'inventory', 'inventory.Stock/Get', 'server', ns * 0.15, ns * 0.5, { attributes: { 'rpc.system': 'grpc', 'rpc.service': 'inventory.Stock', 'rpc.method': 'Get' } })
    add(stock, 'orders-db', 'SELECT stock', 'client', ns * 0.2, ns * 0.35, sql('SELECT sku, count FROM stock WHERE sku = ANY($1)'))
    add(gateway, 'search', 'recommend', 'server', ns * 0.68, ns * 0.2)
    return finish(i, start, list)
  }
  const checkout = add(gateway, 'checkout', 'checkout.Place', 'server', ns * 0.08, ns * 0.88, { attributes: { 'rpc.system': 'grpc', 'app.cart.items': 1 + (i % 7), 'app.cart.total': 12.5 + (i % 300) } })
  const stock = add(checkout, 'inventory', 'inventory.Stock/Reserve', 'server', ns * 0.11, ns * 0.2)
  for (let item = 0; item < 1 + (i % 5); item++) add(stock, 'orders-db', 'UPDATE stock', 'client', ns * (0.12 + item * 0.035), ns * 0.03, sql('UPDATE stock SET count = count - 1 WHERE sku = $1'))
  const pay = add(checkout, 'payments', 'payments.Charge', 'server', ns * 0.33, ns * 0.45, {
    status: failed ? 'error' : 'unset', status_message: failed ? 'card processor timed out' : '', attributes: { 'app.payment.card': i % 3 ? 'visa' : 'amex', 'app.payment.attempt': 1 },
  })
  add(pay, 'payments', 'POST acquirer.example', 'client', ns * 0.36, ns * 0.4, {
    status: failed ? 'error' : 'unset', status_message: failed ? 'deadline exceeded' : '',
    attributes: { 'http.request.method': 'POST', 'server.address': 'acquirer.example', 'http.response.status_code': failed ? 504 : 201 },
    events: failed ? [{ at: 0.98, name: 'exception', attributes: exception }] : [{ at: 0.3, name: 'tls.handshake.done', attributes: { 'tls.protocol.version': '1.3' } }],
  })
  if (!failed) {
    const insert = add(checkout, 'orders-db', 'INSERT orders', 'client', ns * 0.8, ns * 0.08, sql('INSERT INTO orders (customer, total, items) VALUES ($1, $2, $3) RETURNING id'))
    void insert
    add(checkout, 'mailer', 'orders.confirmed publish', 'producer', ns * 0.9, ns * 0.03, { attributes: { 'messaging.system': 'nats', 'messaging.destination.name': 'orders.confirmed' } })
  }
  return finish(i, start, list)
}

const sql = (text) => ({ attributes: { 'db.system.name': 'postgresql', 'db.namespace': 'shop', 'db.query.text': text, 'server.address': 'orders-db.internal', 'server.port': 5432 } })
const exception = {
  'exception.type': 'requests.exceptions.ReadTimeout',
  'exception.message': "HTTPSConnectionPool(host='acquirer.example', port=443): Read timed out. (read timeout=2.0)",
  'exception.stacktrace': `Traceback (most recent call last):
  File "/usr/local/lib/python3.12/site-packages/urllib3/connectionpool.py", line 536, in _make_request
    response = conn.getresponse()
  File "/usr/local/lib/python3.12/http/client.py", line 1428, in getresponse
    response.begin()
TimeoutError: The read operation timed out

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/payments/charge.py", line 88, in charge
    answer = self.acquirer.capture(order, timeout=2.0)
  File "/app/payments/acquirer.py", line 41, in capture
    return self.session.post(self.url, json=order.to_wire(), timeout=timeout)
  File "/usr/local/lib/python3.12/site-packages/requests/sessions.py", line 637, in post
    return self.request("POST", url, data=data, json=json, **kwargs)
requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='acquirer.example', port=443): Read timed out. (read timeout=2.0)`,
}

/** What a stranger may send: markup, scripts, right-to-left tricks, terminal escapes, links that aren't. */
export const hostileTraceId = 'bad0'.repeat(8).replace(/^bad0/, 'f0e5')
export const payloads = [
  '<img src=x onerror="alert(1)">', '<script>alert(1)</script>', '"><svg/onload=alert(1)>', '{{constructor.constructor("alert(1)")()}}', 'javascript:alert(1)',
  'data:text/html,<script>alert(1)</script>', '\u202Egnp.exe', '\u001b[31mred\u001b[0m', '__proto__', "'; DROP TABLE spans; --", 'x'.repeat(20_000),
]
function hostileTrace() {
  const start = bigStart
  const list = payloads.map((payload, row) => ({
    row, parent: row - 1, service: payload, name: payload, kind: 'server', from: row * 1e6, dur: 4e7, status: 'error', status_message: payload,
    attributes: Object.fromEntries(payloads.map((p, k) => [p.slice(0, 300), payloads[(k + row) % payloads.length]])),
    events: [{ at: 0.5, name: payload, attributes: { 'exception.type': payload, 'exception.message': payload, 'exception.stacktrace': payloads.join('\n') } }],
    links: [{ trace_id: bigTraceId, span_id: spanId(1, 1), attributes: { [payload.slice(0, 300)]: payload } }],
  }))
  return finish(-2, start, list).map((s) => ({ ...s, scope: { name: s.name, version: s.name }, resource: { ...s.resource, [s.name.slice(0, 300)]: s.name } }))
}

const bigStart = BigInt(Date.now() - 180_000) * 1_000_000n

/** 5,000 spans: a batch job over 60 customers, with a bad day in the middle. */
function bigTrace() {
  const rand = random(5000)
  const list = []
  const add = (parent, service, name, kind, from, dur, more = {}) => {
    list.push({ row: list.length, parent, service, name, kind, from: Math.round(from), dur: Math.round(dur), status: 'unset', status_message: '', attributes: {}, events: [], links: [], ...more })
    return list.length - 1
  }
  const second = 1e9
  const root = add(-1, 'mailer', 'nightly invoices', 'internal', 0, 64 * second)
  for (let customer = 0; list.length < 4900; customer++) {
    const at = (0.2 + customer * 1.02) * second
    const failed = customer % 17 === 11
    const job = add(root, 'checkout', `invoice customer ${customer}`, 'internal', at, (0.9 + rand()) * second, failed ? { status: 'error', status_message: 'one line could not be priced' } : {})
    for (let line = 0; line < 27; line++) {
      const from = at + line * 0.03 * second
      const price = add(job, 'inventory', 'price line', 'client', from, (0.02 + rand() * 0.02) * second)
      add(price, 'session-cache', 'GET price', 'client', from + 1e6, 2e6 + rand() * 2e6)
      const bad = failed && line === 20
      add(price, 'orders-db', 'SELECT price', 'client', from + 5e6, 8e6 + rand() * 9e6, { ...sql('SELECT price FROM prices WHERE sku = $1 AND valid @> now()'), ...(bad ? { status: 'error', status_message: 'canceling statement due to lock timeout', events: [{ at: 0.9, name: 'exception', attributes: exception }] } : {}) })
    }
  }
  while (list.length < 5000) add(root, 'mailer', 'SMTP send', 'client', 62 * second + list.length * 2e5, 1e8 + rand() * 3e8)
  return finish(-1, bigStart, list)
}

function finish(i, start, list) {
  const trace_id = i === -1 ? bigTraceId : i === -2 ? hostileTraceId : traceId(i)
  const seed = i < 0 ? 4096 + i : i
  return list.map((s) => ({
    ...s,
    trace_id,
    span_id: spanId(seed, s.row),
    parent_id: s.parent < 0 ? '' : spanId(seed, s.parent),
    start: start + BigInt(s.from),
    resource: resourceOf(s.service),
    scope: { name: `io.opentelemetry.${s.kind === 'client' ? 'client' : 'server'}`, version: '1.28.0' },
    events: s.events.map((e) => ({ time: String(start + BigInt(s.from + Math.round(s.dur * e.at))), name: e.name, attributes: e.attributes })),
  }))
}

const resourceOf = (service) => ({
  'service.name': service, 'service.version': '2.4.1', 'service.instance.id': `${service}-7c9d-${service.length}`, 'deployment.environment.name': 'production',
  'host.name': `edge-${(service.length * 7) % 12}.example`, 'telemetry.sdk.language': service.length % 2 ? 'go' : 'python', 'telemetry.sdk.version': '1.28.0', 'os.type': 'linux',
})

/** Logs of trace i: what its services say while they work. */
export function logsOf(i) {
  const list = spans(i)
  const out = []
  for (const s of list) {
    const say = (at, severity_number, severity_text, body, attributes = {}) =>
      out.push({ time: s.start + BigInt(Math.round(s.dur * at)), severity_number, severity_text, service: s.service, body, trace_id: s.trace_id, span_id: s.span_id, attributes, resource: s.resource })
    if (s.row === 0) say(0.01, 9, 'INFO', `${s.name} started`, { 'code.function.name': 'handle' })
    if (s.row === 0 && i % 4 === 0) say(0.02, 5, 'DEBUG', `session resolved user=u-${i % 4000} age=${i % 900}s`)
    if (s.status === 'error') {
      say(0.9, 13, 'WARN', `retrying after error: ${s.status_message}`, { attempt: 1 })
      say(0.99, 17, 'ERROR', `${s.name} failed: ${s.status_message}`, { 'error.type': 'timeout', 'code.file.path': '/app/payments/charge.py', 'code.line.number': 88 })
    }
    if (s.name === 'checkout.Place') say(0.95, 9, 'INFO', `order placed items=${s.attributes['app.cart.items']} total=${s.attributes['app.cart.total']}`)
    if (s.name.startsWith('UPDATE stock') && s.dur > 4e7) say(0.7, 13, 'WARN', 'slow statement: UPDATE stock SET count = count - 1 WHERE sku = $1')
  }
  return out
}

/** Numbers of traces in a window, newest first, at most `most`. */
export function* between(from, to, before = Infinity) {
  const last = Math.min(Math.floor(Number(to / 1_000_000n) / beat), before - 1)
  const first = Math.ceil(Number(from / 1_000_000n) / beat)
  for (let i = last; i >= first; i--) yield i
}

export const metrics = [
  { name: 'http.server.request.duration', type: 'histogram', unit: 's', description: 'Duration of HTTP server requests.', series: 36 },
  { name: 'http.server.active_requests', type: 'sum', unit: '{request}', description: 'Number of active HTTP server requests.', series: 12 },
  { name: 'process.cpu.time', type: 'sum', unit: 's', description: 'Total CPU seconds.', series: 18 },
  { name: 'process.memory.usage', type: 'gauge', unit: 'By', description: 'The amount of physical memory in use.', series: 9 },
  { name: 'system.cpu.utilization', type: 'gauge', unit: '1', description: '', series: 48 },
  { name: 'system.network.io', type: 'sum', unit: 'By', description: 'Bytes sent and received.', series: 24 },
  { name: 'db.client.connection.count', type: 'gauge', unit: '{connection}', description: 'Connections in the pool by state.', series: 4 },
  { name: 'agent.spool.used_bytes', type: 'gauge', unit: 'By', description: 'What waits on the disk of the agent.', series: 3 },
  { name: 'agent.forward.delivered_items', type: 'sum', unit: '{item}', description: 'Items the aggregator acknowledged.', series: 9 },
]
export const serviceNames = services
