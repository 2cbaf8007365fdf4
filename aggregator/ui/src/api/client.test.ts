import { afterEach, expect, it, vi } from 'vitest'
import { api, ask, onSessionEnded } from './client'
import { ApiError, explain, isMissing } from './errors'
import { findTraceQuery } from './queries'

const answers = (status: number, body: unknown) =>
  vi.stubGlobal('fetch', vi.fn(() => Promise.resolve(new Response(typeof body === 'string' ? body : JSON.stringify(body), { status }))))
const look = (signal?: AbortSignal) => ask(api.GET('/api/v1/traces/{id}', { params: { path: { id: 'a' } }, signal })).catch((e: unknown) => e)

afterEach(() => vi.unstubAllGlobals())

it('an error keeps the server’s code, message and hint', async () => {
  answers(404, { error: { code: 'trace_not_found', message: 'no trace with this id is here', hint: 'look again' } })
  const error = await look()
  expect(error).toMatchObject({ status: 404, code: 'trace_not_found', hint: 'look again' })
  expect(isMissing(error)).toBe(true)
  expect(explain(error)).toBe('No trace with this id is here')
})

it('a proxy’s page in place of JSON still gives words', async () => {
  answers(502, '<html>bad gateway</html>')
  const error = await look()
  expect(error).toBeInstanceOf(ApiError)
  expect(explain(error)).toBe('The server isn’t reachable at the moment.')
})

it('no network is an error with advice, an abort is not', async () => {
  vi.stubGlobal('fetch', vi.fn(() => Promise.reject(new TypeError('Failed to fetch'))))
  expect(await look()).toMatchObject({ code: 'unreachable' })
  vi.stubGlobal('fetch', vi.fn(() => Promise.reject(new DOMException('stopped', 'AbortError'))))
  expect(await look()).toMatchObject({ name: 'AbortError' })
})

it('a session that ended is told to listeners, a wrong password is not', async () => {
  const ended = vi.fn()
  const off = onSessionEnded(ended)
  answers(401, { error: { code: 'wrong_login', message: 'no', hint: null } })
  await ask(api.POST('/api/v1/session', { body: { email: 'a', password: 'b' } })).catch(() => undefined)
  expect(ended).not.toHaveBeenCalled()
  answers(401, { error: { code: 'signed_out', message: 'no', hint: null } })
  await look()
  expect(ended).toHaveBeenCalledOnce()
  off()
})

it('questions have keys that tell them apart', () => {
  expect(findTraceQuery('a').queryKey).not.toEqual(findTraceQuery('b').queryKey)
})
