/** Pictures of every page in both themes, for people to look at: `node e2e/shots.mjs [folder]`. */
import { mkdirSync } from 'node:fs'
import { start } from '../mock-api/server.mjs'
import { beat, bigTraceId, summary, traceId } from '../mock-api/world.mjs'
import { launch, openPage, signIn } from './browser.mjs'

const folder = process.argv[2] ?? 'e2e/shots'
const only = process.argv[3]
mkdirSync(folder, { recursive: true })

/** A recent checkout that failed: the trace with most to see. */
export function failedCheckout() {
  for (let i = Math.floor(Date.now() / beat) - 20; ; i--) {
    const s = summary(i)
    if (s.failed && s.operation.root[1].includes('checkout')) return traceId(i)
  }
}

const mock = await start()
const browser = await launch()
try {
  for (const colorScheme of ['light', 'dark']) {
    const { page, complaints } = await openPage(browser, { colorScheme })
    const shot = async (name, path, act) => {
      if (only && !name.match(only)) return
      if (path) await page.goto(mock.url + path)
      await page.waitForLoadState('networkidle').catch(() => undefined)
      await act?.()
      await page.waitForTimeout(450)
      await page.screenshot({ path: `${folder}/${name}-${colorScheme}.png` })
    }
    await shot('sign-in', '/sign-in')
    await signIn(page, mock.url)
    const failed = failedCheckout()
    await shot('overview', '/p/1')
    await shot('traces', '/p/1/traces')
    await shot('traces-filter', '/p/1/traces?f=status+%3D+error&last=3h', async () => {
      await page.getByLabel('Add a filter').fill('http')
      await page.waitForTimeout(300)
    })
    await shot('trace', `/p/1/traces/${failed}`)
    await shot('trace-span', `/p/1/traces/${failed}`, async () => {
      await page.getByRole('treegrid').focus()
      await page.keyboard.press('e')
      await page.keyboard.press('e')
      await page.keyboard.press('e')
      await page.keyboard.press('Enter')
      await page.waitForTimeout(300)
    })
    await shot('trace-events', null, async () => {
      await page.getByRole('tab', { name: /Events and logs/ }).click()
    })
    await shot('trace-attributes', null, async () => {
      await page.getByRole('tab', { name: /Attributes/ }).click()
    })
    await shot('trace-big', `/p/1/traces/${bigTraceId}`)
    await shot('trace-big-search', `/p/1/traces/${bigTraceId}?q=is:error`, async () => {
      await page.getByRole('button', { name: 'Only matches' }).click()
    })
    await shot('trace-logs', `/p/1/traces/${failed}?view=logs`)
    await shot('logs', '/p/1/logs')
    await shot('logs-open', '/p/1/logs?q=failed', async () => {
      await page.keyboard.press('j')
      await page.keyboard.press('Enter')
    })
    await shot('metrics', '/p/1/metrics')
    await shot('metric', '/p/1/metrics/http.server.request.duration?by=service.name')
    await shot('setup', '/p/1/setup')
    await shot('time', '/p/1/traces', async () => page.keyboard.press('t'))
    await shot('help', '/p/1', async () => page.keyboard.press('?'))
    await shot('empty', '/p/2/traces')
    await shot('broken', '/p/3/logs')
    await shot('finder', `/traces/${'dead'.repeat(8)}`)
    if (complaints.length > 0) console.log(colorScheme, complaints)
  }
} finally {
  await browser.close()
  mock.stop()
}
