package ledger

import (
	"encoding/binary"
	"testing"
)

// TestTrim: rows that Pebble does not have as they are stay in memory, however many there
// are, and the others only as long as there is room.
func TestTrim(t *testing.T) {
	t.Parallel()
	b := books{rows: make(map[AccountID]*tallyRow)}
	unsaved := 0
	for i := range maxRows + 1 {
		if i == maxRows {
			b.trim()
			if len(b.rows) != maxRows {
				t.Fatalf("%d of %d rows are left, which there is room for", len(b.rows), maxRows)
			}
		}
		r := &tallyRow{unsaved: i%3 == 0}
		binary.BigEndian.PutUint32(r.account[:], uint32(i))
		if r.unsaved {
			unsaved++
		}
		b.rows[r.account] = r
	}
	b.trim()
	if len(b.rows) != unsaved {
		t.Errorf("%d rows are left, want the %d that are not saved", len(b.rows), unsaved)
	}
	for id, r := range b.rows {
		if !r.unsaved {
			t.Fatalf("row %v is left, which is saved", id)
		}
	}
}
