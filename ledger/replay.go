package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
)

// replayRows is how many rows of the log are sorted at once, at about 150 bytes of
// memory each, the log's included. A log has seldom more.
const replayRows = 4 << 20

// replay gives Pebble what is in the log and not in it, and removes the log. Rows go
// in as sorted tables, at most about limit at a time, which is faster than as batches.
// A crash meanwhile does no harm: the counters among the rows tell what Pebble has.
func (s *store) replay(limit int) (logEnd, error) {
	r := replay{t: tables{store: s, prefix: "replay-"}, limit: limit}
	for i := range r.have {
		c, _, err := get(s.db, appendCountersKey(nil, i), decodeCounters)
		if err != nil {
			return logEnd{}, fmt.Errorf("counters of shard %d: %w", i, err)
		}
		r.have[i] = uint64(c.commits)
	}
	kept, _, err := get(s.db, keptKey(kindSpent), decodeKept)
	if err != nil {
		return logEnd{}, err
	}
	r.kept = appendWindowKey(nil, kindSpent, kept)
	end, err := readLog(s.fs, s.redoDir(), r.add)
	if err == nil {
		err = r.ingest()
	}
	if err != nil {
		return logEnd{}, errors.Join(err, r.t.abandon())
	}
	if r.applied > 0 {
		s.log.logger.Info("ledger: completed batches from the log", "dir", s.dir, "batches", r.applied)
	}
	return end, removeLog(s.fs, s.redoDir())
}

// replay collects the rows of batches that Pebble does not have.
type replay struct {
	t       tables
	limit   int               // of rows
	kept    []byte            // spent coins before this key are in windows that were dropped
	have    [maxShards]uint64 // the last batch of each shard that was met or that Pebble has
	applied int               // batches
	rows    []loggedRow       // in the order of the log
}

// loggedRow is a row of a batch.
type loggedRow struct {
	lead       uint64 // of the key
	seq        uint32 // in the order of the log
	kind       pebble.InternalKeyKind
	key, value []byte
}

// add takes a record of the log, whose memory stays valid. See readLog.
func (r *replay) add(shard uint8, commit uint64, batch []byte) error {
	switch have := r.have[shard]; {
	case commit <= have:
		return nil
	case commit != have+1:
		return fmt.Errorf("%w: batch %d of shard %d follows on %d", errLogDamaged, commit, shard, have)
	}
	for rows := batchrepr.Read(batch); len(rows) > 0; {
		kind, key, value, ok, err := rows.Next()
		if !ok || len(key) == 0 {
			return errors.Join(badRecord("log", fmt.Sprintf("batch %d of shard %d", commit, shard)), err)
		}
		if key[0] == kindSpent && bytes.Compare(key, r.kept) < 0 {
			continue
		}
		r.rows = append(r.rows, loggedRow{keyLead(key), uint32(len(r.rows)), kind, key, value})
	}
	r.have[shard] = commit
	r.applied++
	if len(r.rows) < r.limit {
		return nil
	}
	return r.ingest()
}

// keyLead returns the first 8 bytes of a key, with zeros behind a shorter one.
func keyLead(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var padded [8]byte
	copy(padded[:], key)
	return binary.BigEndian.Uint64(padded[:])
}

// ingest lets Pebble take the rows, of each key the last, in a table for each kind.
func (r *replay) ingest() error {
	slices.SortFunc(r.rows, func(a, b loggedRow) int {
		if c := cmp.Compare(a.lead, b.lead); c != 0 {
			return c
		}
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return cmp.Compare(a.seq, b.seq)
	})
	for rest := r.rows; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].key[0] == rest[0].key[0] {
			n++
		}
		if err := r.t.write(func() error { return r.table(rest[:n]) }); err != nil {
			return err
		}
		rest = rest[n:]
	}
	r.rows = r.rows[:0]
	return r.t.ingest()
}

// table writes rows in order of their keys.
func (r *replay) table(rows []loggedRow) error {
	for i := range rows {
		row := &rows[i]
		if i+1 < len(rows) && bytes.Equal(row.key, rows[i+1].key) {
			continue
		}
		var err error
		switch row.kind {
		case pebble.InternalKeyKindSet:
			err = r.t.set(row.key, row.value)
		case pebble.InternalKeyKindDelete:
			err = r.t.delete(row.key)
		default:
			err = badRecord("log", "unknown kind of row")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
