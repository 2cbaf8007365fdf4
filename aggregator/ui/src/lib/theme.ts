/** Light, dark, or as the system says. `theme.js` sets it before the first paint; this changes it later. */
import { useCallback, useSyncExternalStore } from 'react'
import { remember, useRemembered } from './storage'

export type Theme = 'system' | 'light' | 'dark'

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [stored] = useRemembered('theme')
  const theme: Theme = stored === 'dark' || stored === 'light' ? stored : 'system'
  const set = useCallback((next: Theme) => {
    if (next === 'system') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = next
    remember('theme', next === 'system' ? undefined : next)
  }, [])
  return [theme, set]
}

const dark = window.matchMedia('(prefers-color-scheme: dark)')
const subscribe = (tell: () => void) => {
  dark.addEventListener('change', tell)
  return () => dark.removeEventListener('change', tell)
}

/** What is on the screen now; canvases redraw when it changes. */
export function useShownTheme(): 'light' | 'dark' {
  const [theme] = useTheme()
  const system = useSyncExternalStore(subscribe, () => dark.matches)
  return theme === 'system' ? (system ? 'dark' : 'light') : theme
}
