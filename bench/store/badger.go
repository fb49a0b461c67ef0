package store

import (
	"encoding/binary"
	"errors"
	"iter"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/ristretto/v2/z"

	"ecoin/core"
)

// badgerEngine is BadgerDB. The key of a coin is live with an empty value, and spent with a
// record that Badger forgets by itself: one write for a redeem.
type badgerEngine struct {
	*group
	db *badger.DB
}

func openBadger(dir string) (Engine, error) {
	// One goroutine commits, so there are no conflicts to detect.
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithDetectConflicts(false).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	e := &badgerEngine{db: db}
	e.group = newGroup(e.commit)
	return e, nil
}

// Load writes sorted tables.
func (e *badgerEngine) Load(coins iter.Seq[core.Fingerprint]) error {
	w := e.db.NewStreamWriter()
	if err := w.Prepare(); err != nil {
		return err
	}
	buf := z.NewBuffer(8<<20, "load")
	defer func() { _ = buf.Release() }()
	for fp := range coins {
		badger.KVToBuffer(&pb.KV{Key: fp[:], Version: 1}, buf)
		if buf.LenNoPadding() < 4<<20 {
			continue
		}
		if err := w.Write(buf); err != nil {
			return err
		}
		buf.Reset()
	}
	if err := w.Write(buf); err != nil {
		return err
	}
	return w.Flush()
}

func (e *badgerEngine) LiveBytes() (n int64, err error) {
	for _, t := range e.db.Tables() {
		n += int64(t.OnDiskSize)
	}
	return n, nil
}

func creditKey(account uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte("credit"), account)
}

func (e *badgerEngine) commit(items []item) error {
	txn := e.db.NewTransaction(true)
	defer txn.Discard()
	var credits [Accounts]int64
	for i := range items {
		it := &items[i]
		found, err := txn.Get(it.fp[:])
		switch {
		case errors.Is(err, badger.ErrKeyNotFound):
			*it.status = core.StatusNotLive
			continue
		case err != nil:
			return err
		}
		spent := false
		if err := found.Value(func(v []byte) (err error) { // ValueSize is wrong for what this transaction wrote
			if spent = len(v) > 0; spent {
				*it.status, err = spentStatus(v, it.account, &it.fp)
			}
			return err
		}); err != nil {
			return err
		}
		if spent {
			continue
		}
		*it.status = core.StatusOK
		if err := txn.SetEntry(badger.NewEntry(append([]byte(nil), it.fp[:]...), record(it.account, &it.fp)).WithTTL(window)); err != nil {
			return err
		}
		credits[it.account]++
	}
	for account, n := range credits {
		if n == 0 {
			continue
		}
		key := creditKey(uint16(account))
		sum, err := readCredit(txn, key)
		if err != nil {
			return err
		}
		if err := txn.Set(key, binary.BigEndian.AppendUint64(nil, uint64(sum+n))); err != nil {
			return err
		}
	}
	return txn.Commit()
}

func readCredit(txn *badger.Txn, key []byte) (sum int64, err error) {
	found, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	err = found.Value(func(v []byte) error { sum = int64(binary.BigEndian.Uint64(v)); return nil })
	return sum, err
}

func (e *badgerEngine) Credit(account uint16) (sum int64, err error) {
	err = e.db.View(func(txn *badger.Txn) (err error) { sum, err = readCredit(txn, creditKey(account)); return err })
	return sum, err
}

func (e *badgerEngine) Close() error {
	e.group.close()
	return e.db.Close()
}
