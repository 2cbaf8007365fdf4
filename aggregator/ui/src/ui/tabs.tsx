import { Tabs as Radix } from 'radix-ui'
import type { ReactNode } from 'react'

export type Tab = { id: string; label: ReactNode; content: ReactNode }

export function Tabs({ tabs, value, onChange, label, fill = false }: {
  tabs: Tab[]
  value: string
  onChange: (id: string) => void
  label: string
  fill?: boolean
}) {
  const shown = tabs.some((t) => t.id === value) ? value : (tabs[0]?.id ?? '')
  return (
    <Radix.Root value={shown} onValueChange={onChange} className={fill ? 'flex min-h-0 flex-1 flex-col' : ''}>
      <Radix.List aria-label={label} className="flex shrink-0 gap-4 overflow-x-auto border-b border-line px-4">
        {tabs.map((tab) => (
          <Radix.Trigger
            key={tab.id}
            value={tab.id}
            className="-mx-1.5 -mb-px flex h-9 items-center gap-1.5 border-b-2 border-transparent px-1.5 whitespace-nowrap focus-visible:rounded-sm focus-visible:outline-offset-[-3px] text-soft hover:text-text data-[state=active]:border-accent data-[state=active]:font-medium data-[state=active]:text-text"
          >
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content key={tab.id} value={tab.id} className={fill ? 'min-h-0 flex-1 overflow-auto' : ''} tabIndex={-1}>
          {tab.content}
        </Radix.Content>
      ))}
    </Radix.Root>
  )
}

/** Two or three choices side by side. */
export function Segments<T extends string>({ label, options, value, onChange }: {
  label: string
  options: { id: T; label: string }[]
  value: T
  onChange: (id: T) => void
}) {
  return (
    <div role="radiogroup" aria-label={label} className="inline-flex h-7 items-stretch overflow-hidden rounded-md border border-line-strong bg-panel">
      {options.map((option) => (
        <button
          key={option.id}
          type="button"
          role="radio"
          aria-checked={option.id === value}
          onClick={() => onChange(option.id)}
          className={`border-l border-line px-2.5 first:border-l-0 ${option.id === value ? 'bg-selected font-medium text-accent-text' : 'text-soft hover:bg-hover'}`}
        >
          {option.label}
        </button>
      ))}
    </div>
  )
}

export const Count = ({ children }: { children: ReactNode }) => (
  <span className="tabular rounded-full bg-sunken px-1.5 text-2xs leading-4 text-muted">{children}</span>
)
