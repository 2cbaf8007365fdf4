// Package petrel is what a Petrel processor in Go is written with.
//
// A plugin is a package main whose init calls Export. Built by `petrel plugin build` it is a
// WebAssembly component; built natively it is a program that does nothing, so that `go test` and
// `go vet` work as ever.
package petrel

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Processor is what is ready for batches, once configured.
type Processor interface {
	// Process answers a batch with edits. An error is for the operator: never put telemetry into it.
	Process(batch *Batch, edits *Edits) error
}

// What a Processor may have beside Process. A line like `var _ petrel.Ticker = (*mine)(nil)` has the
// compiler look whether it does.
type (
	// Ticker is called as often as Plan.TickEvery says, whether or not batches come. Of its answer, as
	// of Flush's, only decisions about traces are heard.
	Ticker interface {
		Tick(nowNs uint64, edits *Edits) error
	}
	// Flusher is called before another version takes over, and before the host stops.
	Flusher interface {
		Flush(edits *Edits) error
	}
	// Saver gives what the instance after this one has to know, at most Plan.StateBytes. Nothing says
	// that it begins anew; spans that are held are then shown to it again.
	Saver interface {
		Save() []byte
	}
	// Restorer gets what an instance before this one saved, perhaps of another version. It is called
	// after configure, and only if there is something.
	Restorer interface {
		Restore(state []byte)
	}
)

// About is what a plugin says of itself.
type About struct {
	Name, Version string
	// Signals that it can ever handle; all of them if left out.
	Signals Signals
	// Schema of its configuration, JSON Schema 2020-12.
	Schema string
	// FailsClosed: losing it must stop the data, as with redaction.
	FailsClosed bool
	// KeepsState: it remembers something from batch to batch, and there shall be one instance.
	KeepsState bool
	// IsRandom: the same batch may be answered in different ways.
	IsRandom bool
	// HoldsTraces: it may hold spans until it has decided about their traces (Edits.Hold). So it keeps
	// state, and has to be the last one of a chain.
	HoldsTraces bool
}

// Export makes this program the plugin `about`. `configure` gets what an operator writes under
// `config:`, selects what to see and change, and returns what is ready for batches.
func Export[Config any](about About, configure func(config Config, plan *Plan) (Processor, error)) {
	if about.Signals == 0 {
		about.Signals = All
	}
	about.KeepsState = about.KeepsState || about.HoldsTraces
	exported = plugin{about: about, configure: func(text []byte, plan *Plan) (Processor, error) {
		var config Config
		if text = bytes.TrimSpace(text); len(text) > 0 {
			reader := json.NewDecoder(bytes.NewReader(text))
			reader.DisallowUnknownFields()
			if err := reader.Decode(&config); err != nil {
				return nil, fmt.Errorf("config: %w", err)
			}
		}
		return configure(config, plan)
	}}
}

type plugin struct {
	about     About
	configure func(config []byte, plan *Plan) (Processor, error)
	processor Processor
	plan      *Plan
}

// exported is the plugin of this program.
var exported plugin

// given is what the host tells a new instance beside its configuration.
type given struct {
	stateBytes, windowBytes uint64
	// Of the instance before it; nil = none.
	state []byte
}

func (p *plugin) configured(config []byte, given given) (*Plan, error) {
	if p.configure == nil {
		return nil, fmt.Errorf("the plugin's init does not call petrel.Export")
	}
	plan := &Plan{signals: p.about.Signals, stateBytes: given.stateBytes, windowBytes: given.windowBytes}
	processor, err := guarded(func() (Processor, error) {
		processor, err := p.configure(config, plan)
		if restorer, ok := processor.(Restorer); ok && err == nil && given.state != nil {
			restorer.Restore(given.state)
		}
		return processor, err
	})
	if err != nil {
		return nil, err
	}
	p.processor, p.plan = processor, plan
	return plan, nil
}

func (p *plugin) process(batch *Batch) (*Edits, error) {
	batch.plan = p.plan
	return asked(func(edits *Edits) error { return p.processor.Process(batch, edits) })
}

func (p *plugin) tick(nowNs uint64) (*Edits, error) {
	return asked(func(edits *Edits) error {
		if ticker, ok := p.processor.(Ticker); ok {
			return ticker.Tick(nowNs, edits)
		}
		return nil
	})
}

func (p *plugin) flush() (*Edits, error) {
	return asked(func(edits *Edits) error {
		if flusher, ok := p.processor.(Flusher); ok {
			return flusher.Flush(edits)
		}
		return nil
	})
}

func (p *plugin) save() []byte {
	if saver, ok := p.processor.(Saver); ok {
		return saver.Save()
	}
	return nil
}

func asked(ask func(edits *Edits) error) (*Edits, error) {
	return guarded(func() (*Edits, error) {
		edits := &Edits{}
		return edits, ask(edits)
	})
}

// guarded makes an error of a panic, whose words would otherwise go nowhere.
func guarded[T any](run func() (T, error)) (out T, err error) {
	defer func() {
		if words := recover(); words != nil {
			err = fmt.Errorf("panic: %v", words)
		}
	}()
	return run()
}
