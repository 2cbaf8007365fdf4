import { describe, expect, it } from 'vitest'
import { filtersFromSearch, filtersToSearch, formatFilter, parseFilter, parsePartial, problem, setFilter, toApi, withFilter } from './filters'

describe('a filter', () => {
  it('reads the same as it is written', () => {
    for (const f of [
      { key: 'service.name', op: '=', value: 'checkout' },
      { key: 'name', op: 'contains', value: 'GET /posts/:id' },
      { key: 'duration', op: '>=', value: '250ms' },
      { key: 'http.request.header.x', op: 'exists', value: '' },
      { key: 'odd key', op: '!=', value: ' padded ' },
      { key: 'empty', op: '=', value: '' },
      { key: 'db.query.text', op: '=', value: 'a = "b"' },
    ] as const) {
      expect(parseFilter(formatFilter(f))).toEqual(f)
    }
  })

  it('may be typed without blanks', () => {
    expect(parseFilter('duration>1s')).toEqual({ key: 'duration', op: '>', value: '1s' })
    expect(parseFilter('a!=b')).toEqual({ key: 'a', op: '!=', value: 'b' })
  })

  it('is not complete without an operator and a value', () => {
    expect(parseFilter('service.name')).toBeUndefined()
    expect(parseFilter('service.name =')).toBeUndefined()
    expect(parsePartial('serv')).toMatchObject({ stage: 'key', key: 'serv' })
    expect(parsePartial('service.name ')).toMatchObject({ stage: 'op' })
    expect(parsePartial('service.name = ch')).toMatchObject({ stage: 'value', value: 'ch' })
    expect(parsePartial('container.id')).toMatchObject({ stage: 'key', key: 'container.id' })
  })

  it('sends durations in nanoseconds and says when it cannot', () => {
    expect(toApi({ key: 'duration', op: '>', value: '1.5s' }).value).toBe('1500000000')
    expect(problem({ key: 'duration', op: '>', value: 'long' })).toContain('not a duration')
    expect(problem({ key: 'name', op: '=', value: 'long' })).toBeUndefined()
  })
})

it('a list of filters survives the URL', () => {
  const list = filtersFromSearch(['service.name = a', 'nonsense', 'status = error'])
  expect(list).toHaveLength(2)
  expect(filtersFromSearch(filtersToSearch(list))).toEqual(list)
  expect(filtersToSearch([])).toBeUndefined()
})

it('pickers hold one value, chips are not doubled', () => {
  const one = setFilter([], 'status', '=', 'error')
  expect(setFilter(one, 'status', '=', 'ok')).toEqual([{ key: 'status', op: '=', value: 'ok' }])
  expect(setFilter(one, 'status', '=', undefined)).toEqual([])
  expect(withFilter(one, one[0])).toBe(one)
})
