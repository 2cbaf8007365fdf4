// What needs no host. `petrel plugin test` runs cases/ in it.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { processor } from '../src/plugin.js'

test('a configuration without keys is refused with what to do', () => {
  const config = new TextEncoder().encode('{}')
  assert.throws(() => processor.configure(config), /name an attribute/)
})
