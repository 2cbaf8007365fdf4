package petrel

import (
	"math"
	"time"
)

// Slot is a selector's number: the way to what it selected.
type Slot uint16

// Everything is the slot of all that the plugin selected.
const Everything Slot = 0xffff

// May says what is wanted of a selection beyond reading strings.
type May func(*selector)

// Write lets values be replaced.
func Write(s *selector) { s.access |= 2 }

// Create lets values be added where there are none; for one exact key or a field.
func Create(s *selector) { s.access |= 4 }

// Delete lets values be removed.
func Delete(s *selector) { s.access |= 8 }

// Seeing selects values of these kinds instead of strings only.
func Seeing(kinds Kinds) May { return func(s *selector) { s.kinds = kinds } }

type selector struct {
	table  Table
	field  Field
	key    string
	kinds  Kinds
	access uint8
}

// Plan is what a plugin asks for when it is configured.
type Plan struct {
	signals   Signals
	selectors []selector
	blind     bool
	tickMs    uint32

	stateBytes, windowBytes uint64
}

// Attributes selects attributes by key: exact, prefix*, *suffix, *part* or *; alternatives with |.
func (p *Plan) Attributes(table Table, key string, may ...May) Slot {
	return p.choose(selector{table: table, key: key, kinds: 1 << String}, may)
}

// Field selects a built-in field.
func (p *Plan) Field(table Table, field Field, may ...May) Slot {
	return p.choose(selector{table: table, field: field, kinds: AnyKind}, may)
}

func (p *Plan) choose(s selector, may []May) Slot {
	for _, also := range may {
		also(&s)
	}
	if s.kinds != Unseen {
		s.access |= 1
	}
	p.selectors = append(p.selectors, s)
	return Slot(len(p.selectors) - 1)
}

// Signals narrows the plugin to these signals, where its configuration says so.
func (p *Plan) Signals(signals Signals) { p.signals = signals }

// WithoutStrings asks for codes only, for plugins that leave the looking to kernels: no telemetry
// enters the plugin.
func (p *Plan) WithoutStrings() { p.blind = true }

// TickEvery has the plugin called so often, if it is a Ticker; a tenth of a second is the least.
func (p *Plan) TickEvery(every time.Duration) {
	p.tickMs = uint32(min(max(every.Milliseconds(), 0), math.MaxUint32))
}

// StateBytes is the most that a Saver may give.
func (p *Plan) StateBytes() uint64 { return p.stateBytes }

// WindowBytes is the encoded size of the spans that the host holds for the plugin.
func (p *Plan) WindowBytes() uint64 { return p.windowBytes }
