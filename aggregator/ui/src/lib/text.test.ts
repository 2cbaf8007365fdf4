import { expect, it } from 'vitest'
import { safeLink, severityOf, valueText, visibleText } from './text'

it('characters that reorder text are shown, not obeyed', () => {
  expect(visibleText('a\u202Eb')).toBe('a‹U+202E›b')
  expect(visibleText('\u001B[31mred')).toBe('␛[31mred')
  expect(visibleText('line\nnext\ttab')).toBe('line\nnext\ttab')
})

it('only http links are links', () => {
  expect(safeLink('https://example.com/a')).toBe('https://example.com/a')
  expect(safeLink('javascript:alert(1)')).toBeUndefined()
  expect(safeLink('http://')).toBeUndefined()
})

it('severities come from the number, else from the word', () => {
  expect(severityOf(17)).toBe('error')
  expect(severityOf(0, 'WARNING')).toBe('warn')
  expect(severityOf(0, '')).toBe('unset')
})

it('values become text', () => {
  expect(valueText({ a: [1] })).toBe('{"a":[1]}')
  expect(valueText(12)).toBe('12')
  expect(valueText(null)).toBe('')
})
