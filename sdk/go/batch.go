package petrel

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Code stands for a string of the batch, or for one that an edit added.
type Code uint32

// Batch is a batch as a plugin sees it: views of the host's answer, without copies. Strings may be kept
// after the call.
type Batch struct {
	// Signal is the one signal of all records.
	Signal Signals
	// NowNs is the wall clock in nanoseconds since 1970. time.Now is not: plugins have no clock.
	NowNs uint64
	// Seed is fresh for each batch.
	Seed    uint64
	tables  []tableRows
	ends    []uint32
	bytes   []byte
	columns []column
	plan    *Plan
}

type tableRows struct {
	table  Table
	rows   uint32
	parent []uint32
}

type column struct {
	slot    Slot
	key     Code
	kind    Kind
	rows    []uint32
	codes   []Code
	words   []uint64
	kinds   []Kind
	present []uint64
}

// Cell is one value.
type Cell struct {
	Slot Slot
	// Key is the attribute's key; none for a built-in field.
	Key   Code
	Row   uint32
	Kind  Kind
	code  Code
	words [2]uint64
}

// Rows of a table.
func (b *Batch) Rows(table Table) uint32 {
	if rows := b.table(table); rows != nil {
		return rows.rows
	}
	return 0
}

func (b *Batch) table(table Table) *tableRows {
	for i := range b.tables {
		if b.tables[i].table == table {
			return &b.tables[i]
		}
	}
	return nil
}

// Parent is the row above: of a record its scope (of a data point its metric), of a scope its resource.
func (b *Batch) Parent(table Table, row uint32) (uint32, bool) {
	rows := b.table(table)
	if rows == nil || int(row) >= len(rows.parent) {
		return 0, false
	}
	return rows.parent[row], true
}

// ResourceOf a record.
func (b *Batch) ResourceOf(record uint32) (uint32, bool) {
	above, ok := b.Parent(Record, record)
	if ok && b.Signal == Metrics {
		above, ok = b.Parent(Metric, above)
	}
	if !ok {
		return 0, false
	}
	return b.Parent(Scope, above)
}

// Text is the string with this code; senders are not to be trusted to send UTF-8.
func (b *Batch) Text(code Code) string {
	start := uint32(0)
	if code > 0 {
		start = b.ends[code-1]
	}
	end := b.ends[code]
	if start == end {
		return ""
	}
	return unsafe.String(&b.bytes[start], int(end-start))
}

// Cells calls yield with every value of a selector, until it returns false: for range batch.Cells(slot).
func (b *Batch) Cells(slot Slot) func(yield func(Cell) bool) {
	return func(yield func(Cell) bool) {
		for i := range b.columns {
			c := &b.columns[i]
			if c.slot == slot && !c.each(b, yield) {
				return
			}
		}
	}
}

func (c *column) each(b *Batch, yield func(Cell) bool) bool {
	count := len(c.rows)
	if count == 0 {
		count = int(b.Rows(b.plan.selectors[c.slot].table))
	}
	for i := 0; i < count; i++ {
		row := uint32(i)
		if len(c.rows) > 0 {
			row = c.rows[i]
		} else if len(c.present) > 0 && c.present[i/64]>>(i%64)&1 == 0 {
			continue
		}
		cell := Cell{Slot: c.slot, Key: c.key, Row: row, Kind: c.kind}
		switch c.kind {
		case mixed:
			cell.Kind = c.kinds[i]
			cell.words[0] = c.words[i]
			cell.code = Code(c.words[i])
		case String, Bytes, JSON:
			cell.code = c.codes[i]
			if cell.code == none {
				continue
			}
		case ID16:
			cell.words = [2]uint64{c.words[2*i], c.words[2*i+1]}
		case Null:
		default:
			cell.words[0] = c.words[i]
		}
		if !yield(cell) {
			return false
		}
	}
	return true
}

// Get is the first value that a row has for a selector.
func (b *Batch) Get(slot Slot, row uint32) (Cell, bool) {
	for cell := range b.Cells(slot) {
		if cell.Row == row {
			return cell, true
		}
	}
	return Cell{}, false
}

// PerRecord calls yield with each record that has a value for a selector, and the first one that it has:
// for record, cell := range batch.PerRecord(slot). What a resource, a scope or a metric has, all of its
// records have.
func (b *Batch) PerRecord(slot Slot) func(yield func(record uint32, cell Cell) bool) {
	table := b.plan.selectors[slot].table
	if table == Event || table == Link || table == Exemplar {
		panic("of events, links and exemplars a record may have many; range over Cells")
	}
	return func(yield func(uint32, Cell) bool) {
		// Where in cells a row's value is, counted from one.
		places := make([]uint32, b.Rows(table))
		var cells []Cell
		for cell := range b.Cells(slot) {
			if places[cell.Row] == 0 {
				cells = append(cells, cell)
				places[cell.Row] = uint32(len(cells))
			}
		}
		for record := range b.Rows(Record) {
			row, ok := b.above(table, record)
			if ok && places[row] > 0 && !yield(record, cells[places[row]-1]) {
				return
			}
		}
	}
}

// above is the row of table that a record belongs to.
func (b *Batch) above(table Table, record uint32) (uint32, bool) {
	switch table {
	case Record:
		return record, true
	case Resource:
		return b.ResourceOf(record)
	}
	row, ok := b.Parent(Record, record)
	if ok && table == Scope && b.Signal == Metrics {
		row, ok = b.Parent(Metric, row)
	}
	return row, ok
}

// Numbers are the numbers of a selector, one for each record; NaN where a record has none.
func (b *Batch) Numbers(slot Slot) []float64 {
	numbers := make([]float64, b.Rows(Record))
	for record := range numbers {
		numbers[record] = math.NaN()
	}
	for record, cell := range b.PerRecord(slot) {
		switch cell.Kind {
		case Int:
			numbers[record] = float64(cell.Int())
		case Uint, Timestamp:
			numbers[record] = float64(cell.Uint())
		case Double:
			numbers[record] = cell.Double()
		}
	}
	return numbers
}

// Codes are the distinct strings of a selector.
func (b *Batch) Codes(slot Slot) []Code {
	seen := make([]uint64, len(b.ends)/64+1)
	var codes []Code
	add := func(code Code) {
		if code != none && seen[code/64]>>(code%64)&1 == 0 {
			seen[code/64] |= 1 << (code % 64)
			codes = append(codes, code)
		}
	}
	for i := range b.columns {
		c := &b.columns[i]
		if c.slot != slot {
			continue
		}
		if c.kind == String {
			for _, code := range c.codes {
				add(code)
			}
		}
		for i, kind := range c.kinds {
			if kind == String {
				add(Code(c.words[i]))
			}
		}
	}
	return codes
}

// Code of a string, bytes or JSON.
func (c Cell) Code() Code { return c.code }

// Text of a string or JSON, or bytes as they are.
func (c Cell) Text(b *Batch) string { return b.Text(c.code) }

// Int is a signed whole number.
func (c Cell) Int() int64 { return int64(c.words[0]) }

// Uint is an unsigned whole number, or a time in nanoseconds since 1970.
func (c Cell) Uint() uint64 { return c.words[0] }

// Double is a floating-point number.
func (c Cell) Double() float64 { return math.Float64frombits(c.words[0]) }

// Bool is a truth value.
func (c Cell) Bool() bool { return c.words[0] != 0 }

// ID is a trace id (16 bytes) or a span id (the first 8 bytes).
func (c Cell) ID() [16]byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], c.words[0])
	binary.BigEndian.PutUint64(id[8:], c.words[1])
	return id
}
