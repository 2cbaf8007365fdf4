// lookout counts calls, and keeps traces with an error or a route that nobody has seen for a day.
package main

import (
	"errors"
	"time"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
)

// Config is what an operator writes under `config:`.
type Config struct {
	// WaitS is how long a trace waits for its spans.
	WaitS uint32 `json:"wait_s"`
	// Part of all other traces, from 0 to 1, that is kept.
	Part float64 `json:"part"`
}

type lookout struct {
	calls   *calls
	routes  *routes
	trace   petrel.Slot
	plan    *petrel.Plan
	wait    time.Duration
	part    float64
	waiting petrel.Waiting
}

func configure(config Config, plan *petrel.Plan) (petrel.Processor, error) {
	if config.WaitS == 0 || config.Part < 0 || config.Part > 1 {
		return nil, errors.New("config.wait_s must be at least 1, and config.part from 0 to 1")
	}
	plan.TickEvery(500 * time.Millisecond)
	calls := newCalls(plan)
	return &lookout{
		calls:  calls,
		routes: &routes{calls.name},
		trace:  plan.Field(petrel.Record, petrel.TraceID),
		plan:   plan,
		wait:   time.Duration(config.WaitS) * time.Second,
		part:   config.Part,
	}, nil
}

func (l *lookout) Process(batch *petrel.Batch, edits *petrel.Edits) error {
	l.calls.record(batch)
	unseen := l.routes.unseen(batch)
	traces := make([]petrel.Trace, batch.Rows(petrel.Record))
	for span, cell := range batch.PerRecord(l.trace) {
		traces[span] = cell.ID()
		l.waiting.Add(traces[span], batch.NowNs)
	}
	edits.HoldAll(batch)
	keep := func(span uint32) {
		edits.KeepTrace(traces[span])
		l.waiting.Remove(traces[span])
	}
	for span, cell := range batch.PerRecord(l.calls.status) {
		if cell.Uint() == 2 {
			keep(span)
		}
	}
	for span, cell := range batch.PerRecord(l.calls.name) {
		if unseen[cell.Code()] {
			keep(span)
		}
	}
	for trace := range l.waiting.Beyond(100_000) {
		edits.SampleTrace(trace, l.part)
	}
	return nil
}

func (l *lookout) Tick(nowNs uint64, edits *petrel.Edits) error {
	for trace := range l.waiting.Due(nowNs, l.wait) {
		edits.SampleTrace(trace, l.part)
	}
	return nil
}

func (l *lookout) Save() []byte         { return l.waiting.Save(l.plan.StateBytes()) }
func (l *lookout) Restore(state []byte) { l.waiting.Restore(state) }

func init() {
	about := petrel.About{Name: "lookout", Version: "0.1.0", Signals: petrel.Traces, HoldsTraces: true}
	petrel.Export(about, configure)
}

func main() {}
