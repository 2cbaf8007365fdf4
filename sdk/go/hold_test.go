package petrel

import (
	"math"
	"slices"
	"testing"
	"time"
)

// trace is a trace id of one byte and 56 bits of randomness.
func trace(number byte, randomness ...byte) (id Trace) {
	id[0] = number
	copy(id[9:], randomness)
	return id
}

// tail holds everything for two seconds.
type tail struct {
	waiting    Waiting
	stateBytes uint64
}

func (t *tail) Process(batch *Batch, edits *Edits) error {
	edits.HoldAll(batch)
	for _, cell := range batch.PerRecord(0) {
		t.waiting.Add(cell.ID(), batch.NowNs)
	}
	return nil
}

func (t *tail) Tick(nowNs uint64, edits *Edits) error {
	for trace := range t.waiting.Due(nowNs, 2*time.Second) {
		edits.DropTrace(trace)
	}
	return nil
}

func (t *tail) Flush(edits *Edits) error {
	for trace := range t.waiting.Beyond(0) {
		edits.KeepTrace(trace)
	}
	return nil
}

func (t *tail) Save() []byte         { return t.waiting.Save(t.stateBytes) }
func (t *tail) Restore(state []byte) { t.waiting.Restore(state) }

var _ interface {
	Ticker
	Flusher
	Saver
	Restorer
} = (*tail)(nil)

// began is an instance of a plugin that holds.
func began(t *testing.T, state []byte) *plugin {
	t.Helper()
	Export(About{Name: "tail", HoldsTraces: true}, func(_ struct{}, plan *Plan) (Processor, error) {
		plan.Field(Record, TraceID)
		plan.TickEvery(1500 * time.Millisecond)
		return &tail{stateBytes: plan.StateBytes()}, nil
	})
	one := exported
	plan, err := one.configured(nil, given{stateBytes: 48, windowBytes: 9, state: state})
	same(t, err, nil)
	same(t, []any{plan.tickMs, plan.WindowBytes()}, []any{uint32(1500), uint64(9)})
	return &one
}

func TestSpansAreHeldUntilTheirTracesAreDecidedByTheTimer(t *testing.T) {
	one := began(t, nil)
	same(t, one.about.KeepsState, true)
	batch := twoRecords(one.plan, []column{{kind: ID16, words: []uint64{1 << 56, 2, 2 << 56, 3}}})
	batch.NowNs = 5e9
	edits, err := one.process(batch)
	same(t, err, nil)
	same(t, edits.verdicts, []uint8{hold, hold})

	edits, _ = one.tick(6.9e9)
	same(t, len(edits.decided), 0)
	edits, _ = one.tick(7e9)
	same(t, edits.decided, []uint64{1 << 56, 2, 2 << 56, 3})
	same(t, edits.decidedVerdict, []uint8{drop, drop})
}

func TestWhatWaitsIsSavedForTheNextInstance(t *testing.T) {
	one := began(t, nil)
	batch := twoRecords(one.plan, []column{{kind: ID16, words: []uint64{1, 2, 3, 4}}})
	_, _ = one.process(batch)
	next := began(t, one.save())
	edits, _ := next.flush()
	same(t, edits.decided, []uint64{1, 2, 3, 4})
	same(t, edits.decidedVerdict, []uint8{keep, keep})
	same(t, len(next.save()), 0)
}

func TestAProcessorThatOnlyProcessesNeedsNothingMore(t *testing.T) {
	one := plugin{processor: failing{}}
	edits, err := one.tick(1)
	same(t, []any{edits, err}, []any{&Edits{}, nil})
	edits, err = one.flush()
	same(t, []any{edits, err}, []any{&Edits{}, nil})
	same(t, len(one.save()), 0)
}

func TestAPartOfAllTracesIsKeptByTheirIDs(t *testing.T) {
	edits := &Edits{}
	for _, id := range []Trace{trace(1, 0x80), trace(2, 0x7f, 0xff)} {
		edits.SampleTrace(id, 0.5)
		edits.SampleTrace(id, 1)
		edits.SampleTrace(id, 0)
		edits.SampleTrace(id, math.NaN())
	}
	same(t, edits.decidedVerdict, []uint8{sampled, keep, drop, drop, drop, keep, drop, drop})
	same(t, edits.decided[:3], []uint64{1 << 56, 0x80 << 48, 0x80 << 48})
	// As plugins/tail-sample and the Collector round.
	for part, threshold := range map[float64]uint64{0.1: 0xe6660000000000, 0.01: 0xfd70a000000000, 1e-6: 0xffffef39000000} {
		same(t, thresholdOf(part), threshold)
	}
}

func TestTracesWaitInTheOrderInWhichTheyCame(t *testing.T) {
	var waiting Waiting
	for number := byte(1); number <= 5; number++ {
		waiting.Add(trace(number), uint64(number))
		waiting.Add(trace(number), 100)
	}
	waiting.Remove(trace(2))
	same(t, slices.Collect(waiting.Beyond(3)), []Trace{trace(1)})
	same(t, slices.Collect(waiting.Due(4, 1)), []Trace{trace(3)})
	// What does not fit is not saved in part.
	same(t, len(waiting.Save(47)), 0)
	same(t, len(waiting.Save(48)), 48)
	// Somebody set the clock back.
	same(t, slices.Collect(waiting.Due(3, 1)), []Trace{trace(4), trace(5)})
	for number := range 10_000 {
		id := trace(byte(number), byte(number>>8))
		waiting.Add(id, uint64(number))
		waiting.Remove(id)
	}
	same(t, []any{waiting.Len(), len(waiting.order) <= 65}, []any{0, true})
}

func TestWhatAResourceHasAllItsRecordsHave(t *testing.T) {
	plan := &Plan{}
	service := plan.Attributes(Resource, "service.name")
	size := plan.Attributes(Record, "size", Seeing(Of(Int, Double)))
	batch := twoRecords(plan, []column{
		{kind: String, codes: []Code{0}},
		{slot: 1, kind: mixed, rows: []uint32{1, 1}, kinds: []Kind{Int, Double}, words: []uint64{7, 0}},
	}, "shop")
	texts := map[uint32]string{}
	for record, cell := range batch.PerRecord(service) {
		texts[record] = cell.Text(batch)
	}
	same(t, texts, map[uint32]string{0: "shop", 1: "shop"})
	numbers := batch.Numbers(size)
	same(t, []any{math.IsNaN(numbers[0]), numbers[1]}, []any{true, 7.0})
}
