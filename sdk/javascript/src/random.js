// Random bytes that nobody can foresee. Most plugins need none: `batch.seed` is fresh for each batch.

export { bytes } from 'petrel:plugin/random@0.1.0'
