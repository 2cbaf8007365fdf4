package petrel

import "math"

// Edits is what a processor answers: sparse, applied by the host in one order - dictionary edits, cell
// edits, verdicts. Of edits of one kind the later wins.
type Edits struct {
	codes    map[string]Code
	ends     []uint32
	bytes    []byte
	dictSlot []uint16
	dictFrom []uint32
	dictTo   []uint32
	cellSlot []uint16
	cellKey  []uint32
	cellRow  []uint32
	cellKind []uint8
	cellWord []uint64
	verdicts []uint8

	decided        []uint64
	decidedVerdict []uint8
}

// Value is what a cell can be given: OfString, OfInt and so on make one.
type Value struct {
	kind Kind
	word uint64
	text string
	// isCode: word is the code of a string that there is already.
	isCode bool
}

// OfString makes a string.
func OfString(text string) Value { return Value{kind: String, text: text} }

// OfCode makes the string that the batch, a kernel or Edits.Text has already.
func OfCode(code Code) Value { return Value{kind: String, word: uint64(code), isCode: true} }

// OfBytes makes bytes.
func OfBytes(bytes []byte) Value { return Value{kind: Bytes, text: string(bytes)} }

// OfJSON makes an array or a map of JSON text.
func OfJSON(text string) Value { return Value{kind: JSON, text: text} }

// OfInt makes a whole number.
func OfInt(number int64) Value { return Value{kind: Int, word: uint64(number)} }

// OfDouble makes a floating-point number.
func OfDouble(number float64) Value { return Value{kind: Double, word: math.Float64bits(number)} }

// OfBool makes a truth value.
func OfBool(truth bool) Value {
	if truth {
		return Value{kind: Bool, word: 1}
	}
	return Value{kind: Bool}
}

// Text adds a string, once, for use in any number of edits.
func (e *Edits) Text(text string) Code {
	if code, ok := e.codes[text]; ok {
		return code
	}
	if e.codes == nil {
		e.codes = map[string]Code{}
	}
	e.bytes = append(e.bytes, text...)
	e.ends = append(e.ends, uint32(len(e.bytes)))
	code := Code(added + len(e.ends) - 1)
	e.codes[text] = code
	return code
}

// Replace puts the string to wherever from stands in the columns of slot.
func (e *Edits) Replace(slot Slot, from, to Code) {
	e.dictSlot = append(e.dictSlot, uint16(slot))
	e.dictFrom = append(e.dictFrom, uint32(from))
	e.dictTo = append(e.dictTo, uint32(to))
}

// ReplaceAll makes every value of slot, of whatever kind, this text.
func (e *Edits) ReplaceAll(slot Slot, text string) { e.Replace(slot, whatever, e.Text(text)) }

// RemoveAll removes every value of slot.
func (e *Edits) RemoveAll(slot Slot) { e.Replace(slot, whatever, none) }

// MapText calls change once for each distinct string of slot. What it returns with true stands
// wherever that string stood.
func (e *Edits) MapText(b *Batch, slot Slot, change func(text string) (string, bool)) {
	for _, code := range b.Codes(slot) {
		text := b.Text(code)
		if changed, ok := change(text); ok && changed != text {
			e.Replace(slot, code, e.Text(changed))
		}
	}
}

// Set gives the cell another value.
func (e *Edits) Set(cell Cell, value Value) { e.push(cell.Slot, cell.Key, cell.Row, value) }

// Remove takes the cell away; of an attribute, its key as well.
func (e *Edits) Remove(cell Cell) { e.push(cell.Slot, cell.Key, cell.Row, Value{kind: Null}) }

// Put is Set also where the row has no value yet, for a selector of one exact key or of a field.
func (e *Edits) Put(b *Batch, slot Slot, row uint32, value Value) {
	key := Code(none)
	if cell, ok := b.Get(slot, row); ok {
		key = cell.Key
	}
	e.push(slot, key, row, value)
}

func (e *Edits) push(slot Slot, key Code, row uint32, value Value) {
	switch value.kind {
	case String, Bytes, JSON:
		if !value.isCode {
			value.word = uint64(e.Text(value.text))
		}
	}
	e.cellSlot = append(e.cellSlot, uint16(slot))
	e.cellKey = append(e.cellKey, uint32(key))
	e.cellRow = append(e.cellRow, row)
	e.cellKind = append(e.cellKind, uint8(value.kind))
	e.cellWord = append(e.cellWord, value.word)
}

// DropRecord drops the span, log record or data point.
func (e *Edits) DropRecord(b *Batch, row uint32) { e.verdict(b, row, drop) }

func (e *Edits) verdict(b *Batch, row uint32, given uint8) {
	if e.verdicts == nil {
		e.verdicts = make([]uint8, b.Rows(Record))
	}
	e.verdicts[row] = given
}
