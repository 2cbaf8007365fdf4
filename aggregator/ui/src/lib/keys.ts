/** Keyboard: one place that decides whether a key press is a command or somebody typing. */
import { useEffect, useRef } from 'react'
import { remembered } from './storage'

export type Bindings = Record<string, (event: KeyboardEvent) => void>

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
  !(target instanceof HTMLInputElement && /^(checkbox|radio|button)$/.test(target.type))

/** `?`, `/`, `j`, `g t` (a chord), `Escape`, `Control+k`. Single letters can be switched off in the help dialog. */
export function useKeys(bindings: Bindings, active = true): void {
  const latest = useRef(bindings)
  useEffect(() => {
    latest.current = bindings
  })
  useEffect(() => {
    if (!active) return undefined
    let first = ''
    let timer = 0
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey || event.metaKey) return
      const key = event.ctrlKey ? `Control+${event.key.toLowerCase()}` : event.key
      const open = document.querySelector('dialog[open]') !== null
      if (open || (typing(event.target) && !event.ctrlKey)) return
      if (remembered('letters') === 'off' && /^[a-z]$/i.test(key)) return
      const chord = first === '' ? '' : `${first} ${key}`
      window.clearTimeout(timer)
      first = ''
      const found = latest.current[chord] ?? latest.current[key]
      if (found) {
        event.preventDefault()
        found(event)
      } else if (Object.keys(latest.current).some((name) => name.startsWith(`${key} `))) {
        first = key
        timer = window.setTimeout(() => (first = ''), 1200)
      }
    }
    window.addEventListener('keydown', onKey)
    return () => {
      window.clearTimeout(timer)
      window.removeEventListener('keydown', onKey)
    }
  }, [active])
}
