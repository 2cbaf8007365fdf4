/** Service colours: a hash picks one of twelve that are checked in both themes, so a service looks the same on every page. */

const paletteSize = 12

export function colorIndex(text: string): number {
  let hash = 2166136261
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619)
  return ((hash ^ (hash >>> 13)) >>> 0) % paletteSize
}

/** Distinct colours for the services of one page where possible: the hash decides, collisions move on to the next free one. */
export function assignColors(services: readonly string[]): string[] {
  const taken = new Set<number>()
  return services.map((service) => {
    let index = colorIndex(service)
    for (let tries = 0; tries < paletteSize && taken.has(index) && taken.size < paletteSize; tries++) index = (index + 5) % paletteSize
    taken.add(index)
    return `var(--s${index})`
  })
}

export const serviceColor = (service: string): string => `var(--s${colorIndex(service)})`

/** A token's value now, for canvases. */
export function token(name: string): string {
  const inner = /^var\((--[\w-]+)\)$/.exec(name)
  return getComputedStyle(document.documentElement).getPropertyValue(inner ? inner[1] : name).trim()
}
