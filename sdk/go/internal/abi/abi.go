//go:build wasip1

// Package abi is the part of the component model's canonical ABI that the contract needs: lists and
// results in linear memory, and the memory that the host writes into.
//
// Addresses have 32 bits there, pointers in Go have 64. The collector does not move what it manages, so an
// address stays good as long as something in Go keeps the object: `held` does, during a call and for
// its answer.
package abi

import "unsafe"

// List is where a list or a string is. Its address is never looked at if it is empty.
type List struct{ address, length uint32 }

// Result is `result<T, error>`, when it is T.
type Result[T any] struct {
	failed bool
	Value  T
}

type failure struct {
	failed    bool
	code      uint32
	message   List
	retryable bool
}

// What belongs to the call that is on, and to the answer of the last one.
var held, answers []unsafe.Pointer

//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, _, size uint32) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	// Whole words: the largest alignment there is.
	at := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	held = append(held, at)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(at), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return at
}

// Done begins a call; what it returns ends it: the arguments may go, the answer stays until the next
// answer.
func Done() func() {
	clear(answers)
	answers = answers[:0]
	return func() {
		clear(held)
		held = held[:0]
	}
}

// Kept is the address of a part of the answer.
func Kept[T any](part *T) unsafe.Pointer {
	answers = append(answers, unsafe.Pointer(part))
	return unsafe.Pointer(part)
}

// Of is a list as a part of the answer.
func Of[T any](items []T) List {
	if len(items) == 0 {
		return List{}
	}
	return List{uint32(uintptr(Kept(unsafe.SliceData(items)))), uint32(len(items))}
}

// Text is a string as a part of the answer.
func Text(text string) List {
	return Of(unsafe.Slice(unsafe.StringData(text), len(text)))
}

// Failed is the answer with an error.
func Failed(code uint32, err error) unsafe.Pointer {
	return Kept(&failure{failed: true, code: code, message: Text(err.Error())})
}

// Slice is a list that the host wrote.
func Slice[T any](list List) []T {
	if list.length == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(nil), list.address)), list.length)
}

// Passed is a list as an argument: its address and its length.
func Passed[T any](items []T) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(items)), uint32(len(items))
}
