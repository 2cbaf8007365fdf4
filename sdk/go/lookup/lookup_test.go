package lookup

import (
	"slices"
	"testing"

	petrel "github.com/petrel-telemetry/petrel/sdk/go"
)

func TestWhereNothingIsMountedNothingIsFound(t *testing.T) {
	table, ok := Open("owners")
	if ok || !slices.Equal(table.Join([]petrel.Code{1, 2}, "team"), []petrel.Code{None, None}) {
		t.Fatal(table, ok)
	}
	if table.Join(nil, "team") != nil {
		t.Fatal("something for nothing")
	}
}
