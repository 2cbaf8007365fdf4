/**
 * The UI as a person meets it, on the mock API and under the real content security policy: every page opens, nothing complains,
 * axe finds nothing serious, and the trace page works by keyboard. `npm run build && npm run e2e`.
 */
import axeCore from 'axe-core'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { start } from '../mock-api/server.mjs'
import { beat, bigTraceId, hostileTraceId, payloads, summary, traceId } from '../mock-api/world.mjs'
import { launch, openPage, signIn } from './browser.mjs'

if (!existsSync(fileURLToPath(new URL('../dist/index.html', import.meta.url)))) {
  console.error('There is no dist: run `npm run build` first.')
  process.exit(2)
}

function failedCheckout() {
  for (let i = Math.floor(Date.now() / beat) - 20; ; i--) {
    const s = summary(i)
    if (s.failed && s.operation.root[1].includes('checkout')) return traceId(i)
  }
}

const mock = await start()
const browser = await launch()
const url = mock.url
const only = process.argv[2]
let failures = 0

/** One test: a signed-in page of its own; whatever the page complained about fails it. */
async function test(name, body, { signedIn = true, ...options } = {}) {
  if (only && !name.includes(only)) return
  const { page, context, complaints } = await openPage(browser, options)
  page.setDefaultTimeout(8000)
  const began = Date.now()
  try {
    if (signedIn) await signIn(page, url)
    await body(page, context)
    assert.deepEqual(complaints, [], 'the page complained')
    console.log(`ok   ${name} (${Date.now() - began} ms)`)
  } catch (error) {
    failures += 1
    console.log(`FAIL ${name}\n     at ${page.url()}\n     ${String(error.stack ?? error).replaceAll('\n', '\n     ')}`)
    if (complaints.length > 0) console.log(`     complaints: ${complaints.join('\n     ')}`)
  } finally {
    await context.close()
  }
}

const visible = (locator) => locator.first().waitFor({ state: 'visible' })

async function axe(page, where) {
  await page.evaluate(axeCore.source)
  const violations = await page.evaluate(async () => {
    const found = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'], resultTypes: ['violations'] })
    return found.violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.slice(0, 3).map((n) => n.target.join(' ')).join(' | ') }))
  })
  const serious = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical')
  assert.deepEqual(serious.map((v) => `${where}: ${v.id}: ${v.at}`), [])
}

const failed = failedCheckout()
const pages = [
  ['/p/1', 'Services'],
  ['/p/1/traces', 'Traces'],
  ['/p/1/traces?view=spans', 'Traces'],
  [`/p/1/traces/${failed}`, 'api-gateway'],
  [`/p/1/traces/${failed}?view=services`, 'api-gateway'],
  [`/p/1/traces/${failed}?view=logs`, 'api-gateway'],
  ['/p/1/logs', 'Logs'],
  ['/p/1/metrics', 'Metrics'],
  ['/p/1/metrics/http.server.request.duration?by=service.name', 'http.server.request.duration'],
  ['/p/1/setup', 'Send data to Shop'],
]

for (const colorScheme of ['light', 'dark']) {
  await test(`every page opens and axe finds nothing serious, ${colorScheme}`, async (page) => {
    for (const [path, heading] of pages) {
      await page.goto(url + path)
      await page.locator('h1', { hasText: heading }).first().waitFor({ state: 'attached' })
      await page.locator('.shimmer').first().waitFor({ state: 'detached' })
      await axe(page, path)
    }
  }, { colorScheme })
}

await test('empty and broken projects say what to do', async (page) => {
  for (const path of ['', '/traces', '/logs', '/metrics']) {
    await page.goto(`${url}/p/2${path}`)
    await visible(page.getByRole('link', { name: 'How to send data' }))
    await page.goto(`${url}/p/3${path}`)
    await visible(page.getByText('ClickHouse doesn’t answer.'))
    await visible(page.getByRole('button', { name: 'Try again' }))
  }
  await page.goto(`${url}/p/2/setup`)
  await visible(page.getByText('Waiting for the first request…'))
  await page.goto(`${url}/no/such/page`)
  await visible(page.getByText('There is no such page'))
})

