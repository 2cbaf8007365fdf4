import { expect, it } from 'vitest'
import { parseSearch, safeNext, stringifySearch, text, texts } from './search'

it('a decimal span id keeps all its digits', () => {
  expect(parseSearch('?span_id=17293822569102704643')).toEqual({ span_id: '17293822569102704643' })
})

it('search parameters come back as they went', () => {
  const search = { last: '3h', f: ['service.name = a&b', 'duration > 1s'] }
  expect(parseSearch(stringifySearch(search))).toEqual(search)
  expect(stringifySearch({ a: undefined, b: '' })).toBe('')
})

it('one or many values are read alike', () => {
  expect(texts({ f: 'a' }, 'f')).toEqual(['a'])
  expect(text({ f: ['a', 'b'] }, 'f')).toBe('a')
  expect(texts({}, 'f')).toBeUndefined()
})

it('sign-in never leads to another site', () => {
  expect(safeNext('/p/1/traces?last=3h')).toBe('/p/1/traces?last=3h')
  expect(safeNext('//evil.example')).toBe('/')
  expect(safeNext('/\\evil.example')).toBe('/')
  expect(safeNext('https://evil.example')).toBe('/')
  expect(safeNext(undefined)).toBe('/')
})
