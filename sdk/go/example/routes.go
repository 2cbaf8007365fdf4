package main

import (
	"time"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
	"github.com/petrel-telemetry/petrel/sdk/go/state"
)

// routes remembers the names of spans.
type routes struct{ name petrel.Slot }

// unseen are the names in this batch that no span had for a day.
func (r *routes) unseen(batch *petrel.Batch) map[petrel.Code]bool {
	codes := batch.Codes(r.name)
	keys := make([]string, len(codes))
	for i, code := range codes {
		name := batch.Text(code)
		keys[i] = name[:min(len(name), 200)]
	}
	unseen := map[petrel.Code]bool{}
	var seen []state.Entry
	for i, before := range state.GetMany(keys) {
		unseen[codes[i]] = before == nil
		seen = append(seen, state.Entry{Key: keys[i]})
	}
	state.PutMany(seen, 24*time.Hour)
	return unseen
}
