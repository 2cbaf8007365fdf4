/** All logs of a trace, in the order they happened. */
import type { UseQueryResult } from '@tanstack/react-query'
import { useMemo } from 'react'
import type { Answer, LogRow } from '../../api/types'
import { LogList } from '../../components/LogList'
import type { Outline, Row } from '../../lib/outline'
import { nanos } from '../../lib/time'
import { Empty, Failure, Skeleton } from '../../ui/states'

export function TraceLogs({ query, outline, onPick }: { query: UseQueryResult<Answer<LogRow[]>>; outline: Outline; onPick: (row: Row) => void }) {
  const rows = useMemo(() => query.data?.data.toSorted((a, b) => Number(nanos(a.time) - nanos(b.time))), [query.data])
  if (query.isPending) return <Skeleton rows={10} label="Loading logs" />
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />
  if (!rows || rows.length === 0) {
    return (
      <Empty title="No log carries this trace id">
        <p>
          Logs are found here when each record carries the trace id. OpenTelemetry’s log bridges add it by themselves; for other loggers, put{' '}
          <code className="font-mono">trace_id</code> and <code className="font-mono">span_id</code> into the record.
        </p>
      </Empty>
    )
  }
  return (
    <LogList
      rows={rows}
      t0={outline.t0}
      onSpan={(log) => {
        const row = outline.rowOf(log.span_id)
        if (row !== undefined) onPick(row)
      }}
    />
  )
}
