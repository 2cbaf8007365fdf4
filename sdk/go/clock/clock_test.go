package clock

import "testing"

func TestTimeGoesOn(t *testing.T) {
	first := MonotonicNs()
	for MonotonicNs() == first {
	}
	// Later than 2020.
	if WallNs() < 1_577_836_800_000_000_000 {
		t.Fatal(WallNs())
	}
}
