import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { spanDetailsQuery } from '../../api/queries'
import type { Outline, Row } from '../../lib/outline'
import { nanos } from '../../lib/time'

/** Offsets of the events of spans on the screen. The outline only says that there are some; details come in small batches. */
export function useEventTimes(p: number, outline: Outline, rows: readonly Row[]): ReadonlyMap<string, number[]> {
  const queries = useQueryClient()
  const [times, setTimes] = useState<ReadonlyMap<string, number[]>>(() => new Map())
  const asked = useRef(new Set<string>())
  const key = rows.map((row) => outline.id(row)).join()
  useEffect(() => {
    const timer = window.setTimeout(() => {
      const ids = key.split(',').filter((id) => id !== '' && !asked.current.has(id)).slice(0, 500)
      if (ids.length === 0) return
      for (const id of ids) asked.current.add(id)
      queries.fetchQuery(spanDetailsQuery(p, outline.traceId, ids)).then(
        ({ data }) =>
          setTimes((before) => {
            const next = new Map(before)
            for (const span of data) next.set(span.span_id, span.events.map((event) => Number(nanos(event.time) - outline.t0)))
            return next
          }),
        () => {
          // Ticks are an ornament: without them the page is still right. They are asked for again when scrolled to.
          for (const id of ids) asked.current.delete(id)
        },
      )
    }, 150)
    return () => window.clearTimeout(timer)
  }, [key, p, outline, queries])
  return times
}