await test('sign-in refuses in words, and brings back the link that was asked for', async (page) => {
  await page.goto(`${url}/p/1/logs?last=3h`)
  await page.waitForURL(/\/sign-in\?next=/)
  await axe(page, 'sign-in')
  await page.getByLabel('Email').fill('a@example.com')
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await visible(page.getByText('No user has this address and password'))
  await page.getByLabel('Password').fill('right enough')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL(/\/p\/1\/logs\?last=3h$/)
}, { signedIn: false })

await test('the first administrator is created with the token from the log', async (page) => {
  mock.state.setup = true
  await page.goto(`${url}/`)
  await page.waitForURL(/\/setup/)
  await axe(page, 'setup')
  await page.getByLabel('Setup token').fill('nonsense')
  await page.getByLabel('Email').fill('a@example.com')
  await page.getByLabel('Password', { exact: false }).first().fill('a long password')
  await page.getByLabel('Password again').fill('a long password')
  await page.getByRole('button', { name: 'Create administrator' }).click()
  await visible(page.getByText('That isn’t the token'))
  await page.getByLabel('Setup token').fill('setup-token')
  await page.getByRole('button', { name: 'Create administrator' }).click()
  await page.waitForURL(/\/p\/1/)
}, { signedIn: false })

await test('a session that ends keeps the page and goes on after signing in', async (page) => {
  await page.goto(`${url}/p/1/traces?f=status+%3D+error`)
  await visible(page.getByRole('table', { name: 'Traces' }))
  mock.state.sessions.clear()
  await page.getByRole('button', { name: 'Spans only' }).or(page.getByRole('radio', { name: 'Spans' })).click()
  await visible(page.getByRole('heading', { name: 'Your session has ended' }))
  await page.getByRole('dialog').getByLabel('Password').fill('a long password')
  await page.getByRole('dialog').getByRole('button', { name: 'Sign in' }).click()
  await visible(page.getByRole('table', { name: 'Spans' }))
  assert.match(page.url(), /view=spans/)
})

await test('the trace page walks by keyboard: rows, folds, errors, matches, the panel', async (page) => {
  await page.goto(`${url}/p/1/traces/${failed}`)
  const grid = page.getByRole('treegrid', { name: 'Spans' })
  await grid.focus()
  const current = async () => page.locator(`[id="${await grid.getAttribute('aria-activedescendant')}"]`).innerText()
  assert.match(await current(), /api-gateway/)
  await page.keyboard.press('ArrowDown')
  assert.match(await current(), /session-cache/)
  await page.keyboard.press('ArrowDown')
  assert.match(await current(), /checkout\.Place/)
  const rows = await grid.getByRole('row').count()
  await page.keyboard.press('ArrowLeft')
  assert.ok((await grid.getByRole('row').count()) < rows, 'folding hides rows')
  assert.equal(await grid.locator('[aria-expanded=false]').count(), 1)
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('e')
  assert.match(await current(), /payments\.Charge/)
  await page.keyboard.press('e')
  assert.match(await current(), /acquirer/)
  await page.keyboard.press('Enter')
  const panel = page.getByRole('complementary', { name: 'Span' })
  await visible(panel.getByText('deadline exceeded'))
  await page.waitForURL(/span_id=[0-9a-f]{16}/)
  await panel.getByRole('tab', { name: /Events and logs/ }).click()
  await visible(panel.getByText('requests.exceptions.ReadTimeout').first())
  await page.keyboard.press('Escape')
  await panel.waitFor({ state: 'detached' })
  assert.doesNotMatch(page.url(), /span_id/)
  await page.keyboard.press('/')
  await page.keyboard.type('UPDATE')
  await page.keyboard.press('Enter')
  assert.match(await current(), /UPDATE stock/)
  await page.waitForURL(/q=UPDATE/)
})

