import { expect, it } from 'vitest'
import { assignColors, colorIndex } from './color'

it('every name gets one of the twelve colours', () => {
  for (const name of ['', 'api-gateway', 'storefront', 'payments', 'inventory', 'search', 'ü']) {
    expect(colorIndex(name)).toBeGreaterThanOrEqual(0)
    expect(colorIndex(name)).toBeLessThan(12)
  }
})

it('services of one page differ while there are colours', () => {
  const names = ['storefront', 'api-gateway', 'checkout', 'payments', 'inventory', 'orders-db', 'session-cache', 'mailer', 'search']
  expect(new Set(assignColors(names)).size).toBe(names.length)
})
