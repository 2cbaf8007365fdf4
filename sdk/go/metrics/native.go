//go:build !wasip1

package metrics

import petrel "github.com/petrel-telemetry/petrel/sdk/go"

// Natively instruments can be declared and recorded with, so that tests of a plugin run; who wants to see
// what was counted runs `petrel plugin test`.

type recorded struct {
	values []float64
	codes  []petrel.Code
	ends   []uint32
	bytes  []byte
}

var (
	instruments []instrument
	records     = map[uint32][]recorded{}
)

func declare(i instrument) uint32 {
	instruments = append(instruments, i)
	return uint32(len(instruments) - 1)
}

func add(id uint32, value float64) {
	records[id] = append(records[id], recorded{values: []float64{value}})
}

func recordMany(id uint32, values []float64, codes []petrel.Code, ends []uint32, bytes []byte) {
	records[id] = append(records[id], recorded{values, codes, ends, bytes})
}
