// {{name}} writes the values of chosen attributes in capital letters.
package main

import (
	"errors"
	"strings"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
)

// Config is what an operator writes under `config:`.
type Config struct {
	// Keys of attributes: exact, or with * at either end.
	Keys []string `json:"keys"`
}

type shout struct {
	said petrel.Slot
}

func configure(config Config, plan *petrel.Plan) (petrel.Processor, error) {
	if len(config.Keys) == 0 {
		return nil, errors.New("config.keys is empty; name an attribute")
	}
	keys := strings.Join(config.Keys, "|")
	return &shout{said: plan.Attributes(petrel.Record, keys, petrel.Write)}, nil
}

func (s *shout) Process(batch *petrel.Batch, edits *petrel.Edits) error {
	edits.MapText(batch, s.said, func(text string) (string, bool) {
		return strings.ToUpper(text), true
	})
	return nil
}

func init() {
	petrel.Export(petrel.About{Name: "{{name}}", Version: "0.1.0"}, configure)
}

func main() {}
