/** What this browser remembers. Storage may be forbidden or full; then nothing is remembered and nothing breaks. */
import { useCallback, useSyncExternalStore } from 'react'

const listeners = new Set<() => void>()

export function remembered(key: string): string | undefined {
  try {
    return localStorage.getItem(`petrel.${key}`) ?? undefined
  } catch {
    return undefined
  }
}

export function remember(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(`petrel.${key}`)
    else localStorage.setItem(`petrel.${key}`, value)
  } catch {
    // Forbidden or full: the choice lasts as long as the page.
  }
  for (const tell of listeners) tell()
}

const subscribe = (tell: () => void) => {
  listeners.add(tell)
  return () => listeners.delete(tell)
}

export function useRemembered(key: string): [string | undefined, (value: string | undefined) => void] {
  const value = useSyncExternalStore(subscribe, () => remembered(key))
  return [value, useCallback((next: string | undefined) => remember(key, next), [key])]
}
