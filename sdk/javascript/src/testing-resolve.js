// Whatever a plugin imports from the host is in testing.js.

export function resolve(specifier, context, next) {
  if (!specifier.startsWith('petrel:plugin/')) return next(specifier, context)
  return { url: new URL('./testing.js', import.meta.url).href, shortCircuit: true }
}
