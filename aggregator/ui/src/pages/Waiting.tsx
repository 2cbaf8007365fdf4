import { Satellite } from 'lucide-react'
import { CopyButton } from '../ui/button'
import { Empty } from '../ui/states'

/** A trace that is asked for before it arrived: links are often clicked within a second of the span that printed them. */
export function Waiting({ id, tries }: { id: string; tries: number }) {
  return (
    <div role="status">
      <Empty title="This trace isn’t here yet" icon={<Satellite size={34} strokeWidth={1.4} aria-hidden />}>
        <p>
          It may still be on its way: spans wait in the application and in the agent before they are sent. This page looks again by itself and
          opens the trace as soon as it arrives.
        </p>
        <p className="mt-3 flex items-center justify-center gap-2 font-mono text-xs">
          {id} <CopyButton small text={id} label="Copy the trace id" />
        </p>
        <div className="mx-auto mt-4 w-40">
          <div className="progress h-0.5 rounded-full bg-line" />
        </div>
        <p className="tabular mt-2 text-xs text-muted">{tries < 2 ? 'Looking…' : `Looked ${tries} times`}</p>
        {tries >= 8 && (
          <p className="mt-4">
            Still nothing. Was the trace sampled away, or sent to a server other than this one? The page “Send data” of the project shows what
            arrives and what is refused.
          </p>
        )}
      </Empty>
    </div>
  )
}
