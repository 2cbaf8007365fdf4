// Package clock is the host's clock. Most plugins need none: Batch.NowNs is the time of each batch, and Tick
// brings its own. time.Now counts up and means nothing.
package clock

// WallNs is nanoseconds since 1970; it may be set back.
func WallNs() uint64 { return wallNs() }

// MonotonicNs is nanoseconds since some moment; of use are differences.
func MonotonicNs() uint64 { return monotonicNs() }
