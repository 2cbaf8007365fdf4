import { X } from 'lucide-react'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { IconButton } from './button'

/** The browser's own modal: it traps focus, gives it back, and closes on Escape, without a style of its own. */
export function Dialog({ title, onClose, children, wide = false }: { title: string; onClose?: () => void; children: ReactNode; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = ref.current
    if (dialog && !dialog.open) dialog.showModal()
    return () => dialog?.close()
  }, [])
  return (
    // Escape and the button close it; a click beside it is one more way.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions
    <dialog
      ref={ref}
      aria-labelledby={id}
      className={`rounded-xl border border-line bg-raised p-0 shadow-pop ${wide ? 'w-[760px]' : 'w-[380px]'} max-w-[calc(100vw-32px)]`}
      onCancel={(event) => {
        event.preventDefault()
        onClose?.()
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose?.()
      }}
    >
      <div className="flex items-center justify-between px-5 pt-4">
        <h2 id={id} className="text-lg font-semibold">
          {title}
        </h2>
        {onClose && (
          <IconButton label="Close" onClick={onClose}>
            <X size={16} />
          </IconButton>
        )}
      </div>
      <div className="px-5 pt-3 pb-5">{children}</div>
    </dialog>
  )
}
