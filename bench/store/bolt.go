package store

import (
	"encoding/binary"
	"iter"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"ecoin/core"
)

// boltEngine is bbolt: buckets of live coins, of spent records, and of credits. Spent records
// would be forgotten by another program.
type boltEngine struct {
	*group
	db *bbolt.DB
}

var (
	liveBucket   = []byte("live")
	spentBucket  = []byte("spent")
	creditBucket = []byte("credit")
)

func openBolt(dir string) (Engine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// As etcd has it: the list of free pages is a map, and is made anew at the next start.
	db, err := bbolt.Open(filepath.Join(dir, "coins.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{liveBucket, spentBucket, creditBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e := &boltEngine{db: db}
	e.group = newGroup(e.commit)
	return e, nil
}

// Load appends in order, to full pages.
func (e *boltEngine) Load(coins iter.Seq[core.Fingerprint]) error {
	next, stop := iter.Pull(coins)
	defer stop()
	for more := true; more; {
		err := e.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(liveBucket)
			b.FillPercent = 1
			for range 100_000 {
				var fp core.Fingerprint
				if fp, more = next(); !more {
					break
				}
				if err := b.Put(fp[:], nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *boltEngine) LiveBytes() (n int64, err error) {
	err = e.db.View(func(tx *bbolt.Tx) error {
		s := tx.Bucket(liveBucket).Stats()
		n = int64(s.BranchAlloc + s.LeafAlloc)
		return nil
	})
	return n, err
}

func (e *boltEngine) commit(items []item) error {
	return e.db.Update(func(tx *bbolt.Tx) error {
		live, spent := tx.Bucket(liveBucket).Cursor(), tx.Bucket(spentBucket)
		var credits [Accounts]int64
		for i := range items {
			it := &items[i]
			if k, _ := live.Seek(it.fp[:]); string(k) != string(it.fp[:]) {
				var err error
				if *it.status, err = spentStatus(spent.Get(it.fp[:]), it.account, &it.fp); err != nil {
					return err
				}
				continue
			}
			if err := live.Delete(); err != nil {
				return err
			}
			if err := spent.Put(it.fp[:], record(it.account, &it.fp)); err != nil {
				return err
			}
			*it.status = core.StatusOK
			credits[it.account]++
		}
		b := tx.Bucket(creditBucket)
		for account, n := range credits {
			key := creditKey(uint16(account))
			if n == 0 {
				continue
			}
			if err := b.Put(key, binary.BigEndian.AppendUint64(nil, uint64(boltCredit(b, key)+n))); err != nil {
				return err
			}
		}
		return nil
	})
}

func boltCredit(b *bbolt.Bucket, key []byte) int64 {
	v := b.Get(key)
	if v == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(v))
}

func (e *boltEngine) Credit(account uint16) (sum int64, err error) {
	err = e.db.View(func(tx *bbolt.Tx) error { sum = boltCredit(tx.Bucket(creditBucket), creditKey(account)); return nil })
	return sum, err
}

func (e *boltEngine) Close() error {
	e.group.close()
	return e.db.Close()
}
