import { Field, Table } from 'petrel-plugin'
import { counter, histogram } from 'petrel-plugin/metrics'

/** Counts spans and how long they took, before anything samples them away. */
export function calls(plan, name, status) {
  const service = plan.attributes(Table.RESOURCE, 'service.name')
  const took = plan.field(Table.RECORD, Field.DURATION)
  const labels = ['resource.service.name', 'span.name', 'outcome']
  const count = counter('calls', { unit: '{call}', telemetry: true, labels })
  const duration = histogram('duration', { unit: 'ms', telemetry: true, labels })
  return (batch) => {
    const outcomes = batch.values(status).map((code) => (code === 2n ? 'error' : 'ok'))
    const labels = [batch.labels(service), batch.labels(name), outcomes]
    count.record(1, ...labels)
    duration.record(batch.numbers(took, 1e-6), ...labels)
  }
}
