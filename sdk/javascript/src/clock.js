// The host's clock. Most plugins need none: `batch.nowNs` is the time of each batch, and `tick` brings its
// own. `Date.now()` is not the time.

export { monotonicNs, wallNs } from 'petrel:plugin/clock@0.1.0'
