package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
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

// TestTrimMeanwhile: a tally that was loaded, grew and was dropped again between the look
// at the balance and the debit is a change, though it is as little in memory as before.
func TestTrimMeanwhile(t *testing.T) {
	t.Parallel()
	for _, indexBytes := range []int64{0, 1 << 20} {
		t.Run(fmt.Sprintf("index=%d", indexBytes), func(t *testing.T) {
			t.Parallel()
			o := testOptions(vfs.NewMem())
			o.IndexBytes = indexBytes
			l := open(t, "ledger", o)
			acc := addAccount(t, l, 10)
			fps := withdraw(t, l, acc, 10)
			mustRedeem(t, l, acc, fps, core.Digest{1}, core.StatusOK)
			closeLedger(t, l)
			l = open(t, "ledger", o) // no tally is in memory

			inMemory := func() bool {
				l.lockBooks()
				defer l.unlockBooks()
				return l.talliesLocked(acc).have != [maxShards]bool{}
			}
			var balances []int64
			err := l.changeFunds(acc, func(a Account, b *pebble.Batch) error {
				if balances = append(balances, a.Balance()); len(balances) == 1 {
					if inMemory() {
						t.Error("there is a tally in memory at the first look")
					}
					if out, err := returnAll(l, acc, fps, core.Digest{1}); err != nil || out[0] != core.StatusOK {
						t.Fatal(out, err)
					}
					l.onShards(crowdOut)
					if inMemory() {
						t.Error("there is a tally in memory after the trim")
					}
				}
				if a.Balance() < 10 {
					return ErrInsufficient
				}
				return b.Set(fundsKey(acc), funds{a.Granted - 10, a.Issued}.append(nil), nil)
			})
			if !errors.Is(err, ErrInsufficient) || len(balances) != 2 || balances[1] != 0 {
				t.Errorf("with balances of %d, 10 coins were taken: %v", balances, err)
			}
			mustAudit(t, l)
		})
	}
}

// crowdOut has a shard drop its rows as if so many others had been needed. Its committer
// calls it.
func crowdOut(s *shard) {
	s.flushAll()
	s.books.mu.Lock()
	for i := range maxRows + 1 {
		r := new(tallyRow)
		binary.BigEndian.PutUint32(r.account[:], uint32(i))
		s.books.rows[r.account] = r
	}
	s.books.mu.Unlock()
	s.books.trim()
}
