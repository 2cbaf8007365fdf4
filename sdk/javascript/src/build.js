// node build.js ENTRY OUTPUT: from a plugin's source to a component.
//
// esbuild makes one module of it and says which of the host's interfaces it uses; only those become
// imports, since the import list is what an operator is asked to grant. No WASI: without clocks,
// random numbers, files and sockets the runtime needs none, and the host has none to give.

import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { componentize, version } from '@bytecodealliance/componentize-js'
import { build } from 'esbuild'

const INTERFACE = /^petrel:plugin\/([a-z]+)@/

const [entry, output] = process.argv.slice(2)
if (!entry || !output) {
  console.error('usage: node build.js ENTRY OUTPUT')
  process.exit(64)
}

const bundle = await build({
  entryPoints: [entry],
  bundle: true,
  write: false,
  metafile: true,
  format: 'esm',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  external: ['petrel:*'],
  treeShaking: true,
  outdir: '.',
}).catch(() => process.exit(1))

const [made] = Object.values(bundle.metafile.outputs)
if (!made.exports.includes('processor')) {
  console.error(`${entry} does not say: export const processor = plugin({ ... })`)
  process.exit(1)
}
const used = made.imports.map(({ path }) => INTERFACE.exec(path)?.[1]).filter(Boolean)

const wit = await readFile(fileURLToPath(new URL('../wit/plugin.wit', import.meta.url)), 'utf8')
const imports = [...new Set(used)].map((name) => `  import ${name};\n`).join('')
const world = `${wit.slice(0, wit.indexOf('world plugin {'))}world plugin {\n${imports}  export processor;\n}\n`
const code = bundle.outputFiles[0].text

// The runtime is never the same twice, takes ten seconds to make and longer to compile: only for a reason.
const note = `${output}.made-from`
const madeFrom = (component) => sha256([version, world, code, component])
const there = await readFile(output).catch(() => undefined)
if (there && (await readFile(note, 'utf8').catch(() => '')) === madeFrom(there)) process.exit(0)

const dir = await mkdtemp(join(tmpdir(), 'petrel-plugin-'))
try {
  const [sourcePath, witPath] = [join(dir, 'plugin.js'), join(dir, 'plugin.wit')]
  await writeFile(sourcePath, code)
  await writeFile(witPath, world)
  const { component } = await componentize({
    sourcePath,
    witPath,
    worldName: 'plugin',
    disableFeatures: ['random', 'stdio', 'clocks', 'http', 'fetch-event'],
  })
  // Whole or not at all: an agent may be watching this file.
  await writeFile(`${output}.new`, component)
  await rename(`${output}.new`, output)
  await writeFile(note, madeFrom(component))
} finally {
  await rm(dir, { recursive: true })
}

function sha256(parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex')
}
