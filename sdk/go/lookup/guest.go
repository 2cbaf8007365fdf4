//go:build wasip1

package lookup

import (
	"unsafe"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
	"github.com/petrel-telemetry/petrel/sdk/go/internal/abi"
)

//go:wasmimport petrel:plugin/lookup@0.1.0 open
func importOpen(name string, answer unsafe.Pointer)

//go:wasmimport petrel:plugin/lookup@0.1.0 join-dict
func importJoinDict(table uint32, codes unsafe.Pointer, count uint32, column string, answer unsafe.Pointer)

// perhaps is `option<u32>`.
type perhaps struct {
	is    bool
	value uint32
}

func open(name string) (uint32, bool) {
	answer := new(perhaps)
	importOpen(name, unsafe.Pointer(answer))
	return answer.value, answer.is
}

func joinDict(table uint32, codes []petrel.Code, column string) []petrel.Code {
	answer := new(abi.List)
	at, count := abi.Passed(codes)
	importJoinDict(table, at, count, column, unsafe.Pointer(answer))
	return abi.Slice[petrel.Code](*answer)
}
