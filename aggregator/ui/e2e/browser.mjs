/** Debian's Chromium, driven by playwright-core; every page reports its errors, and the policy's, to us. */
import { chromium } from 'playwright-core'

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

/** A page whose complaints are collected: console errors, uncaught errors, violations of the content security policy. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'], ...options })
  const page = await context.newPage()
  const complaints = []
  page.on('console', (message) => {
    // A failed request is part of some tests; the page must cope with it, the browser's own line about it is no complaint.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) complaints.push(message.text())
    if (message.type() === 'warning' && /React|Warning/.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)))
  return { page, context, complaints }
}

export async function signIn(page, url) {
  await page.goto(`${url}/sign-in`)
  await page.getByLabel('Email').fill('admin@example.com')
  await page.getByLabel('Password').fill('a long password')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL(/\/p\/\d+/)
  await page.getByRole('navigation', { name: 'Pages' }).waitFor()
}
