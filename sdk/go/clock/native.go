//go:build !wasip1

package clock

import "time"

var start = time.Now()

func wallNs() uint64 { return uint64(time.Now().UnixNano()) }

func monotonicNs() uint64 { return uint64(time.Since(start)) }
