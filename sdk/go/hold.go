package petrel

import (
	"encoding/binary"
	"math"
	"math/bits"
	"time"
)

// Trace is the id of one: what Cell.ID gives for the field TraceID.
type Trace = [16]byte

// Hold keeps the span until its trace is decided, in this answer or a later one. It is acknowledged to
// its sender all the same. Only for plugins that say About.HoldsTraces. A span without a trace id
// passes.
func (e *Edits) Hold(b *Batch, row uint32) { e.verdict(b, row, hold) }

// HoldAll holds every span of the batch. Traces that are decided in the same answer do not wait.
func (e *Edits) HoldAll(b *Batch) {
	for row := range b.Rows(Record) {
		e.verdict(b, row, hold)
	}
}

// KeepTrace decides about a trace: its spans that are held go on, and for some minutes those that are
// still to come, which the plugin does not see any more. The first decision about a trace counts.
func (e *Edits) KeepTrace(trace Trace) { e.decide(trace, keep) }

// DropTrace drops the trace's spans, as KeepTrace keeps them.
func (e *Edits) DropTrace(trace Trace) { e.decide(trace, drop) }

// SampleTrace keeps a part of all traces, from 0 to 1, and drops the others. Every agent that sees spans
// of a trace decides alike, by the last 56 bits of its id (OpenTelemetry, "TraceState: Probability
// Sampling"), and the spans say what they were kept with, so that counts can be corrected.
func (e *Edits) SampleTrace(trace Trace, part float64) {
	threshold := thresholdOf(part)
	randomness := binary.BigEndian.Uint64(trace[8:]) & (thresholdEnd - 1)
	switch {
	case randomness < threshold:
		e.DropTrace(trace)
	case threshold == 0:
		e.KeepTrace(trace)
	default:
		e.decide(trace, sampled, threshold)
	}
}

func (e *Edits) decide(trace Trace, verdict uint8, threshold ...uint64) {
	e.decided = append(e.decided, binary.BigEndian.Uint64(trace[:8]), binary.BigEndian.Uint64(trace[8:]))
	e.decided = append(e.decided, threshold...)
	e.decidedVerdict = append(e.decidedVerdict, verdict)
}

// One more than the largest threshold.
const thresholdEnd = 1 << 56

// thresholdOf a part of all: what has less randomness is dropped. After the hexadecimal digits f, which
// only say that it is little, four digits say something: so the Collector writes it, and whoever
// rounds alike decides alike.
func thresholdOf(part float64) uint64 {
	// Of small parts 1 - part would lose the digits that matter. NaN keeps nothing.
	kept := uint64(0)
	if part > 0 {
		kept = uint64(math.Round(min(part, 1) * thresholdEnd))
	}
	threshold := uint64(thresholdEnd) - kept
	if kept == 0 {
		return threshold
	}
	little := bits.LeadingZeros64(^(threshold << 8)) / 4
	unit := uint64(1) << (56 - 4*min(little+4, 14))
	if rounded := (threshold + unit/2) / unit * unit; rounded < thresholdEnd {
		return rounded
	}
	return threshold
}

// Waiting are traces that wait for a decision, in the order in which their first spans came. The zero
// value is empty.
type Waiting struct {
	firstNs map[Trace]uint64
	// Those that do not wait any more are passed over.
	order []arrival
}

type arrival struct {
	trace   Trace
	firstNs uint64
}

// Add says that a span came; of a trace the first one counts.
func (w *Waiting) Add(trace Trace, nowNs uint64) {
	if w.firstNs == nil {
		w.firstNs = map[Trace]uint64{}
	}
	if _, ok := w.firstNs[trace]; !ok {
		w.firstNs[trace] = nowNs
		w.order = append(w.order, arrival{trace, nowNs})
	}
}

// Remove says that a trace does not wait any more.
func (w *Waiting) Remove(trace Trace) {
	delete(w.firstNs, trace)
	// What is passed over must not pile up.
	if len(w.order) > 2*len(w.firstNs)+64 {
		waits := w.order[:0]
		for _, one := range w.order {
			if w.waits(one) {
				waits = append(waits, one)
			}
		}
		w.order = waits
	}
}

func (w *Waiting) waits(one arrival) bool {
	firstNs, ok := w.firstNs[one.trace]
	return ok && firstNs == one.firstNs
}

// Len is how many wait.
func (w *Waiting) Len() int { return len(w.firstNs) }

// Due takes out those that have waited so long, and those that came later than now: somebody has set the
// clock back. For range waiting.Due(nowNs, wait).
func (w *Waiting) Due(nowNs uint64, wait time.Duration) func(yield func(Trace) bool) {
	return w.take(func(one arrival) bool {
		return one.firstNs > nowNs || nowNs-one.firstNs >= uint64(wait)
	})
}

// Beyond takes out the oldest until no more than most wait.
func (w *Waiting) Beyond(most int) func(yield func(Trace) bool) {
	return w.take(func(arrival) bool { return w.Len() > most })
}

func (w *Waiting) take(isTaken func(arrival) bool) func(yield func(Trace) bool) {
	return func(yield func(Trace) bool) {
		for len(w.order) > 0 {
			first := w.order[0]
			waits := w.waits(first)
			if waits && !isTaken(first) {
				return
			}
			w.order = w.order[1:]
			if !waits {
				continue
			}
			delete(w.firstNs, first.trace)
			if !yield(first.trace) {
				return
			}
		}
	}
}

// Trace id, time of the first span.
const savedBytes = 24

// Save gives what Restore takes, for Saver. Nothing if it is more than Plan.StateBytes allows: then the
// host shows what it holds again.
func (w *Waiting) Save(most uint64) []byte {
	if uint64(len(w.firstNs))*savedBytes > most {
		return nil
	}
	out := make([]byte, 0, len(w.firstNs)*savedBytes)
	for _, one := range w.order {
		if w.waits(one) {
			out = append(out, one.trace[:]...)
			out = binary.BigEndian.AppendUint64(out, one.firstNs)
		}
	}
	return out
}

// Restore adds what Save gave.
func (w *Waiting) Restore(state []byte) {
	for ; len(state) >= savedBytes; state = state[savedBytes:] {
		w.Add(Trace(state[:16]), binary.BigEndian.Uint64(state[16:]))
	}
}
