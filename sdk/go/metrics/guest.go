//go:build wasip1

package metrics

import (
	"unsafe"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
	"github.com/petrel-telemetry/petrel/sdk/go/internal/abi"
)

//go:wasmimport petrel:plugin/metrics@0.1.0 declare
func importDeclare(
	name, unit string, kind, audience, output uint32, labels unsafe.Pointer, count uint32,
) uint32

//go:wasmimport petrel:plugin/metrics@0.1.0 add
func add(id uint32, value float64)

//go:wasmimport petrel:plugin/metrics@0.1.0 record-many
func importRecordMany(
	id uint32, values unsafe.Pointer, valueCount uint32, codes unsafe.Pointer, codeCount uint32,
	ends unsafe.Pointer, endCount uint32, bytes unsafe.Pointer, byteCount uint32,
)

func declare(i instrument) uint32 {
	labels := make([]abi.List, len(i.labels))
	for at, key := range i.labels {
		labels[at] = abi.Text(key)
	}
	at, count := abi.Passed(labels)
	return importDeclare(i.name, i.unit, uint32(i.kind), uint32(i.audience), 0, at, count)
}

func recordMany(id uint32, values []float64, codes []petrel.Code, ends []uint32, bytes []byte) {
	valuesAt, valueCount := abi.Passed(values)
	codesAt, codeCount := abi.Passed(codes)
	endsAt, endCount := abi.Passed(ends)
	bytesAt, byteCount := abi.Passed(bytes)
	importRecordMany(id, valuesAt, valueCount, codesAt, codeCount, endsAt, endCount, bytesAt, byteCount)
}
