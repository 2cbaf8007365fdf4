// Counts calls, and keeps traces with an error or a route that nobody has seen for a day.

import { Field, Signals, Table, Waiting, plugin } from 'petrel-plugin'
import { calls } from './calls.js'
import { unseen } from './routes.js'

const MOST_TRACES = 100_000

export const processor = plugin({
  name: 'lookout',
  version: '0.1.0',
  signals: Signals.TRACES,
  holdsTraces: true,

  configure({ wait_s = 10, part = 0.1 }, plan) {
    if (!(wait_s >= 1 && part >= 0 && part <= 1)) {
      throw new Error('config.wait_s must be at least 1, and config.part from 0 to 1')
    }
    const trace = plan.field(Table.RECORD, Field.TRACE_ID)
    const name = plan.field(Table.RECORD, Field.NAME)
    const status = plan.field(Table.RECORD, Field.STATUS_CODE)
    const countCalls = calls(plan, name, status)
    const waiting = new Waiting()
    plan.tickEvery(500)
    return {
      process(batch, edits) {
        countCalls(batch)
        const news = unseen(batch, name)
        const [names, statuses] = [batch.labels(name), batch.values(status)]
        const traces = batch.values(trace)
        const wanted = traces.filter((_, span) => statuses[span] === 2n || news.has(names[span]))
        edits.holdAll(batch)
        for (const id of new Set(traces)) if (id) waiting.add(id, batch.nowNs)
        for (const id of new Set(wanted)) {
          if (!id) continue
          edits.keepTrace(id)
          waiting.remove(id)
        }
        for (const id of waiting.beyond(MOST_TRACES)) edits.sampleTrace(id, part)
      },
      tick(nowNs, edits) {
        for (const id of waiting.due(nowNs, wait_s * 1000)) edits.sampleTrace(id, part)
      },
      save: () => waiting.save(plan.stateBytes),
      restore: (state) => waiting.restore(state),
    }
  },
})
