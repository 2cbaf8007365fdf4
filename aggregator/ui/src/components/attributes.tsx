/** Attributes as a table: text only, long values shortened until asked for, each with its verbs. */
import { Filter as FilterIcon, FilterX } from 'lucide-react'
import { Fragment, useMemo, useState } from 'react'
import type { Attributes } from '../api/types'
import type { Filter } from '../lib/filters'
import { longTextLimit, safeLink, valueText, visibleText } from '../lib/text'
import { formatBytes } from '../lib/units'
import { CopyButton, IconButton } from '../ui/button'

type OnFilter = (filter: Filter) => void

export function AttributeTable({ attributes, onFilter, find = '' }: { attributes: Attributes; onFilter?: OnFilter; find?: string }) {
  const rows = useMemo(() => {
    const words = find.toLowerCase()
    return Object.entries(attributes)
      .map(([key, value]) => ({ key, text: valueText(value) }))
      .filter((row) => words === '' || row.key.toLowerCase().includes(words) || row.text.toLowerCase().includes(words))
      .toSorted((a, b) => a.key.localeCompare(b.key))
  }, [attributes, find])
  if (rows.length === 0) return <p className="px-3 py-2 text-muted">{find ? 'No attribute matches.' : 'No attributes.'}</p>
  return (
    <table className="w-full table-fixed">
      <tbody>
        {rows.map(({ key, text }) => (
          <tr key={key} className="group border-b border-line align-top last:border-b-0 hover:bg-hover">
            <th scope="row" className="w-[42%] py-1 pr-2 pl-3 text-left font-mono text-xs leading-5 font-normal break-words text-muted">
              <KeyText text={key} />
            </th>
            <td className="relative py-1 pr-2 font-mono text-xs leading-5 break-words">
              <LongText text={text} />
              <span className="absolute top-0.5 right-1 hidden gap-0.5 rounded bg-raised group-focus-within:flex group-hover:flex">
                {onFilter && text.length < 500 && (
                  <>
                    <IconButton label={`Only with this ${key}`} className="!h-5 !w-5" onClick={() => onFilter({ key, op: '=', value: text })}>
                      <FilterIcon size={12} />
                    </IconButton>
                    <IconButton label={`Without this ${key}`} className="!h-5 !w-5" onClick={() => onFilter({ key, op: '!=', value: text })}>
                      <FilterX size={12} />
                    </IconButton>
                  </>
                )}
                <CopyButton small text={text} label={`Copy ${key}`} />
              </span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** A key that wraps where its parts end. */
function KeyText({ text }: { text: string }) {
  return visibleText(text)
    .split(/(?<=[._/:-])/)
    .map((part, index) => (
      // oxlint-disable-next-line react/no-array-index-key -- parts have no identity of their own
      <Fragment key={index}>
        {part}
        <wbr />
      </Fragment>
    ))
}

export function LongText({ text, limit = longTextLimit }: { text: string; limit?: number }) {
  const [all, setAll] = useState(false)
  const link = safeLink(text)
  if (link) {
    return (
      <a href={link} target="_blank" rel="noopener noreferrer nofollow" className="text-accent-text hover:underline">
        {visibleText(text)}
      </a>
    )
  }
  if (text === '') return <span className="text-muted">(empty)</span>
  if (all || text.length <= limit) return <span className="whitespace-pre-wrap">{visibleText(text)}</span>
  return (
    <>
      <span className="whitespace-pre-wrap">{visibleText(text.slice(0, limit))}…</span>{' '}
      <button type="button" className="text-accent-text hover:underline" onClick={() => setAll(true)}>
        show all {formatBytes(text.length)}
      </button>
    </>
  )
}

const library = /node_modules|site-packages|dist-packages|\/usr\/lib|\/go\/pkg\/mod|go\.opentelemetry\.io|^\s*at (java|javax|jdk|sun|org\.springframework|node:)|^(runtime|reflect|net\/http)\.|\/usr\/local\/go\/|\.cargo\/registry|\/rustc\//

/** A stack trace: frames of libraries recede, the application's own stand out. */
export function Stack({ text }: { text: string }) {
  const [all, setAll] = useState(false)
  const lines = text.split('\n')
  const shown = all ? lines : lines.slice(0, 60)
  return (
    <div className="group relative">
      <pre className="overflow-x-auto rounded-md bg-sunken px-3 py-2 font-mono text-xs leading-[18px]">
        {shown.map((line, index) => (
          // Lines have no identity of their own.
          // oxlint-disable-next-line react/no-array-index-key
          <span key={index} className={library.test(line) ? 'text-muted' : 'text-text'}>
            {visibleText(line)}
            {'\n'}
          </span>
        ))}
      </pre>
      {lines.length > shown.length && (
        <button type="button" className="mt-1 text-xs text-accent-text hover:underline" onClick={() => setAll(true)}>
          Show all {lines.length} lines
        </button>
      )}
      <span className="absolute top-1 right-1">
        <CopyButton small text={text} label="Copy the stack" />
      </span>
    </div>
  )
}
