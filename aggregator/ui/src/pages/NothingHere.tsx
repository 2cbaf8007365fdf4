import { Link } from '@tanstack/react-router'
import { Inbox } from 'lucide-react'
import { useTime } from '../components/time'
import { describeRange, lastRange } from '../lib/time'
import { Button } from '../ui/button'
import { Empty } from '../ui/states'

/** Says why a list is empty, and what to do about it. */
export function NothingHere({ p, what, filtered }: { p: number; what: string; filtered: boolean }) {
  const { range, setRange } = useTime()
  const wider = lastRange('24h')
  const narrow = range.kind === 'fixed' || (wider?.kind === 'last' && range.ms < wider.ms)
  return (
    <Empty title={filtered ? `No ${what} match these filters` : `No ${what} in this window`} icon={<Inbox size={34} strokeWidth={1.4} aria-hidden />}>
      <p>
        Searched: {describeRange(range).toLowerCase()}.{' '}
        {filtered ? 'Remove a filter with its ×, or look at a longer time.' : 'Nothing arrived then, or it was not sent to this project.'}
      </p>
      <div className="mt-4 flex justify-center gap-2">
        {narrow && wider && <Button onClick={() => setRange(wider)}>Look at the last 24 hours</Button>}
        {!filtered && (
          <Link to="/p/$p/setup" params={{ p }} className="inline-flex h-7 items-center rounded-md bg-accent px-2.5 font-medium text-on-accent hover:brightness-110">
            How to send data
          </Link>
        )}
      </div>
    </Empty>
  )
}
