// The SDK without a runtime: what a batch shows and what edits become.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Kinds, Signals, Table, bool, bytes, double, int, json, plugin } from '../src/index.js'
import { ADDED, ANY, NONE, kind } from '../src/registry.js'
import { batch, column, text } from './batches.js'

/** A plugin that does just this, configured. */
function configured(select, process) {
  const made = plugin({
    name: 'test', version: '1',
    configure(_, plan) {
      const slot = select(plan)
      return { process: (batch, edits) => process(batch, edits, slot) }
    },
  })
  made.configure(text('{}'))
  return made
}

test('a plugin says what it is and what it wants', () => {
  const made = plugin({
    name: 'n', version: '2', failsClosed: true, signals: Signals.LOGS,
    configure(config, plan) {
      assert.deepEqual(config, {})
      plan.attributes(Table.RECORD, 'a|b*', { kinds: Kinds.UNSEEN, write: true, remove: true })
      return {}
    },
  })
  assert.deepEqual(made.describe(), {
    name: 'n', version: '2', signals: 2, configSchema: '', failClosed: true, stateless: true,
    deterministic: true, extra: [],
  })
  const plan = made.configure(text('null'))
  assert.deepEqual(plan.selectors, [{ table: 2, field: 0, key: 'a|b*', kinds: 0, access: 10 }])
  assert.equal(plan.signals, 2)
})

test('what configure throws is the operator\'s to read', () => {
  const made = plugin({ name: 'n', version: '1', configure() { throw new Error('name a key') } })
  assert.throws(() => made.configure(text('{}')), (error) => {
    assert.deepEqual(error.payload, { code: 1, message: 'name a key', retryable: false })
    return true
  })
  assert.throws(() => made.configure(text('{')), (error) => error.payload.code === 1)
})

test('values of every kind are seen and set', () => {
  const mixed = column({
    kind: kind.MIXED, key: 0, rows: new Uint32Array([0, 0, 1, 1, 1]),
    kinds: new Uint8Array([kind.STRING, kind.INT, kind.DOUBLE, kind.BOOL, kind.JSON]),
    words: new BigUint64Array([1n, 2n ** 64n - 5n, 0x4004000000000000n, 1n, 2n]),
  })
  const seen = []
  const made = configured(
    (plan) => plan.attributes(Table.RECORD, '*', { kinds: Kinds.ANY, write: true }),
    (batch, edits, slot) => {
      for (const cell of batch.cells(slot)) seen.push([cell.key, cell.row, cell.value])
      const [first] = batch.cells(slot)
      for (const value of ['x', int(-1), double(2.5), bool(true), json({ a: 1 })]) edits.set(first, value)
    },
  )
  const edits = made.process(batch([mixed], ['key', 'text', '[1]']))
  assert.deepEqual(seen, [
    ['key', 0, 'text'], ['key', 0, -5n], ['key', 1, 2.5], ['key', 1, true], ['key', 1, '[1]'],
  ])
  assert.deepEqual([...edits.cellKind], [kind.STRING, kind.INT, kind.DOUBLE, kind.BOOL, kind.JSON])
  assert.deepEqual([...edits.cellWord], [BigInt(ADDED), 2n ** 64n - 1n, 0x4004000000000000n, 1n, BigInt(ADDED + 1)])
  assert.deepEqual([...edits.added.ends], [1, 8])
})

test('each distinct text is changed once, and ids are hexadecimal', () => {
  const texts = column({ key: 0, codes: new Uint32Array([1, 1]) })
  let calls = 0
  const made = configured(
    (plan) => plan.attributes(Table.RECORD, 'a', { write: true }),
    (batch, edits, slot) => edits.mapText(batch, slot, (text) => { calls++; return text.toUpperCase() }),
  )
  const edits = made.process(batch([texts], ['a', 'hello']))
  assert.equal(calls, 1)
  assert.deepEqual([[...edits.dictFrom], [...edits.dictTo]], [[1], [ADDED]])
  assert.equal(new TextDecoder().decode(edits.added.bytes), 'HELLO')

  const ids = column({ kind: kind.ID16, words: new BigUint64Array([1n, 2n, 3n, 4n]) })
  let id
  configured((plan) => plan.field(Table.RECORD, 11), (batch, _, slot) => { id = batch.get(slot, 1).value })
    .process(batch([ids]))
  assert.equal(id, '00000000000000030000000000000004')
})

test('records are dropped, values removed, and rows know their resource', () => {
  const made = configured((plan) => plan.attributes(Table.RECORD, 'a', { remove: true }), (batch, edits, slot) => {
    assert.equal(batch.resourceOf(1), 0)
    edits.dropRecord(batch, 1)
    edits.removeAll(slot)
  })
  const edits = made.process(batch([column({ key: 0, codes: new Uint32Array([1, 1]) })], ['a', 'x']))
  assert.deepEqual([...edits.verdicts], [0, 1])
  assert.deepEqual([[...edits.dictFrom], [...edits.dictTo]], [[ANY], [NONE]])
})

test('texts that are not ASCII, and bytes among them, keep their places', () => {
  const cells = column({ key: 0, codes: new Uint32Array([1, 2]) })
  const made = configured(
    (plan) => plan.attributes(Table.RECORD, 'a', { write: true }),
    (batch, edits, slot) => {
      edits.mapText(batch, slot, (text) => `${text}!`)
      edits.put(batch, slot, 0, bytes(new Uint8Array([255])))
    },
  )
  const edits = made.process(batch([cells], ['a', '\u00fc', 'x']))
  assert.deepEqual([...edits.added.ends], [3, 5, 6])
  assert.deepEqual([...edits.added.bytes], [0xc3, 0xbc, 0x21, 0x78, 0x21, 255])
})
