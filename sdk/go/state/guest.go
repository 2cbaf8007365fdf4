//go:build wasip1

package state

import (
	"unsafe"

	"github.com/petrel-telemetry/petrel/sdk/go/internal/abi"
)

//go:wasmimport petrel:plugin/state@0.1.0 get-many
func importGetMany(
	ends unsafe.Pointer, endCount uint32, bytes unsafe.Pointer, byteCount uint32, answer unsafe.Pointer,
)

//go:wasmimport petrel:plugin/state@0.1.0 put-many
func importPutMany(
	keyEnds unsafe.Pointer, keyEndCount uint32, keys unsafe.Pointer, keyCount uint32,
	valueEnds unsafe.Pointer, valueEndCount uint32, values unsafe.Pointer, valueCount uint32, ttl uint32,
)

//go:wasmimport petrel:plugin/state@0.1.0 delete-many
func importDeleteMany(ends unsafe.Pointer, endCount uint32, bytes unsafe.Pointer, byteCount uint32)

// perhaps is `option<list<u8>>`.
type perhaps struct {
	is    bool
	value abi.List
}

func getMany(keys blob) [][]byte {
	ends, endCount := abi.Passed(keys.ends)
	bytes, byteCount := abi.Passed(keys.bytes)
	answer := new(abi.List)
	importGetMany(ends, endCount, bytes, byteCount, unsafe.Pointer(answer))
	values := make([][]byte, len(keys.ends))
	for i, one := range abi.Slice[perhaps](*answer) {
		if one.is {
			// An empty value is not nil.
			values[i] = append([]byte{}, abi.Slice[byte](one.value)...)
		}
	}
	return values
}

func putMany(keys, values blob, ttl uint32) {
	keyEnds, keyEndCount := abi.Passed(keys.ends)
	keyBytes, keyCount := abi.Passed(keys.bytes)
	valueEnds, valueEndCount := abi.Passed(values.ends)
	valueBytes, valueCount := abi.Passed(values.bytes)
	importPutMany(
		keyEnds, keyEndCount, keyBytes, keyCount, valueEnds, valueEndCount, valueBytes, valueCount, ttl,
	)
}

func deleteMany(keys blob) {
	ends, endCount := abi.Passed(keys.ends)
	bytes, byteCount := abi.Passed(keys.bytes)
	importDeleteMany(ends, endCount, bytes, byteCount)
}
