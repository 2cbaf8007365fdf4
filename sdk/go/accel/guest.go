//go:build wasip1

package accel

import (
	"errors"
	"unsafe"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
	"github.com/petrel-telemetry/petrel/sdk/go/internal/abi"
)

//go:wasmimport petrel:plugin/accel@0.1.0 regex-set
func importRegexSet(patterns unsafe.Pointer, count uint32, answer unsafe.Pointer)

//go:wasmimport petrel:plugin/accel@0.1.0 key-set
func importKeySet(rule string, answer unsafe.Pointer)

//go:wasmimport petrel:plugin/accel@0.1.0 match-dict
func importMatchDict(set uint32, slot uint32, answer unsafe.Pointer)

//go:wasmimport petrel:plugin/accel@0.1.0 redact-dict
func importRedactDict(set, keys uint32, slot uint32, replacement string, answer unsafe.Pointer)

//go:wasmimport petrel:plugin/accel@0.1.0 hash-dict
func importHashDict(codes unsafe.Pointer, count uint32, seed uint64, answer unsafe.Pointer)

// answered is `result<u32, error>`: the number, or an error in its place.
type answered struct {
	failed    bool
	code      uint32
	message   abi.List
	retryable bool
}

func (a *answered) number() (uint32, error) {
	if a.failed {
		return 0, errors.New(string(abi.Slice[byte](a.message)))
	}
	return a.code, nil
}

func regexSet(patterns []string) (uint32, error) {
	lists := make([]abi.List, len(patterns))
	for i, pattern := range patterns {
		lists[i] = abi.Text(pattern)
	}
	answer := new(answered)
	importRegexSet(unsafe.Pointer(unsafe.SliceData(lists)), uint32(len(lists)), unsafe.Pointer(answer))
	return answer.number()
}

func keySet(rule string) (uint32, error) {
	answer := new(answered)
	importKeySet(rule, unsafe.Pointer(answer))
	return answer.number()
}

func matchDict(set uint32, slot uint16) []uint64 {
	answer := new(abi.List)
	importMatchDict(set, uint32(slot), unsafe.Pointer(answer))
	return abi.Slice[uint64](*answer)
}

func redactDict(set, keys uint32, slot uint16, replacement string) (from, to []petrel.Code) {
	answer := new([2]abi.List)
	importRedactDict(set, keys, uint32(slot), replacement, unsafe.Pointer(answer))
	return abi.Slice[petrel.Code](answer[0]), abi.Slice[petrel.Code](answer[1])
}

func hashDict(codes []petrel.Code, seed uint64) []uint64 {
	answer := new(abi.List)
	importHashDict(unsafe.Pointer(unsafe.SliceData(codes)), uint32(len(codes)), seed, unsafe.Pointer(answer))
	return abi.Slice[uint64](*answer)
}
