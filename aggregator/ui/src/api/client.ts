/** The one place that speaks HTTP. Everything else asks through the functions in `queries.ts`. */
import createClient from 'openapi-fetch'
import { ApiError } from './errors'
import type { paths } from './generated'

const listeners = new Set<() => void>()

/** Called whenever the server no longer knows who we are. */
export function onSessionEnded(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const api = createClient<paths>({
  baseUrl: window.location.origin,
  fetch: (request) => globalThis.fetch(request),
  querySerializer: { array: { style: 'form', explode: true } },
})

type Reply<T> = { data?: T; error?: unknown; response: Response }

/** The data of a reply, or an error with words. An abort stays what it is. */
export async function ask<T>(reply: Promise<Reply<T>>): Promise<NonNullable<T>> {
  const { data, response } = await send(reply)
  if (data === undefined || data === null) throw new ApiError(response.status, 'empty_answer', 'The server answered with nothing.')
  return data
}

/** For what has no answer but "done". */
export async function tell(reply: Promise<Reply<unknown>>): Promise<void> {
  await send(reply)
}

async function send<T>(reply: Promise<Reply<T>>): Promise<Reply<T>> {
  let answer: Reply<T>
  try {
    answer = await reply
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'unreachable', 'The server can’t be reached.', 'Check that the aggregator is running and that this machine is online.')
  }
  if (answer.response.ok) return answer
  const error = ApiError.of(answer.response.status, answer.error)
  if (error.status === 401 && error.code !== 'wrong_login' && !/\/(session|setup)$/.test(new URL(answer.response.url || 'http://x/').pathname)) {
    for (const notify of listeners) notify()
  }
  throw error
}

/** Server-sent events; `problem` is told when the stream breaks, and it is opened again. */
export function listen<T>(path: string, on: { message: (value: T) => void; open: () => void; problem: () => void }): () => void {
  let source: EventSource
  let timer = 0
  const open = () => {
    source = new EventSource(`/api/v1${path}`, { withCredentials: true })
    source.addEventListener('open', on.open)
    source.addEventListener('error', () => {
      on.problem()
      // After an answer that isn't a stream the browser gives up; we don't.
      if (source.readyState === EventSource.CLOSED) timer = window.setTimeout(open, 5000)
    })
    source.addEventListener('message', (event: MessageEvent<string>) => {
      try {
        // The edge: the description says what a message is.
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