await test('a trace of 5,000 spans opens folded, and its errors are a key away', async (page) => {
  const began = Date.now()
  await page.goto(`${url}/p/1/traces/${bigTraceId}`)
  const grid = page.getByRole('treegrid')
  await visible(grid.getByRole('row'))
  assert.ok(Date.now() - began < 4000, `it took ${Date.now() - began} ms`)
  assert.ok((await grid.getByRole('row').count()) < 90, 'only what is on the screen is drawn')
  await grid.focus()
  await page.keyboard.press('e')
  await page.keyboard.press('e')
  const row = page.locator(`[id="${await grid.getAttribute('aria-activedescendant')}"]`)
  await visible(row)
  assert.match(await row.innerText(), /SELECT price/)
  await page.getByLabel('Search in this trace').fill('is:error')
  await page.getByRole('button', { name: 'Only matches' }).click()
  await visible(page.getByText(/\d of 6/))
})

await test('a link with a decimal span id finds trace and span', async (page) => {
  await page.goto(`${url}/p/1/traces/${failed}`)
  const grid = page.getByRole('treegrid')
  await grid.focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.waitForURL(/span_id=/)
  const hex = new URL(page.url()).searchParams.get('span_id')
  await page.goto(`${url}/traces/${failed}?span_id=${BigInt(`0x${hex}`)}`)
  await page.waitForURL(new RegExp(`/p/1/traces/${failed}\\?span_id=${BigInt(`0x${hex}`)}`))
  await visible(page.getByRole('complementary', { name: 'Span' }).getByRole('heading', { name: 'GET session' }))
  assert.equal(await page.locator('[aria-selected=true][role=row]').count(), 1)
})

await test('a trace that is not here yet is waited for', async (page) => {
  await page.goto(`${url}/traces/${'fee1'.repeat(8)}?span_id=1`)
  await visible(page.getByText('This trace isn’t here yet'))
  await page.waitForURL(/\/p\/1\/traces\/fee1/, { timeout: 15_000 })
  await visible(page.getByRole('treegrid'))
  await visible(page.getByText(/isn’t in this trace/))
})

await test('a trace link survives signing in', async (page) => {
  await page.goto(`${url}/traces/${failed}?span_id=18446744073709551615`)
  await page.waitForURL(/sign-in/)
  await page.getByLabel('Email').fill('a@example.com')
  await page.getByLabel('Password').fill('right enough')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL(new RegExp(`/p/1/traces/${failed}\\?span_id=18446744073709551615`))
}, { signedIn: false })

await test('filters are typed with completion, live in the URL, and go away again', async (page) => {
  await page.goto(`${url}/p/1/traces`)
  await visible(page.getByRole('table', { name: 'Traces' }))
  await page.keyboard.press('/')
  await page.keyboard.type('app.payment')
  await visible(page.getByRole('option', { name: /app\.payment\.card/ }))
  await page.keyboard.press('Tab')
  await page.keyboard.type('= ')
  await page.getByRole('option', { name: /^amex/ }).click()
  await page.waitForURL(/f=app\.payment\.card\+%3D\+amex/)
  await visible(page.getByRole('link', { name: /checkout/ }))
  await page.getByLabel('Duration at least').fill('50')
  await page.keyboard.press('Enter')
  await page.waitForURL(/duration\+%3E%3D\+50ms/)
  await page.goBack()
  await page.getByRole('button', { name: /Remove the filter app\.payment\.card/ }).click()
  await page.waitForURL((to) => !to.search.includes('amex'))
})

await test('j, k and Enter walk the list; g and a letter change the page; time moves by bracket', async (page) => {
  await page.goto(`${url}/p/1/traces`)
  await visible(page.getByRole('table', { name: 'Traces' }).getByRole('link'))
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  await page.keyboard.press('k')
  assert.equal(await page.locator('a[aria-current=true]').count(), 1)
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/traces\/[0-9a-f]{32}/)
  await page.keyboard.press('g')
  await page.keyboard.press('l')
  await page.waitForURL(/\/p\/1\/logs/)
  await page.keyboard.press('[')
  await page.waitForURL(/from=.*to=/)
  await page.keyboard.press('g')
  await page.keyboard.press('m')
  await page.waitForURL(/\/metrics\?.*from=/)
  await page.keyboard.press('?')
  await visible(page.getByRole('heading', { name: 'Keyboard' }))
  await page.keyboard.press('Escape')
  await page.getByRole('heading', { name: 'Keyboard' }).waitFor({ state: 'detached' })
})

