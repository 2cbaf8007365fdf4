// Package accel is the host's kernels over the strings of a batch, at native speed: look with them, decide
// with code. They are in the host only: a native test that needs them is a case for `petrel plugin test`.
package accel

import petrel "github.com/petrel-telemetry/petrel/sdk/go"

const nothing = 0xffffffff

// Patterns are compiled regular expressions.
type Patterns struct{ number uint32 }

// Keys are rules for keys inside JSON.
type Keys struct{ number uint32 }

// NewPatterns compiles regular expressions in the syntax of Rust's crate regex; only in configure.
func NewPatterns(patterns ...string) (*Patterns, error) {
	number, err := regexSet(patterns)
	return &Patterns{number}, err
}

// NewKeys makes rules for keys inside JSON, spelled as in Plan.Attributes; only in configure.
func NewKeys(rule string) (*Keys, error) {
	number, err := keySet(rule)
	return &Keys{number}, err
}

// Matches says which strings of slot match.
func (p *Patterns) Matches(slot petrel.Slot) func(petrel.Code) bool {
	bits := matchDict(p.number, uint16(slot))
	return func(code petrel.Code) bool {
		word := int(code / 64)
		return word < len(bits) && bits[word]>>(code%64)&1 == 1
	}
}

// Redact replaces what patterns match and what keys cover, inside JSON too; either may be nil.
func Redact(edits *petrel.Edits, patterns *Patterns, keys *Keys, slot petrel.Slot, replacement string) {
	set, rules := uint32(nothing), uint32(nothing)
	if patterns != nil {
		set = patterns.number
	}
	if keys != nil {
		rules = keys.number
	}
	from, to := redactDict(set, rules, uint16(slot), replacement)
	for i := range from {
		edits.Replace(slot, from[i], to[i])
	}
}

// Hash is a 64-bit hash of each string.
func Hash(codes []petrel.Code, seed uint64) []uint64 { return hashDict(codes, seed) }
