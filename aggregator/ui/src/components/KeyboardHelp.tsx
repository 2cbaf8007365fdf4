import { useRemembered } from '../lib/storage'
import { Dialog } from '../ui/dialog'
import { Key } from './marks'

const groups: { title: string; keys: [string[], string][] }[] = [
  {
    title: 'Everywhere',
    keys: [
      [['g', 's'], 'Overview: services'],
      [['g', 't'], 'Traces'],
      [['g', 'l'], 'Logs'],
      [['g', 'm'], 'Metrics'],
      [['g', 'd'], 'Send data'],
      [['Ctrl', 'K'], 'Paste or search'],
      [['/'], 'Filter or search on this page'],
      [['?'], 'This help'],
    ],
  },
  {
    title: 'Time',
    keys: [
      [['t'], 'Pick a range'],
      [['['], 'The window before'],
      [[']'], 'The window after'],
      [['-'], 'Zoom out'],
    ],
  },
  {
    title: 'Lists',
    keys: [
      [['j'], 'Next row'],
      [['k'], 'Row before'],
      [['Enter'], 'Open'],
      [['Esc'], 'Close, one step back'],
    ],
  },
  {
    title: 'Trace',
    keys: [
      [['↑', '↓'], 'Span before, next span'],
      [['←', '→'], 'Fold or go to the parent, unfold or go to the first child'],
      [['n'], 'Next match'],
      [['p'], 'Match before'],
      [['e'], 'Next error'],
      [['l'], 'Next span with logs'],
      [['0'], 'Reset the zoom'],
      [['*'], 'Unfold all'],
    ],
  },
]

export function KeyboardHelp({ onClose }: { onClose: () => void }) {
  const [letters, setLetters] = useRemembered('letters')
  return (
    <Dialog title="Keyboard" onClose={onClose} wide>
      <div className="grid grid-cols-2 gap-x-8 gap-y-5 max-[640px]:grid-cols-1">
        {groups.map((group) => (
          <section key={group.title}>
            <h3 className="caps mb-1.5">{group.title}</h3>
            <dl className="space-y-1">
              {group.keys.map(([keys, what]) => (
                <div key={what} className="flex items-center gap-3">
                  <dt className="flex w-20 shrink-0 gap-1">
                    {keys.map((key) => (
                      <Key key={key}>{key}</Key>
                    ))}
                  </dt>
                  <dd className="text-soft">{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <label className="mt-5 flex items-center gap-2 border-t border-line pt-4">
        <input type="checkbox" checked={letters !== 'off'} onChange={(event) => setLetters(event.target.checked ? undefined : 'off')} />
        Single letters are commands
      </label>
    </Dialog>
  )
}
