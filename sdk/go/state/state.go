// Package state is what a plugin keeps across restarts: a small map of its own, best effort and no
// database.
//
// Only in Process. Keys and values together may have 1 MiB, a key 1 KiB; what was written longest ago
// makes room for what comes. Writes count when the batch was accepted, so a batch that is sent again
// meets what it met the first time. The host writes them down every few seconds and when it stops: what
// came after the last time does not survive a crash. Every call crosses over to the host, so ask for
// many keys at once.
package state

import (
	"fmt"
	"time"
)

// Forever is the time to live of what is never over.
const Forever time.Duration = 0

// Entry is a key and its value.
type Entry struct {
	Key   string
	Value []byte
}

// Get is the value of one key; nil if there is none.
func Get(key string) []byte { return GetMany([]string{key})[0] }

// GetMany are the values of keys, in their order; nil where there is none.
func GetMany(keys []string) [][]byte {
	if len(keys) == 0 {
		return nil
	}
	return getMany(packed(len(keys), func(i int) string { return keys[i] }))
}

// Put puts one value under a key. After ttl, which is counted in whole seconds, it is over.
func Put(key string, value []byte, ttl time.Duration) { PutMany([]Entry{{key, value}}, ttl) }

// PutMany puts values under their keys, as Put does.
func PutMany(entries []Entry, ttl time.Duration) {
	if ttl < 0 {
		panic(fmt.Sprintf("a time to live of %v; state.Forever is for what is never over", ttl))
	}
	if len(entries) == 0 {
		return
	}
	keys := packed(len(entries), func(i int) string { return entries[i].Key })
	values := packed(len(entries), func(i int) []byte { return entries[i].Value })
	putMany(keys, values, seconds(ttl))
}

// Delete removes what is under these keys.
func Delete(keys ...string) {
	if len(keys) > 0 {
		deleteMany(packed(len(keys), func(i int) string { return keys[i] }))
	}
}

// seconds are rounded up: nothing that is over becomes something for ever.
func seconds(ttl time.Duration) uint32 {
	return uint32(min((ttl+time.Second-1)/time.Second, 1<<32-1))
}

// blob is strings or bytes back to back.
type blob struct {
	ends  []uint32
	bytes []byte
}

func packed[T string | []byte](count int, part func(int) T) blob {
	b := blob{ends: make([]uint32, count)}
	for i := range b.ends {
		b.bytes = append(b.bytes, part(i)...)
		b.ends[i] = uint32(len(b.bytes))
	}
	return b
}
