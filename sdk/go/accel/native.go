//go:build !wasip1

package accel

import (
	"errors"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
)

var errNative = errors.New("the kernels are in the host; test this with `petrel plugin test`")

func regexSet([]string) (uint32, error) { return 0, errNative }

func keySet(string) (uint32, error) { return 0, errNative }

func matchDict(uint32, uint16) []uint64 { panic(errNative) }

func redactDict(uint32, uint32, uint16, string) (from, to []petrel.Code) { panic(errNative) }

func hashDict([]petrel.Code, uint64) []uint64 { panic(errNative) }
