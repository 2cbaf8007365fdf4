//go:build wasip1

package random

import (
	"unsafe"

	"github.com/petrel-telemetry/petrel/sdk/go/internal/abi"
)

//go:wasmimport petrel:plugin/random@0.1.0 bytes
func importBytes(count uint32, answer unsafe.Pointer)

func drawn(count uint32) []byte {
	answer := new(abi.List)
	importBytes(count, unsafe.Pointer(answer))
	return abi.Slice[byte](*answer)
}
