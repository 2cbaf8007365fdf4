//go:build wasip1

package log

//go:wasmimport petrel:plugin/log@0.1.0 write
func write(level uint32, message string)
