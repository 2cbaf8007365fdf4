import { useMemo } from 'react'
import { ServiceName } from '../../components/marks'
import type { Outline } from '../../lib/outline'
import { formatDuration, formatShare, formatWhole } from '../../lib/units'

/** Where the time went: each service's own time, without what it waited for. */
export function ServicesTable({ outline, colors }: { outline: Outline; colors: string[] }) {
  const services = useMemo(() => outline.byService(), [outline])
  const total = services.reduce((sum, s) => sum + s.self, 0)
  return (
    <table className="w-full max-w-4xl">
      <thead className="border-b border-line">
        <tr>
          <th className="th">Service</th>
          <th className="th !text-right">Spans</th>
          <th className="th !text-right">Errors</th>
          <th className="th !text-right">Own time</th>
          <th className="th w-2/5">Share</th>
        </tr>
      </thead>
      <tbody>
        {services.map((s) => (
          <tr key={s.service} className="h-8 border-b border-line">
            <td className="px-3">
              <ServiceName name={s.service} color={colors[s.index]} />
            </td>
            <td className="px-3 text-right">{formatWhole(s.spans)}</td>
            <td className={`px-3 text-right ${s.errors > 0 ? 'font-medium text-error' : 'text-muted'}`}>{formatWhole(s.errors)}</td>
            <td className="px-3 text-right">{formatDuration(s.self)}</td>
            <td className="px-3">
              <div className="flex items-center gap-2">
                <div className="h-2 flex-1 overflow-hidden rounded-full bg-sunken">
                  <div className="h-full rounded-full" style={{ width: `${(s.self / (total || 1)) * 100}%`, background: colors[s.index] }} />
                </div>
                <span className="w-12 text-right text-muted">{formatShare(s.self, total)}</span>
              </div>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
