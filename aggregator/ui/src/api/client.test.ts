import { afterEach, expect, it, vi } from 'vitest'
import { get, onSessionEnded, post, query } from './client'
import { ApiError, explain, isMissing } from './errors'

const answers = (status: number, body: unknown) =>
  vi.stubGlobal('fetch', vi.fn(() => Promise.resolve(new Response(body === undefined ? null : JSON.stringify(body), { status }))))

afterEach(() => vi.unstubAllGlobals())

it('an error keeps the server’s code, message and hint', async () => {
  answers(404, { error: { code: 'trace_not_found', message: 'no trace with this id is here', hint: 'look again' } })
  const error = await get('/traces/1').catch((e: unknown) => e)
  expect(error).toMatchObject({ status: 404, code: 'trace_not_found', hint: 'look again' })
  expect(isMissing(error)).toBe(true)
  expect(explain(error)).toBe('no trace with this id is here')
})

it('a proxy’s page in place of JSON still gives words', async () => {
  vi.stubGlobal('fetch', vi.fn(() => Promise.resolve(new Response('<html>bad gateway</html>', { status: 502 }))))
  const error = await get('/projects/1').catch((e: unknown) => e)
  expect(error).toBeInstanceOf(ApiError)
  expect(explain(error)).toBe('The server isn’t reachable at the moment.')
})

it('no network is an error with advice, an abort is not', async () => {
  vi.stubGlobal('fetch', vi.fn(() => Promise.reject(new TypeError('Failed to fetch'))))
  expect(await get('/projects/1').catch((e: unknown) => e)).toMatchObject({ code: 'unreachable' })
  const stop = new AbortController()
  stop.abort()
  expect(await get('/projects/1', stop.signal).catch((e: unknown) => e)).toBeInstanceOf(TypeError)
})

it('a session that ended is told to listeners, a wrong password is not', async () => {
  const ended = vi.fn()
  const off = onSessionEnded(ended)
  answers(401, undefined)
  await post('/session', {}).catch(() => undefined)
  expect(ended).not.toHaveBeenCalled()
  await get('/projects/1/services').catch(() => undefined)
  expect(ended).toHaveBeenCalledOnce()
  off()
})

it('query parameters leave out what is undefined', () => {
  expect(query({ a: 1, b: undefined, c: 'x y' })).toBe('?a=1&c=x+y')
  expect(query({ a: undefined })).toBe('')
})
