import { type FormEvent, useState } from 'react'
import { explain } from '../api/errors'
import { signIn } from '../api/queries'
import type { Session } from '../api/types'
import { Button } from '../ui/button'

export function SignInForm({ email, onDone }: { email?: string; onDone: (session: Session) => void }) {
  const [state, setState] = useState<{ kind: 'idle' | 'busy' } | { kind: 'failed'; reason: string }>({ kind: 'idle' })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    setState({ kind: 'busy' })
    signIn(String(form.get('email')), String(form.get('password'))).then(
      (session) => {
        setState({ kind: 'idle' })
        onDone(session)
      },
      (error: unknown) => setState({ kind: 'failed', reason: explain(error) }),
    )
  }
  return (
    <form onSubmit={submit} className="space-y-3">
      <Field label="Email" name="email" type="email" autoComplete="username" defaultValue={email} autoFocus={email === undefined} />
      <Field label="Password" name="password" type="password" autoComplete="current-password" autoFocus={email !== undefined} />
      {state.kind === 'failed' && (
        <p role="alert" className="rounded-md bg-error-soft px-3 py-2 text-error">
          {state.reason}
        </p>
      )}
      <Button type="submit" look="primary" className="!h-9 w-full" disabled={state.kind === 'busy'}>
        {state.kind === 'busy' ? 'Signing in…' : 'Sign in'}
      </Button>
    </form>
  )
}

export function Field({ label, name, hint, autoFocus, ...rest }: {
  label: string
  name: string
  hint?: string
  type?: string
  autoComplete?: string
  defaultValue?: string
  autoFocus?: boolean
  minLength?: number
  required?: boolean
}) {
  return (
    <label className="block">
      <span className="text-sm font-medium">{label}</span>
      <input name={name} required autoFocus={autoFocus} className="field mt-1 !h-9 w-full" {...rest} />
      {hint && <span className="mt-1 block text-xs text-muted">{hint}</span>}
    </label>
  )
}
