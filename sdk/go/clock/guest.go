//go:build wasip1

package clock

//go:wasmimport petrel:plugin/clock@0.1.0 wall-ns
func wallNs() uint64

//go:wasmimport petrel:plugin/clock@0.1.0 monotonic-ns
func monotonicNs() uint64
