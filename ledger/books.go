package ledger

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"ecoin/ledger/internal/life"
)

// books are a shard's counters and its rows of the accounts' tallies. Only the
// committer writes: it loads an account's row before it changes it, collects the
// changes of a batch, and publishes them once the batch can no longer fail. Others
// read the published figures under mu. A row that is not here is as Pebble has it.
type books struct {
	mu       sync.Mutex // guards counters, rows, the tallies in them, and trims
	counters counters
	rows     map[AccountID]*tallyRow
	trims    uint64 // times that rows were dropped

	// Owned by the committer.
	current counters    // counters with the batch being made
	touched []*tallyRow // rows that the batch changes
	unsaved []*tallyRow // rows that Pebble does not have as they are
}

// tallyRow is an account's tally in the shard.
type tallyRow struct {
	account AccountID
	tally   tally // as published

	change  tally // of the batch being made; owned by the committer
	unsaved bool  // owned by the committer
	err     error // the row could not be read: nothing may change it
}

// maxRows bounds the rows that are kept only because they may be needed again.
const maxRows = 1 << 14

// count books what happened to a coin of an account; row is nil for an insert.
func (b *books) count(e life.Event, row *tallyRow) {
	if e == life.Nothing {
		return
	}
	var t *tally
	if row != nil {
		if row.change == (tally{}) {
			b.touched = append(b.touched, row)
		}
		t = &row.change
	}
	countEvent(e, &b.current, t)
}

// countEvent books e in the shard's counters and the account's tally.
func countEvent(e life.Event, c *counters, t *tally) {
	switch e {
	case life.Issued:
		c.issued++ // the account was debited before, under its own lock
	case life.Credited:
		c.redeemed++
		t.redeemed++
	case life.GivenBack:
		c.returned++
		t.returned++
	case life.RefundedLive:
		c.refundedLive++
		t.refunded++
	case life.RefundedReturned:
		c.refundedReturned++
		t.refunded++
	}
}

// row returns an account's row for the batch being made.
func (b *books) row(db pebble.Reader, acc AccountID, shard int) *tallyRow {
	if r := b.rows[acc]; r != nil {
		return r
	}
	r := &tallyRow{account: acc}
	if r.tally, _, r.err = get(db, appendTallyKey(nil, &acc, shard), decodeTally); r.err != nil {
		return r
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows[acc] = r
	return r
}

// trim drops rows that are not needed, between batches.
func (b *books) trim() {
	if len(b.rows) <= maxRows {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trims++
	for acc, r := range b.rows {
		if !r.unsaved {
			delete(b.rows, acc)
		}
	}
}

// appendTo adds the batch's counters and tallies to it.
func (b *books) appendTo(batch *pebble.Batch, shard int, key, value []byte) error {
	err := batch.Set(appendCountersKey(key[:0], shard), b.current.append(value[:0]), nil)
	for _, r := range b.touched {
		t := r.tally
		t.add(r.change)
		if err == nil {
			err = batch.Set(appendTallyKey(key[:0], &r.account, shard), t.append(value[:0]), nil)
		}
	}
	return err
}

// publishLocked shows the batch's figures to readers. It comes after the batch has its
// place in the log, since a reader waits for what the log has, and before its answers.
func (b *books) publishLocked() {
	b.counters = b.current
	for _, r := range b.touched {
		r.tally.add(r.change)
		r.change = tally{}
	}
}

// keepUnsaved remembers the rows of the batch for the next freeze.
func (b *books) keepUnsaved() {
	for _, r := range b.touched {
		if !r.unsaved {
			r.unsaved = true
			b.unsaved = append(b.unsaved, r)
		}
	}
	b.touched = b.touched[:0]
}

// savedRow is a tally as it is to be saved.
type savedRow struct {
	account AccountID
	tally   tally
}

// freeze returns what changed since the last time, for Pebble. The rows stay here
// until saved says that it has them.
func (b *books) freeze() []savedRow {
	rows := make([]savedRow, len(b.unsaved))
	for i, r := range b.unsaved {
		rows[i] = savedRow{r.account, r.tally}
		r.unsaved = false
	}
	b.unsaved = b.unsaved[:0]
	return rows
}
