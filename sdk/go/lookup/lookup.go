// Package lookup is read-only tables that the operator mounts: CSV, ranges of addresses, metadata of Kubernetes.
package lookup

import petrel "github.com/petrel-telemetry/petrel/sdk/go"

// None is the answer to what has no row.
const None petrel.Code = 0xffffffff

// Table is one of the operator's.
type Table struct{ number uint32 }

// Open finds a table by the name that the operator gave it; false if there is none.
func Open(name string) (Table, bool) {
	number, ok := open(name)
	return Table{number}, ok
}

// Join looks up each of a batch's strings and answers with the value in a column of its row, or None: codes for
// petrel.OfCode, Edits.Replace and labels. Their text stays with the host. Only in Process.
func (t Table) Join(codes []petrel.Code, column string) []petrel.Code {
	if len(codes) == 0 {
		return nil
	}
	return joinDict(t.number, codes, column)
}
