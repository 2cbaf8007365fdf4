package main

import (
	"strings"
	"testing"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
)

// What needs no host. `petrel plugin test` runs cases/ in it.
func TestAConfigurationWithoutKeysIsRefusedWithWhatToDo(t *testing.T) {
	_, err := configure(Config{}, &petrel.Plan{})
	if err == nil || !strings.Contains(err.Error(), "name an attribute") {
		t.Fatal(err)
	}
}
