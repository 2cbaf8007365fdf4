// Package random is random bytes that nobody can foresee. Most plugins need none: Batch.Seed is fresh for each
// batch. math/rand has the same seed in every instance.
package random

// Bytes are this many, each random.
func Bytes(count uint32) []byte { return drawn(count) }
