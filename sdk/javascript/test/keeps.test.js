// What a plugin counts, keeps and holds, with testing.js in the host's place.

import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'

import { Field, Table, Waiting, code, plugin } from 'petrel-plugin'
import { counter, gauge, histogram, upDownCounter } from 'petrel-plugin/metrics'
import { deleteMany, get, getMany, getTexts, put, putMany } from 'petrel-plugin/state'
import { info } from 'petrel-plugin/log'
import { monotonicNs, wallNs } from 'petrel-plugin/clock'
import { open } from 'petrel-plugin/lookup'
import { bytes } from 'petrel-plugin/random'
import { instruments, kept, lines, recorded, reset, tables } from 'petrel-plugin/testing'
import { processor as lookout } from '../example/plugin.js'
import { Batch } from '../src/batch.js'
import { Edits } from '../src/edits.js'
import { sampled, thresholdOf } from '../src/hold.js'
import { Plan } from '../src/plan.js'
import { Kinds, NONE, kind, verdict } from '../src/registry.js'
import { batch, column, text } from './batches.js'

beforeEach(reset)

test('an instrument is declared with all that it has', () => {
  counter('a')
  histogram('b', { unit: 'ms', telemetry: true, labels: ['x'] })
  upDownCounter('c')
  gauge('d')
  assert.deepEqual(instruments.slice(-4), [
    { name: 'a', unit: '', instrumentKind: 1, audience: 0, output: 0, labelKeys: [] },
    { name: 'b', unit: 'ms', instrumentKind: 4, audience: 1, output: 0, labelKeys: ['x'] },
    { name: 'c', unit: '', instrumentKind: 2, audience: 0, output: 0, labelKeys: [] },
    { name: 'd', unit: '', instrumentKind: 3, audience: 0, output: 0, labelKeys: [] },
  ])
})

test('a batch is recorded at once, and values that are not finite are left out', () => {
  const took = histogram('took', { labels: ['name', 'status'] })
  took.record([1, NaN, 3, Infinity, 0], [7, 8, undefined, 9, 7], ['ok', 'ok', 'bad', 'ok', 'ok'])
  took.record(1, 5, 'all')
  assert.deepEqual(recorded, [
    { name: 'took', value: 1, labels: [7, 'ok'] },
    { name: 'took', value: 3, labels: [undefined, 'bad'] },
    { name: 'took', value: 0, labels: [7, 'ok'] },
    { name: 'took', value: 1, labels: [5, 'all'] },
  ])
  reset()
  const seen = counter('seen')
  seen.add()
  seen.add(4)
  took.record([], [], [])
  assert.deepEqual(recorded.map(({ value }) => value), [1, 4])
})

test('what does not fit together is said at once', () => {
  const one = counter('one', { labels: ['a'] })
  assert.throws(() => one.record(1), /one was declared with 1 labels, not 0/)
  assert.throws(() => one.record([1, 2], [3]), /of the same records/)
})

test('labels and numbers are one for each record, also of what is above them', () => {
  const plan = new Plan(7)
  const service = plan.attributes(Table.RESOURCE, 'service.name')
  const size = plan.attributes(Table.RECORD, 'size', { kinds: Kinds.ANY })
  const seen = new Batch(batch([
    column({ codes: new Uint32Array([0]) }),
    column({ slot: 1, kind: kind.MIXED, rows: new Uint32Array([1, 1]),
      kinds: new Uint8Array([kind.INT, kind.STRING]), words: new BigUint64Array([7n, 0n]) }),
  ], ['shop']), plan)
  assert.deepEqual(seen.values(service), ['shop', 'shop'])
  assert.deepEqual(seen.labels(service), [0, 0])
  assert.deepEqual(seen.labels(size), [undefined, '7'])
  assert.deepEqual([...seen.numbers(size, 2)], [NaN, 14])
  assert.throws(() => seen.values(plan.field(Table.EVENT, Field.NAME)), /a record may have many/)
})

test('what is absent in a dense column is no value', () => {
  const plan = new Plan(7)
  const slot = plan.field(Table.RECORD, Field.NAME)
  const seen = (given) => new Batch(batch([column(given)], ['x']), plan)
  const missing = seen({ codes: new Uint32Array([NONE, 0]) })
  assert.deepEqual([...missing.cells(slot)].map(({ row, value }) => [row, value]), [[1, 'x']])
  assert.deepEqual([...missing.codes(slot)], [0])
  const unset = seen({ codes: new Uint32Array([0, 0]), present: new BigUint64Array([2n]) })
  assert.deepEqual([...unset.cells(slot)].map(({ row }) => row), [1])
  assert.deepEqual(unset.labels(slot), [undefined, 0])
})

test('what was put is there until it is deleted', () => {
  putMany(new Map([['a', '1'], ['b', new Uint8Array(0)]]), 60)
  put('\u00fc', new Uint8Array([255]))
  assert.deepEqual(getMany(['\u00fc', 'none', 'b']), [new Uint8Array([255]), undefined, new Uint8Array(0)])
  assert.deepEqual(getTexts(['a', 'none']), ['1', undefined])
  deleteMany(['a'])
  assert.equal(get('a'), undefined)
  assert.deepEqual([...kept.keys()], ['b', '\u00fc'])
  assert.deepEqual([getMany([]), putMany([]), deleteMany([])], [[], undefined, undefined])
})

