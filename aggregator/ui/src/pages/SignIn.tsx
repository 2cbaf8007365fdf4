/** The two doors: signing in, and creating the first administrator with the token from the server's log. */
import { useQueryClient } from '@tanstack/react-query'
import { createLazyRoute, useRouter } from '@tanstack/react-router'
import { type FormEvent, type ReactNode, useState } from 'react'
import { explain } from '../api/errors'
import { createAdmin, sessionQuery } from '../api/queries'
import type { Session } from '../api/types'
import { Logo } from '../components/marks'
import { safeNext } from '../lib/search'
import { Button } from '../ui/button'
import { Field, SignInForm } from './SignInForm'

export const signInRoute = createLazyRoute('/sign-in')({ component: SignInPage })
export const setupRoute = createLazyRoute('/setup')({ component: SetupPage })

function useEnter(next: string | undefined) {
  const router = useRouter()
  const queries = useQueryClient()
  return (session: Session) => {
    queries.setQueryData(sessionQuery.queryKey, session)
    router.history.push(safeNext(next))
  }
}

function SignInPage() {
  const { next } = signInRoute.useSearch()
  const enter = useEnter(next)
  return (
    <Door title="Sign in to Petrel">
      <SignInForm onDone={enter} />
    </Door>
  )
}

function SetupPage() {
  const { next, token } = setupRoute.useSearch()
  const enter = useEnter(next)
  const [state, setState] = useState<{ kind: 'idle' | 'busy' } | { kind: 'failed'; reason: string }>({ kind: 'idle' })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const field = (name: string) => String(form.get(name) ?? '').trim()
    if (form.get('password') !== form.get('again')) {
      setState({ kind: 'failed', reason: 'The two passwords are not the same.' })
      return
    }
    setState({ kind: 'busy' })
    createAdmin({ token: field('token'), email: field('email'), password: String(form.get('password')), name: field('name') || undefined }).then(
      enter,
      (error: unknown) => setState({ kind: 'failed', reason: explain(error) }),
    )
  }
  return (
    <Door title="Welcome to Petrel">
      <p className="mb-4 text-soft">This server has no administrator yet. Create the first one; others can be invited later.</p>
      <form onSubmit={submit} className="space-y-3">
        <Field
          label="Setup token"
          name="token"
          autoComplete="off"
          defaultValue={token}
          autoFocus={token === undefined}
          hint="Printed once in the server’s log when it started."
        />
        <Field label="Name" name="name" autoComplete="name" required={false} autoFocus={token !== undefined} />
        <Field label="Email" name="email" type="email" autoComplete="username" />
        <Field label="Password" name="password" type="password" autoComplete="new-password" minLength={12} hint="Twelve characters or more." />
        <Field label="Password again" name="again" type="password" autoComplete="new-password" minLength={12} />
        {state.kind === 'failed' && (
          <p role="alert" className="rounded-md bg-error-soft px-3 py-2 text-error">
            {state.reason}
          </p>
        )}
        <Button type="submit" look="primary" className="!h-9 w-full" disabled={state.kind === 'busy'}>
          {state.kind === 'busy' ? 'Creating…' : 'Create administrator'}
        </Button>
      </form>
    </Door>
  )
}

function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="flex min-h-full items-center justify-center px-4 py-10">
      <div className="w-full max-w-[360px]">
        <div className="mb-5 flex flex-col items-center gap-3">
          <Logo size={44} />
          <h1 className="text-xl font-semibold">{title}</h1>
        </div>
        <div className="card p-6 shadow-pop">{children}</div>
        <p className="mt-4 text-center text-xs text-muted">Traces, logs and metrics from every edge, in one place.</p>
      </div>
    </main>
  )
}
