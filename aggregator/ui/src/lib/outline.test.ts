import { describe, expect, it } from 'vitest'
import type { OutlineData } from '../api/types'
import { kindName, Outline, step, ticks } from './outline'

//  0 root
//  1 ├ cart          (2 rows)
//  2 │ └ select      error
//  3 └ pay
const id = (n: number) => n.toString(16).padStart(16, '0')
const data: OutlineData = {
  trace_id: 'a'.repeat(32),
  t0: '1795262607125402881',
  duration: 1000,
  count: 4,
  truncated: false,
  services: ['web', 'cart', 'db'],
  names: ['GET /', 'load cart', 'SELECT', 'pay'],
  columns: {
    span_id: [id(1), id(2), id(3), id(4)],
    parent: [-1, 0, 1, 0],
    depth: [0, 1, 2, 1],
    subtree: [4, 2, 1, 1],
    service: [0, 1, 2, 1],
    name: [0, 1, 2, 3],
    kind: ['server', 'internal', 'client', 'client'],
    start: [0, 100, 150, 500],
    dur: [1000, 300, 200, 400],
    self: [300, 100, 200, 400],
    flags: [0, 0, 1 | 32, 4],
  },
}
const outline = new Outline(data)

describe('an outline', () => {
  it('hides what lies under a folded row', () => {
    expect(outline.visible(new Set())).toEqual([0, 1, 2, 3])
    expect(outline.visible(new Set([1]))).toEqual([0, 1, 3])
    expect(outline.visible(new Set([0, 1]))).toEqual([0])
  })

  it('keeps the way to a match when it hides the rest', () => {
    const keep = outline.withAncestors(outline.search('select'))
    expect(outline.visible(new Set(), keep)).toEqual([0, 1, 2])
  })

  it('searches service and name, errors by word', () => {
    expect(outline.search('cart')).toEqual([1, 3])
    expect(outline.search('service:cart pay')).toEqual([3])
    expect(outline.search('status:error')).toEqual([2])
    expect(outline.search('  ')).toEqual([])
    expect(outline.errors()).toEqual([2])
  })

  it('knows rows by span id, and their ancestors', () => {
    expect(outline.rowOf(id(3))).toBe(2)
    expect(outline.rowOf('ffffffffffffffff')).toBeUndefined()
    expect(outline.ancestors(2)).toEqual([1, 0])
    expect(outline.has(2, 'events')).toBe(true)
    expect(outline.has(3, 'error')).toBe(false)
  })

  it('adds up time by service', () => {
    expect(outline.byService().map((s) => [s.service, s.self])).toEqual([['cart', 500], ['web', 300], ['db', 200]])
  })

  it('starts folded only when it is large', () => {
    expect(outline.foldedAtFirst().size).toBe(0)
    expect([...outline.foldedAtFirst(3)]).toEqual([1])
  })
})

it('steps walk round at the ends', () => {
  expect(step([2, 5, 9], 5, 1)).toBe(9)
  expect(step([2, 5, 9], 9, 1)).toBe(2)
  expect(step([2, 5, 9], 2, -1)).toBe(9)
  expect(step([2, 5, 9], undefined, 1)).toBe(2)
  expect(step([], 1, 1)).toBeUndefined()
})

it('axis marks are round and inside', () => {
  expect(ticks(0, 1000, 5)).toEqual([0, 200, 400, 600, 800, 1000])
  expect(ticks(30, 70, 4)).toEqual([30, 40, 50, 60, 70])
})

it('kinds are read as numbers and as words', () => {
  expect(kindName(2)).toBe('server')
  expect(kindName('SPAN_KIND_CLIENT')).toBe('client')
})
