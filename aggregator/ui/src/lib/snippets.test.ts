import { expect, it } from 'vitest'
import { masked, snippets } from './snippets'

const project = { dsn: 'http://secret@127.0.0.1:14318?grpc=14317', http_endpoint: 'http://127.0.0.1:14318', grpc_endpoint: 'http://127.0.0.1:14317' }

it('a masked DSN keeps its address and loses its secret', () => {
  expect(masked(project.dsn)).toBe('http://••••••••@127.0.0.1:14318?grpc=14317')
})

it('every snippet carries what it needs to reach this project', () => {
  for (const snippet of snippets(project)) {
    const code = snippet.blocks.map((b) => b.code).join('\n')
    expect(code, snippet.id).toContain('secret')
  }
})

it('no snippet shows the secret once the DSN is masked', () => {
  for (const snippet of snippets({ ...project, dsn: masked(project.dsn) })) {
    expect(snippet.blocks.map((b) => b.code).join('\n')).not.toContain('secret@')
  }
})