test('lines for the operator can be looked at', () => {
  info('ready')
  assert.deepEqual(lines, [{ level: 3, message: 'ready' }])
})

test('there is a clock, and there are random bytes', () => {
  const first = monotonicNs()
  assert.ok(monotonicNs() > first)
  assert.ok(wallNs() > 1_577_836_800_000_000_000n)
  assert.equal(bytes(16).length, 16)
  assert.notDeepEqual(bytes(16), bytes(16))
})

test('a batch is joined with a table, and a cell gets the code that is found', () => {
  tables.set('owners', (codes, column) => Array.from(codes, (code) => (column === 'team' && code === 1 ? 9 : NONE)))
  assert.equal(open('none'), undefined)
  const owners = open('owners')
  assert.deepEqual([...owners.join(new Set([1, 2]), 'team')], [9, NONE])
  assert.equal(owners.join([], 'team').length, 0)
  const edits = new Edits()
  edits.set({ slot: 0, keyCode: NONE, row: 0 }, code(9))
  assert.deepEqual([[...edits.finish().cellKind], [...edits.finish().cellWord]], [[kind.STRING], [9n]])
})

const [A, B] = ['01000000000000000080000000000000', '0200000000000000007fffffffffffff']

test('a part of all traces is kept, by their ids', () => {
  const edits = new Edits()
  for (const trace of [A, B]) for (const part of [0.5, 1, 0, NaN]) edits.sampleTrace(trace, part)
  const { SAMPLED, KEEP, DROP } = verdict
  const { decided, decidedVerdict } = edits.finish()
  assert.deepEqual([...decidedVerdict], [SAMPLED, KEEP, DROP, DROP, DROP, KEEP, DROP, DROP])
  assert.deepEqual([...decided].slice(0, 3), [1n << 56n, 0x80n << 48n, 0x80n << 48n])
  assert.equal(sampled(B, 0.5), undefined)
  // As plugins/tail-sample and the Collector round.
  assert.deepEqual([0.1, 0.01, 1e-6].map(thresholdOf), [0xe6660000000000n, 0xfd70a000000000n, 0xffffef39000000n])
  assert.throws(() => edits.keepTrace('xyz'), /32 hexadecimal digits/)
})

test('traces wait in the order in which they came, also after a restore', () => {
  const before = new Waiting()
  for (let number = 1; number <= 5; number++) {
    before.add(`${number}`.padStart(32, '0'), BigInt(number))
    before.add(`${number}`.padStart(32, '0'), 100n)
  }
  const id = (number) => `${number}`.padStart(32, '0')
  before.remove(id(2))
  assert.equal(before.save(95).length, 0)
  const waiting = new Waiting()
  waiting.restore(before.save(96))
  assert.deepEqual(waiting.beyond(3), [id(1)])
  assert.deepEqual(waiting.due(4n, 1e-6), [id(3)])
  // Somebody set the clock back.
  assert.deepEqual(waiting.due(3n, 1e-6), [id(4), id(5)])
  assert.equal(waiting.size, 0)
})

test('spans are held until their traces are decided by the timer, also by the next instance', () => {
  assert.deepEqual(lookout.describe().extra, [['holds', 'traces']])
  assert.equal(lookout.describe().stateless, false)
  const limits = { stateBytes: 1000n, windowBytes: 9n }
  const config = text('{"wait_s": 2, "part": 0.5}')
  assert.equal(lookout.configure(config, limits).tickMs, 500)
  kept.set('known', text('seen'))
  const two = (strings) => ({
    ...batch([
      column({ slot: 1, codes: new Uint32Array([0, 0]) }),
      column({ slot: 0, kind: kind.ID16, words: new BigUint64Array([1n << 56n, 0x80n << 48n, 2n << 56n, 0x7fn << 48n]) }),
    ], strings),
    nowNs: 5_000_000_000n,
  })
  const held = lookout.process(two(['known']))
  assert.deepEqual([...held.verdicts], [verdict.HOLD, verdict.HOLD])
  assert.equal(held.decided.length, 0)
  assert.deepEqual(recorded.map(({ name }) => name), ['calls', 'calls'])

  const state = lookout.save()
  lookout.configure(config, limits, state)
  assert.equal(lookout.tick(6_900_000_000n).decided.length, 0)
  assert.deepEqual([...lookout.tick(7_000_000_000n).decidedVerdict], [verdict.SAMPLED, verdict.DROP])
  assert.deepEqual([...lookout.process(two(['new'])).decidedVerdict], [verdict.KEEP, verdict.KEEP])
})

test('a processor that only processes needs nothing more', () => {
  const made = plugin({ name: 'n', version: '1', configure: () => ({ process() {} }) })
  assert.equal(made.save().length, 0)
  made.configure(text(''), undefined, undefined)
  assert.deepEqual([made.tick(1n).decided.length, made.flush(1).decided.length, made.save().length], [0, 0, 0])
})
