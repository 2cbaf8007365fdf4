/** What surrounds every page: the dialog when a session ends, and what is shown when a page can't be. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { type ErrorComponentProps, Link, Outlet, useRouter, useRouterState } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { onSessionEnded } from '../api/client'
import { sessionQuery } from '../api/queries'
import { Logo } from '../components/marks'
import { Dialog } from '../ui/dialog'
import { Failure } from '../ui/states'
import { SignInForm } from './SignInForm'

export function Frame() {
  const [ended, setEnded] = useState(false)
  const queries = useQueryClient()
  const session = useQuery({ ...sessionQuery, enabled: false })
  const outside = useRouterState({ select: (s) => /^\/(sign-in|setup)$/.test(s.location.pathname) })
  useEffect(() => onSessionEnded(() => setEnded(true)), [])
  return (
    <>
      <Outlet />
      {ended && !outside && (
        <Dialog title="Your session has ended">
          <p className="mb-3 text-soft">Sign in again to go on where you are. Nothing on this page is lost.</p>
          <SignInForm
            email={session.data?.user.email}
            onDone={(next) => {
              queries.setQueryData(sessionQuery.queryKey, next)
              setEnded(false)
              void queries.invalidateQueries({ predicate: (q) => q.queryKey[0] !== 'session' })
            }}
          />
        </Dialog>
      )}
    </>
  )
}

export function PagePending() {
  return <div role="status" aria-label="Loading" className="progress h-0.5" />
}

export function PageFailure({ error, reset }: ErrorComponentProps) {
  const router = useRouter()
  return (
    <Failure
      error={error}
      retry={() => {
        reset()
        void router.invalidate()
      }}
    />
  )
}

export function LostPage() {
  return (
    <main className="mx-auto flex max-w-md flex-col items-center gap-3 px-6 py-24 text-center">
      <Logo size={36} />
      <h1 className="text-xl font-semibold">There is no such page</h1>
      <p className="text-soft">The address may have been cut when it was copied.</p>
      <Link to="/" className="text-accent-text underline">
        Go to the start
      </Link>
    </main>
  )
}

export function NoProject() {
  return (
    <main className="mx-auto flex max-w-md flex-col items-center gap-3 px-6 py-24 text-center">
      <Logo size={36} />
      <h1 className="text-xl font-semibold">No project yet</h1>
      <p className="text-soft">
        You are signed in, but no project is open to you. Projects are named in the <code className="font-mono">projects</code> section of{' '}
        <code className="font-mono">petrel.yml</code>.
      </p>
    </main>
  )
}
