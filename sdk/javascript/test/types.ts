// The declarations as a plugin in TypeScript meets them: this file has to pass the compiler, and the
// lines marked as errors have to be some.

import { type Cell, Field, Kinds, Signals, Table, bool, int, json, plugin } from 'petrel-plugin'
import { keys, matches, patterns, redact } from 'petrel-plugin/accel'
import { warn } from 'petrel-plugin/log'

interface Config {
  key: string
  limit?: number
}

export const processor = plugin<Config>({
  name: 'typed',
  version: '1.0.0',
  signals: Signals.TRACES | Signals.LOGS,
  schema: { type: 'object' },
  failsClosed: true,
  configure({ key, limit = 3 }, plan) {
    const all = plan.attributes(Table.RECORD, key, { kinds: Kinds.ANY, write: true, create: true })
    const name = plan.field(Table.RECORD, Field.NAME)
    const [mail, secrets] = [patterns(['@']), keys('password')]
    // @ts-expect-error: a key is text
    plan.attributes(Table.RECORD, 5)
    return {
      process(batch, edits) {
        const hit = matches(mail, all)
        redact(edits, { set: mail, keys: secrets, slot: all, replacement: '[redacted]' })
        edits.mapText(batch, name, (text) => (text.length > limit ? text.slice(0, limit) : undefined))
        for (const cell of batch.cells(all)) {
          if (cell.code !== undefined && hit(cell.code)) edits.set(cell, json({ seen: true }))
          else if (typeof cell.value === 'bigint') edits.set(cell, int(cell.value + 1n))
        }
        const first: Cell | undefined = batch.get(all, 0)
        if (first === undefined) edits.put(batch, all, 0, bool(batch.nowNs > 0n))
        // @ts-expect-error: numbers say which kind they are: int(5), double(5)
        edits.put(batch, all, 0, 5)
        if (batch.resourceOf(0) === undefined) warn('no resource')
      },
    }
  },
})
