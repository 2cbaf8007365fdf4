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
}

// Export makes this program the plugin `about`. `configure` gets what an operator writes under
// `config:`, selects what to see and change, and returns what is ready for batches.
func Export[Config any](about About, configure func(config Config, plan *Plan) (Processor, error)) {
	if about.Signals == 0 {
		about.Signals = All
	}
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

func (p *plugin) configured(config []byte) (*Plan, error) {
	if p.configure == nil {
		return nil, fmt.Errorf("the plugin's init does not call petrel.Export")
	}
	plan := &Plan{signals: p.about.Signals}
	processor, err := guarded(func() (Processor, error) { return p.configure(config, plan) })
	if err != nil {
		return nil, err
	}
	p.processor, p.plan = processor, plan
	return plan, nil
}

func (p *plugin) process(batch *Batch) (*Edits, error) {
	batch.plan = p.plan
	return guarded(func() (*Edits, error) {
		edits := &Edits{}
		return edits, p.processor.Process(batch, edits)
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
