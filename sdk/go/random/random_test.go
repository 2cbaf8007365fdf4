package random

import (
	"bytes"
	"testing"
)

func TestBytesAreAsManyAsWereAskedForAndNeverTheSame(t *testing.T) {
	one, other := Bytes(16), Bytes(16)
	if len(one) != 16 || bytes.Equal(one, other) || len(Bytes(0)) != 0 {
		t.Fatal(one, other)
	}
}
