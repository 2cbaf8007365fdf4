// The declarations as a plugin in TypeScript meets them: this file has to pass the compiler, and the
// lines marked as errors have to be some.

import { type Cell, type Trace, Field, Kinds, Signals, NONE, Table, Waiting, bool, code, int, json, plugin } from 'petrel-plugin'
import { keys, matches, patterns, redact } from 'petrel-plugin/accel'
import { monotonicNs, wallNs } from 'petrel-plugin/clock'
import { warn } from 'petrel-plugin/log'
import { open } from 'petrel-plugin/lookup'
import { counter, histogram } from 'petrel-plugin/metrics'
import { bytes as drawn } from 'petrel-plugin/random'
import { getMany, getTexts, putMany } from 'petrel-plugin/state'
import { recorded } from 'petrel-plugin/testing'

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

export const holder = plugin<{ wait_s?: number }>({
  name: 'holder',
  version: '1.0.0',
  holdsTraces: true,
  configure({ wait_s = 10 }, plan) {
    const trace = plan.field(Table.RECORD, Field.TRACE_ID)
    const took = plan.field(Table.RECORD, Field.DURATION)
    const waiting = new Waiting()
    const seen = counter('seen')
    const duration = histogram('duration', { unit: 'ms', telemetry: true, labels: ['trace', 'kind'] })
    plan.tickEvery(500)
    return {
      process(batch, edits) {
        seen.add(batch.rows(Table.RECORD))
        duration.record(batch.numbers(took, 1e-6), batch.labels(trace), 'span')
        // @ts-expect-error: a label is a code, a text or nothing
        duration.record(1, true, 'span')
        const before: (string | undefined)[] = getTexts(['a', new Uint8Array([1])])
        const bytes: Uint8Array | undefined = getMany(['a'])[0]
        putMany([['a', before[0] ?? 'b']], 60)
        putMany(new Map([['a', bytes ?? new Uint8Array()]]))
        const later: boolean = wallNs() + monotonicNs() > BigInt(drawn(1)[0] ?? 0)
        const team = open('owners')?.join(batch.codes(trace), 'team')[0] ?? NONE
        if (later && team !== NONE) edits.put(batch, trace, 0, code(team))
        edits.holdAll(batch)
        for (const id of batch.values(trace)) if (typeof id === 'string') waiting.add(id, batch.nowNs)
      },
      tick(nowNs, edits) {
        const due: Trace[] = waiting.due(nowNs, wait_s * 1000)
        for (const id of due) edits.sampleTrace(id, 0.1)
        if (recorded.length > 0) for (const id of waiting.beyond(5)) edits.dropTrace(id)
      },
      save: () => waiting.save(plan.stateBytes),
      restore: (state) => waiting.restore(state),
    }
  },
})
