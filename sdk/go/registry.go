package petrel

// The numbers of wit/README.md by name.

// Table is a level of telemetry.
type Table uint8

// Tables.
const (
	Resource Table = iota
	Scope
	// Record is a span, a log record or a data point.
	Record
	Event
	Link
	Exemplar
	Metric
)

// Field is a built-in field of a table.
type Field uint16

// Fields.
const (
	Name              Field = 1
	Body              Field = 2
	SeverityNumber    Field = 3
	SeverityText      Field = 4
	Time              Field = 5
	ObservedTime      Field = 6
	Duration          Field = 7
	SpanKind          Field = 8
	StatusCode        Field = 9
	StatusMessage     Field = 10
	TraceID           Field = 11
	SpanID            Field = 12
	ParentID          Field = 13
	TraceFlags        Field = 14
	TraceState        Field = 15
	MetricName        Field = 20
	Unit              Field = 21
	MetricDescription Field = 43
	ScopeVersion      Field = 44
)

// Signals is a set of signals.
type Signals uint8

// Signals, and all of them.
const (
	Traces  Signals = 1
	Logs    Signals = 2
	Metrics Signals = 4
	All     Signals = 7
)

// Kind is the kind of a value.
type Kind uint8

// Kinds.
const (
	Null Kind = iota
	String
	Bytes
	Bool
	Int
	Double
	Uint
	// Timestamp is nanoseconds since 1970.
	Timestamp
	ID16
	ID8
	// JSON is an array or a map, as JSON text.
	JSON
	mixed Kind = 255
)

// Kinds is a set of kinds.
type Kinds uint32

// Unseen selects where values are, never what they are; AnyKind all values an attribute can have.
const (
	Unseen  Kinds = 0
	AnyKind Kinds = 1<<String | 1<<Bytes | 1<<Bool | 1<<Int | 1<<Double | 1<<JSON
)

// Of is the set of these kinds.
func Of(kinds ...Kind) Kinds {
	var set Kinds
	for _, kind := range kinds {
		set |= 1 << kind
	}
	return set
}

const (
	// none is no value; as the target of an edit: delete.
	none = 0xffffffff
	// whatever is there, as the source of an edit.
	whatever = 0xfffffffe
	// added is the code of the first string that an edit adds.
	added = 0x80000000
)

// Verdicts on records, and on traces.
const (
	keep    = 0
	drop    = 1
	hold    = 2
	sampled = 4
)
