import { Check } from 'lucide-react'
import { DropdownMenu, Popover as Radix } from 'radix-ui'
import type { ReactNode } from 'react'

export function Popover({ trigger, children, open, onOpenChange, align = 'start', label }: {
  trigger: ReactNode
  children: ReactNode
  open?: boolean
  onOpenChange?: (open: boolean) => void
  align?: 'start' | 'center' | 'end'
  label: string
}) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          aria-label={label}
          align={align}
          sideOffset={5}
          collisionPadding={8}
          className="z-50 max-h-[min(70vh,520px)] overflow-auto rounded-lg border border-line bg-raised shadow-pop"
        >
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

/** A menu of actions. Not modal, so it needs no style elements of its own. */
export function Menu({ trigger, children, align = 'start' }: { trigger: ReactNode; children: ReactNode; align?: 'start' | 'end' }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align={align}
          sideOffset={5}
          collisionPadding={8}
          className="z-50 max-h-[70vh] min-w-44 overflow-auto rounded-lg border border-line bg-raised p-1 shadow-pop"
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

const item = 'flex w-full items-center gap-2 rounded-md px-2 py-1.5 text-left outline-none select-none data-[highlighted]:bg-hover cursor-pointer'

export function MenuItem({ children, onSelect, checked }: { children: ReactNode; onSelect: () => void; checked?: boolean }) {
  return (
    <DropdownMenu.Item className={item} onSelect={onSelect} aria-checked={checked} role={checked === undefined ? undefined : 'menuitemradio'}>
      {checked !== undefined && <Check size={14} className={checked ? 'text-accent-text' : 'invisible'} aria-hidden />}
      {children}
    </DropdownMenu.Item>
  )
}

export const MenuLabel = ({ children }: { children: ReactNode }) => (
  <DropdownMenu.Label className="caps px-2 pt-1.5 pb-1">{children}</DropdownMenu.Label>
)
export const MenuLine = () => <DropdownMenu.Separator className="mx-1 my-1 h-px bg-line" />
