/** What can go wrong when asking the aggregator, as one type with words a person can act on. */

export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string | undefined

  constructor(status: number, code: string, message: string, hint?: string) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.hint = hint
  }

  /** From an answer's status and body, whatever that is. */
  static of(status: number, body: unknown): ApiError {
    const error = isRecord(body) && isRecord(body.error) ? body.error : {}
    const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
    return new ApiError(
      status,
      text(error.code) ?? `http_${status}`,
      text(error.message) ?? words[status] ?? `The server answered with status ${status}.`,
      text(error.hint),
    )
  }
}

const words: Record<number, string> = {
  401: 'Your session has ended.',
  403: 'Your role doesn’t allow this.',
  404: 'There is nothing at this address.',
  429: 'Too many attempts; wait a moment and try again.',
  502: 'The server isn’t reachable at the moment.',
  503: 'The server is starting or overloaded.',
  504: 'The server took too long to answer.',
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export const isUnauthorised = (error: unknown): boolean => error instanceof ApiError && error.status === 401
export const isMissing = (error: unknown): boolean => error instanceof ApiError && error.status === 404

/** One line for any failure. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) return error.message.charAt(0).toUpperCase() + error.message.slice(1)
  return error instanceof Error ? error.message : 'Something went wrong.'
}
