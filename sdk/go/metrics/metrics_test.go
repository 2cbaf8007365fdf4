//go:build !wasip1

package metrics

import (
	"math"
	"reflect"
	"testing"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
)

func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestAnInstrumentIsDeclaredWithAllThatItHas(t *testing.T) {
	seen := Counter("seen")
	took := Histogram("took", Unit("ms"), Telemetry, Labels("resource.service.name", "span.name"))
	UpDownCounter("open")
	Gauge("full")
	same(t, instruments[seen.id], instrument{name: "seen", kind: 1})
	same(t, instruments[took.id], instrument{"took", "ms", 4, 1, []string{"resource.service.name", "span.name"}})
	same(t, []uint8{instruments[took.id+1].kind, instruments[took.id+2].kind}, []uint8{2, 3})
	seen.Add(2)
	same(t, records[seen.id], []recorded{{values: []float64{2}}})
}

func TestValuesCrossOverTogetherAndWhatIsNotFiniteIsLeftOut(t *testing.T) {
	calls := Counter("calls", Labels("name", "status"))
	took := Histogram("took", Labels("name", "status"))
	both := Of(calls, took)
	good, bad := both.Text("ok"), both.Text("error")
	same(t, both.Text("ok"), good)
	both.Record([]petrel.Code{3, good}, 1, 12.5)
	both.Record([]petrel.Code{4}, 1, math.NaN())
	both.Record([]petrel.Code{5, bad}, 1, 0)
	both.Finish()
	ends, bytes := []uint32{2, 7}, []byte("okerror")
	same(t, records[calls.id], []recorded{{
		[]float64{1, 1, 1}, []petrel.Code{3, added, 4, None, 5, added + 1}, ends, bytes,
	}})
	same(t, records[took.id], []recorded{{[]float64{12.5, 0}, []petrel.Code{3, added, 5, added + 1}, ends, bytes}})
	Of(calls).Finish()
	same(t, len(records[calls.id]), 1)
}

func TestWhatDoesNotFitTogetherIsSaidAtOnce(t *testing.T) {
	one, other := Counter("one", Labels("a")), Counter("other")
	for _, wrong := range []func(){
		func() { Of(one, other) },
		func() { Of(one).Record([]petrel.Code{1, 2}, 1) },
		func() { Of(one).Record(nil, 1, 2) },
	} {
		func() {
			defer func() { same(t, recover() != nil, true) }()
			wrong()
		}()
	}
}
