/** The one place that speaks HTTP. Everything else asks through the functions in `queries.ts`. */
import { ApiError } from './errors'

const base = '/api/v1'
const listeners = new Set<() => void>()

/** Called whenever the server no longer knows who we are. */
export function onSessionEnded(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => call<T>('GET', path, undefined, signal)
export const post = <T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> => call<T>('POST', path, body, signal)
export const remove = (path: string): Promise<void> => call<void>('DELETE', path)

/** `?a=1&b=2` without what is undefined. */
export function query(params: Record<string, string | number | undefined>): string {
  const list = Object.entries(params).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]))
  return list.length === 0 ? '' : `?${new URLSearchParams(list)}`
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response
  try {
    response = await fetch(base + path, {
      method,
      signal,
      credentials: 'same-origin',
      headers: body === undefined ? { accept: 'application/json' } : { accept: 'application/json', 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(0, 'unreachable', 'The server can’t be reached.', 'Check that the aggregator is running and that this machine is online.')
  }
  if (!response.ok) {
    const error = await ApiError.of(response)
    if (error.status === 401 && !path.startsWith('/session') && !path.startsWith('/setup')) for (const tell of listeners) tell()
    throw error
  }
  // The edge: from here on the contract's types hold.
  return (response.status === 204 ? undefined : await response.json()) as T
}

/** Server-sent events; `problem` is told when the stream breaks, and it is opened again. */
export function listen<T>(path: string, on: { message: (value: T) => void; open: () => void; problem: () => void }): () => void {
  let source: EventSource
  let timer = 0
  const open = () => {
    source = new EventSource(base + path, { withCredentials: true })
    source.addEventListener('open', on.open)
    source.addEventListener('error', () => {
      on.problem()
      // After an answer that isn't a stream the browser gives up; we don't.
      if (source.readyState === EventSource.CLOSED) timer = window.setTimeout(open, 5000)
    })
    source.addEventListener('message', (event: MessageEvent<string>) => {
      try {
        on.message(JSON.parse(event.data) as T)
      } catch {
        // A frame that isn't JSON is a keep-alive.
      }
    })
  }
  open()
  return () => {
    window.clearTimeout(timer)
    source.close()
  }
}
