package petrel

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// The SDK without a runtime: what a batch shows and what edits become.

// twoRecords of one resource.
func twoRecords(plan *Plan, columns []column, texts ...string) *Batch {
	batch := &Batch{Signal: Traces, columns: columns, plan: plan, tables: []tableRows{
		{table: Resource, rows: 1}, {Scope, 1, []uint32{0}}, {Record, 2, []uint32{0, 0}},
	}}
	for _, text := range texts {
		batch.bytes = append(batch.bytes, text...)
		batch.ends = append(batch.ends, uint32(len(batch.bytes)))
	}
	return batch
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestAPluginSaysWhatItWants(t *testing.T) {
	type config struct{ Key string }
	Export(About{Name: "n", Signals: Logs}, func(c config, plan *Plan) (Processor, error) {
		plan.Attributes(Record, c.Key, Seeing(Unseen), Write, Delete)
		return nil, nil
	})
	plan, err := exported.configured([]byte(` {"Key": "a|b*"} `), given{})
	same(t, err, nil)
	same(t, plan, &Plan{signals: Logs, selectors: []selector{{table: Record, key: "a|b*", access: 10}}})
	_, err = exported.configured([]byte(`{"Kye": "a"}`), given{})
	if err == nil || !strings.Contains(err.Error(), `unknown field "Kye"`) {
		t.Fatal(err)
	}
}

func TestValuesOfEveryKindAreSeenAndSet(t *testing.T) {
	plan := &Plan{}
	slot := plan.Attributes(Record, "*", Seeing(AnyKind), Write)
	minus := int64(-5)
	batch := twoRecords(plan, []column{{
		kind: mixed, rows: []uint32{0, 0, 1, 1},
		kinds: []Kind{String, Int, Double, Bool},
		words: []uint64{1, uint64(minus), math.Float64bits(2.5), 1},
	}}, "key", "text")
	var seen []any
	for cell := range batch.Cells(slot) {
		seen = append(seen, batch.Text(cell.Key), cell.Row)
		switch cell.Kind {
		case String:
			seen = append(seen, cell.Text(batch))
		case Int:
			seen = append(seen, cell.Int())
		case Double:
			seen = append(seen, cell.Double())
		case Bool:
			seen = append(seen, cell.Bool())
		}
	}
	zero, one := uint32(0), uint32(1)
	same(t, seen, []any{"key", zero, "text", "key", zero, minus, "key", one, 2.5, "key", one, true})

	edits := &Edits{}
	cell, _ := batch.Get(slot, 0)
	for _, value := range []Value{OfString("x"), OfInt(-1), OfDouble(2.5), OfBool(true), OfJSON("[]"), OfBytes([]byte{255}), OfCode(1)} {
		edits.Set(cell, value)
	}
	same(t, edits.cellKind, []uint8{1, 4, 5, 3, 10, 2, 1})
	same(t, edits.cellWord, []uint64{added, math.MaxUint64, math.Float64bits(2.5), 1, added + 1, added + 2, 1})
	same(t, edits.ends, []uint32{1, 3, 4})
}

func TestEachDistinctTextIsChangedOnce(t *testing.T) {
	plan := &Plan{}
	slot := plan.Attributes(Record, "a", Write)
	batch := twoRecords(plan, []column{{kind: String, codes: []Code{1, 1}}}, "a", "hello")
	calls := 0
	edits := &Edits{}
	edits.MapText(batch, slot, func(text string) (string, bool) { calls++; return strings.ToUpper(text), true })
	same(t, calls, 1)
	same(t, []any{edits.dictFrom, edits.dictTo, string(edits.bytes)}, []any{[]uint32{1}, []uint32{added}, "HELLO"})
}

func TestAbsentValuesAreNoCellsAndRowsKnowTheirResource(t *testing.T) {
	plan := &Plan{}
	slot := plan.Field(Record, Name)
	batch := twoRecords(plan, []column{{kind: String, key: none, codes: []Code{0, none}, present: []uint64{1}}}, "x")
	for cell := range batch.Cells(slot) {
		same(t, cell.Row, uint32(0))
	}
	resource, ok := batch.ResourceOf(1)
	same(t, []any{resource, ok}, []any{uint32(0), true})
	edits := &Edits{}
	edits.DropRecord(batch, 1)
	edits.Put(batch, slot, 1, OfString("new"))
	same(t, []any{edits.verdicts, edits.cellKey, edits.cellRow}, []any{[]uint8{0, 1}, []uint32{none}, []uint32{1}})
}

type failing struct{ how func() error }

func (f failing) Process(*Batch, *Edits) error { return f.how() }

func TestAPanicIsAnErrorWithItsWords(t *testing.T) {
	for words, how := range map[string]func() error{
		"no":               func() error { return errors.New("no") },
		"panic: gone":      func() error { panic("gone") },
		"index out of ran": func() error { _ = []int{}[len(words())]; return nil },
	} {
		one := plugin{processor: failing{how}}
		_, err := one.process(&Batch{})
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Fatal(err)
		}
	}
}

func words() string { return "abc" }
