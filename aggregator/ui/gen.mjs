/** Writes `src/api/generated.ts` from the aggregator's `openapi.json`; with `--check`, only says whether it is up to date. */
import { readFileSync, writeFileSync } from 'node:fs'
import openapiTS, { astToString } from 'openapi-typescript'

const target = new URL('src/api/generated.ts', import.meta.url)
const description = JSON.parse(readFileSync(process.env.OPENAPI ?? new URL('../openapi.json', import.meta.url), 'utf8'))

// Requests are found by path and method. The operations' names are those of Rust functions, and would only be noise.
for (const path of Object.values(description.paths)) for (const operation of Object.values(path)) delete operation.operationId

const text = `/* Made from openapi.json by \`npm run gen\`. Don't edit. */\n${astToString(await openapiTS(description))}`
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('src/api/generated.ts is not what openapi.json says: run `npm run gen`.')
    process.exit(1)
  }
} else {
  writeFileSync(target, text)
}
