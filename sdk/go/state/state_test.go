package state

import (
	"reflect"
	"testing"
	"time"
)

func TestWhatWasPutIsThereUntilItIsDeleted(t *testing.T) {
	PutMany([]Entry{{"a", []byte("1")}, {"b", nil}}, time.Hour)
	Put("c", []byte("3"), Forever)
	got := GetMany([]string{"c", "none", "b", "a"})
	want := [][]byte{[]byte("3"), nil, {}, []byte("1")}
	if !reflect.DeepEqual(got, want) {
		t.Fatal(got)
	}
	Delete("a", "b")
	if Get("a") != nil || Get("b") != nil || string(Get("c")) != "3" {
		t.Fatal("not what was deleted")
	}
	if GetMany(nil) != nil {
		t.Fatal("something for nothing")
	}
}

func TestATimeToLiveIsRoundedUpAndNeverBecomesForEver(t *testing.T) {
	for ttl, want := range map[time.Duration]uint32{
		Forever: 0, 1: 1, time.Second: 1, 1500 * time.Millisecond: 2, 1 << 62: 1<<32 - 1,
	} {
		if got := seconds(ttl); got != want {
			t.Fatal(ttl, got)
		}
	}
	defer func() {
		if recover() == nil {
			t.Fatal("less than nothing was taken")
		}
	}()
	Put("a", nil, -1)
}