await test('lists load further pages by scrolling', async (page) => {
  await page.goto(`${url}/p/1/traces`)
  await visible(page.getByRole('table', { name: 'Traces' }).getByRole('link'))
  const list = page.getByRole('table', { name: 'Traces' }).locator('.overflow-auto')
  const heightOf = () => list.evaluate((e) => e.scrollHeight)
  const before = await heightOf()
  await list.evaluate((e) => e.scrollTo(0, e.scrollHeight))
  await page.waitForFunction(([e, h]) => e.scrollHeight > h, [await list.elementHandle(), before])
})

await test('a pasted trace id opens its trace', async (page) => {
  await page.keyboard.press('Control+k')
  await page.keyboard.type(`00-${failed}-00f067aa0ba902b7-01`)
  await page.keyboard.press('Enter')
  await page.waitForURL(new RegExp(`/p/1/traces/${failed}`))
})

await test('the DSN is covered until asked for, and arrivals show refusals with their reason', async (page) => {
  await page.goto(`${url}/p/1/setup?tab=go`)
  const dsn = page.getByTestId('dsn')
  await visible(dsn)
  assert.doesNotMatch(await page.locator('main').innerText(), /secret_token/)
  await page.getByRole('button', { name: 'Reveal' }).click()
  assert.match(await dsn.innerText(), /project1_secret_token/)
  assert.match(await page.locator('pre').last().innerText(), /WithDSN\("http:\/\/project1_secret_token@/)
  await visible(page.getByText(/not known here|larger than 16 MiB|sent to the HTTP port/))
  await page.getByRole('link', { name: 'Open the list of traces' }).click()
  await page.waitForURL(/\/p\/1\/traces\?last=15m/)
})

await test('a log opens in place and leads to its trace and span', async (page) => {
  await page.goto(`${url}/p/1/logs?q=failed`)
  await visible(page.getByRole('region', { name: 'Logs' }).getByRole('listitem'))
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.getByRole('link', { name: /Open its trace/ }).click()
  await page.waitForURL(/\/p\/1\/traces\/[0-9a-f]{32}\?span_id=/)
  await visible(page.getByRole('complementary', { name: 'Span' }))
})

await test('what strangers wrote into telemetry stays text', async (page) => {
  page.on('dialog', () => assert.fail('a dialog opened'))
  page.on('request', (request) => assert.ok(request.url().startsWith(url), `a request went to ${request.url()}`))
  await page.goto(`${url}/p/1/traces/${hostileTraceId}`)
  const grid = page.getByRole('treegrid')
  await grid.focus()
  for (const tab of ['Overview', /Attributes/, /Events and logs/, /Links/, 'Raw']) {
    await page.keyboard.press('Enter')
    const panel = page.getByRole('complementary', { name: 'Span' })
    await panel.getByRole('tab', { name: tab }).click()
    await grid.focus()
    for (let k = 0; k < payloads.length; k++) await page.keyboard.press('ArrowDown')
    await page.waitForTimeout(250)
    await page.keyboard.press('Home')
    await page.waitForTimeout(250)
    assert.equal(await panel.locator('img, script, iframe').count(), 0)
    assert.deepEqual(await panel.locator('a').evaluateAll((links) => links.map((a) => a.protocol).filter((p) => !p.startsWith('http'))), [])
  }
  await page.getByRole('tab', { name: /^Logs/ }).click()
  await visible(page.getByRole('region', { name: 'Logs' }))
  await page.getByRole('tab', { name: /^Services/ }).click()
  await visible(page.getByText('‹U+202E›gnp.exe').first())
})

await test('the chosen theme is kept over a reload', async (page) => {
  await page.getByRole('button', { name: 'Theme' }).click()
  await page.getByRole('menuitemradio', { name: 'Dark' }).click()
  await page.reload()
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
})

await browser.close()
mock.stop()
console.log(failures === 0 ? 'all good' : `${failures} failed`)
process.exit(failures === 0 ? 0 : 1)
