import { Check, Copy } from 'lucide-react'
import { type ComponentProps, useEffect, useState } from 'react'

const looks = {
  primary: 'bg-accent text-on-accent border-transparent hover:brightness-110 font-medium',
  plain: 'bg-panel text-text border-line-strong hover:bg-hover',
  ghost: 'border-transparent text-soft hover:bg-hover hover:text-text',
} as const

type Props = ComponentProps<'button'> & { look?: keyof typeof looks; pressed?: boolean }

export function Button({ look = 'plain', pressed, className = '', ...rest }: Props) {
  const on = pressed ? 'bg-selected text-accent-text border-accent' : looks[look]
  return (
    <button
      type="button"
      aria-pressed={pressed}
      className={`inline-flex h-7 items-center justify-center gap-1.5 rounded-md border px-2.5 whitespace-nowrap select-none disabled:opacity-45 ${on} ${className}`}
      {...rest}
    />
  )
}

/** A button that shows an icon only; its label is what screen readers and the tooltip say. */
export function IconButton({ label, look = 'ghost', className = '', ...rest }: Props & { label: string }) {
  return <Button look={look} aria-label={label} title={label} className={`w-7 !px-0 ${className}`} {...rest} />
}

export function CopyButton({ text, label = 'Copy', small = false }: { text: string | (() => string); label?: string; small?: boolean }) {
  const [state, setState] = useState<'idle' | 'done' | 'failed'>('idle')
  useEffect(() => {
    if (state === 'idle') return undefined
    const timer = window.setTimeout(() => setState('idle'), 1600)
    return () => window.clearTimeout(timer)
  }, [state])
  const copy = () => copyText(typeof text === 'string' ? text : text()).then((ok) => setState(ok ? 'done' : 'failed'))
  const said = state === 'done' ? 'Copied' : state === 'failed' ? 'Couldn’t copy' : label
  const icon = state === 'done' ? <Check size={14} className="text-ok" aria-hidden /> : <Copy size={small ? 12 : 14} aria-hidden />
  return small ? (
    <IconButton label={said} onClick={copy} className="!h-5 !w-5">
      {icon}
    </IconButton>
  ) : (
    <Button onClick={copy}>
      {icon}
      <span aria-live="polite">{said}</span>
    </Button>
  )
}

/** The clipboard API wants https or localhost; elsewhere the old way still works. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    area.setAttribute('readonly', '')
    area.style.position = 'fixed'
    area.style.opacity = '0'
    ;(document.querySelector('dialog[open]') ?? document.body).append(area)
    area.select()
    const ok = document.execCommand('copy')
    area.remove()
    return ok
  }
}
