import type { UseQueryResult } from '@tanstack/react-query'
import { lazy, type ReactNode, Suspense } from 'react'
import { Failure } from '../../ui/states'
import type { ChartProps } from './types'

const Plot = lazy(() => import('./Plot'))

/** A chart; while the drawing code is on its way, its place is kept. */
export function Chart(props: ChartProps) {
  return (
    <Suspense fallback={<div className="late shimmer rounded-md" style={{ height: props.height + 20 }} />}>
      <Plot {...props} />
    </Suspense>
  )
}

/** The panel round a chart: its own loading, empty and error state, so that one failure stays in its place. */
export function Panel<T>({ title, aside, query, height, isEmpty, children }: {
  title: string
  aside?: ReactNode
  query: UseQueryResult<T>
  height: number
  isEmpty: (data: T) => boolean
  children: (data: T) => ReactNode
}) {
  return (
    <section className="card min-w-0 px-2 pt-2 pb-1">
      <h2 className="flex items-baseline gap-2 px-1 pb-0.5 text-sm font-medium">
        {title}
        {aside && <span className="ml-auto text-xs font-normal text-muted">{aside}</span>}
      </h2>
      {query.data === undefined ? (
        query.isError ? (
          <Failure small error={query.error} retry={() => void query.refetch()} />
        ) : (
          <div className="late shimmer rounded-md" style={{ height: height + 20 }} role="status" aria-label={`Loading ${title}`} />
        )
      ) : isEmpty(query.data) ? (
        <p className="flex items-center justify-center text-muted" style={{ height: height + 20 }}>
          Nothing in this window
        </p>
      ) : (
        <div className={query.isPlaceholderData ? 'opacity-60' : ''}>{children(query.data)}</div>
      )}
    </section>
  )
}
