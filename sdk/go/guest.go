//go:build wasip1

package petrel

import (
	"unsafe"

	"github.com/petrel-telemetry/petrel/sdk/go/internal/abi"
)

// The component's exports, by the names that the canonical ABI has for them. Records are laid out
// as it says: offsets and sizes are those of wit/plugin.wit.

const (
	configurationError = 1
	internalError      = 4
)

type rawSelector struct {
	table  uint8
	field  uint16
	key    abi.List
	kinds  uint32
	access uint8
}

type rawPlan struct {
	signals   uint8
	selectors abi.List
	onlyIfKey abi.List
	wantDict  bool
	outputs   abi.List
	tickMs    uint32
	merge     bool
}

type rawEdits struct {
	verdicts, addedEnds, addedBytes                abi.List
	dictSlot, dictFrom, dictTo                     abi.List
	cellSlot, cellKey, cellRow, cellKind, cellWord abi.List
	dropTable, dropKey                             abi.List
	route                                          abi.List
	decided, decidedVerdict                        abi.List
}

type rawDescriptor struct {
	name, version                      abi.List
	signals                            uint8
	schema                             abi.List
	failClosed, stateless, determinate bool
	extra                              abi.List
}

type rawPair struct{ key, value abi.List }

type rawTable struct {
	table  uint8
	rows   uint32
	parent abi.List
}

type rawColumn struct {
	slot                               uint16
	key                                uint32
	kind                               uint8
	rows, codes, words, kinds, present abi.List
}

//go:wasmexport petrel:plugin/processor@0.1.0#describe
func describe() unsafe.Pointer {
	defer abi.Done()()
	about := exported.about
	var extra []rawPair
	if about.HoldsTraces {
		extra = []rawPair{{abi.Text("holds"), abi.Text("traces")}}
	}
	return abi.Kept(&rawDescriptor{
		name:        abi.Text(about.Name),
		version:     abi.Text(about.Version),
		signals:     uint8(about.Signals),
		schema:      abi.Text(about.Schema),
		failClosed:  about.FailsClosed,
		stateless:   !about.KeepsState,
		determinate: !about.IsRandom,
		extra:       abi.Of(extra),
	})
}

//go:wasmexport petrel:plugin/processor@0.1.0#configure
func configure(
	config unsafe.Pointer, configLen uint32,
	_ uint64, _, _, _ uint32, stateBytes, windowBytes uint64,
	hasState uint32, state unsafe.Pointer, stateLen uint32,
) unsafe.Pointer {
	defer abi.Done()()
	given := given{stateBytes: stateBytes, windowBytes: windowBytes}
	if hasState != 0 {
		given.state = append([]byte{}, unsafe.Slice((*byte)(state), stateLen)...)
	}
	plan, err := exported.configured(unsafe.Slice((*byte)(config), configLen), given)
	if err != nil {
		return abi.Failed(configurationError, err)
	}
	selectors := make([]rawSelector, len(plan.selectors))
	for i, s := range plan.selectors {
		selectors[i] = rawSelector{uint8(s.table), uint16(s.field), abi.Text(s.key), uint32(s.kinds), s.access}
	}
	return abi.Kept(&abi.Result[rawPlan]{Value: rawPlan{
		signals:   uint8(plan.signals),
		selectors: abi.Of(selectors),
		wantDict:  !plan.blind,
		tickMs:    plan.tickMs,
	}})
}

//go:wasmexport petrel:plugin/processor@0.1.0#process
func process(
	signal uint32, _ uint64, nowNs, seed uint64,
	tables unsafe.Pointer, tableCount uint32,
	ends unsafe.Pointer, endCount uint32, bytes unsafe.Pointer, byteCount uint32,
	columns unsafe.Pointer, columnCount uint32,
) unsafe.Pointer {
	defer abi.Done()()
	batch := &Batch{
		Signal: Signals(signal),
		NowNs:  nowNs,
		Seed:   seed,
		ends:   unsafe.Slice((*uint32)(ends), endCount),
		bytes:  unsafe.Slice((*byte)(bytes), byteCount),
	}
	for _, t := range unsafe.Slice((*rawTable)(tables), tableCount) {
		batch.tables = append(batch.tables, tableRows{Table(t.table), t.rows, abi.Slice[uint32](t.parent)})
	}
	batch.columns = make([]column, columnCount)
	for i, c := range unsafe.Slice((*rawColumn)(columns), columnCount) {
		batch.columns[i] = column{
			slot:    Slot(c.slot),
			key:     Code(c.key),
			kind:    Kind(c.kind),
			rows:    abi.Slice[uint32](c.rows),
			codes:   abi.Slice[Code](c.codes),
			words:   abi.Slice[uint64](c.words),
			kinds:   abi.Slice[Kind](c.kinds),
			present: abi.Slice[uint64](c.present),
		}
	}
	return answer(exported.process(batch))
}

func answer(e *Edits, err error) unsafe.Pointer {
	if err != nil {
		return abi.Failed(internalError, err)
	}
	return abi.Kept(&abi.Result[rawEdits]{Value: rawEdits{
		verdicts:   abi.Of(e.verdicts),
		addedEnds:  abi.Of(e.ends),
		addedBytes: abi.Of(e.bytes),
		dictSlot:   abi.Of(e.dictSlot),
		dictFrom:   abi.Of(e.dictFrom),
		dictTo:     abi.Of(e.dictTo),
		cellSlot:   abi.Of(e.cellSlot),
		cellKey:    abi.Of(e.cellKey),
		cellRow:    abi.Of(e.cellRow),
		cellKind:   abi.Of(e.cellKind),
		cellWord:   abi.Of(e.cellWord),

		decided:        abi.Of(e.decided),
		decidedVerdict: abi.Of(e.decidedVerdict),
	}})
}

//go:wasmexport petrel:plugin/processor@0.1.0#tick
func tick(nowNs uint64) unsafe.Pointer {
	defer abi.Done()()
	return answer(exported.tick(nowNs))
}

//go:wasmexport petrel:plugin/processor@0.1.0#flush
func flush(uint32) unsafe.Pointer {
	defer abi.Done()()
	return answer(exported.flush())
}

//go:wasmexport petrel:plugin/processor@0.1.0#save
func save() unsafe.Pointer {
	defer abi.Done()()
	state := abi.Of(exported.save())
	return abi.Kept(&state)
}
