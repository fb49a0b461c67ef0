package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// MaxGrant limits one grant and what an account was granted in all: 10^15 coins,
// which JSON readers that know only floating point still hold exactly.
const MaxGrant = 1_000_000_000_000_000

// Grant adds amount coins to an account's credit, or takes them if it is negative. It
// returns ErrInsufficient if that exceeds the balance, ErrGrantLimit if it takes the sum
// of all grants beyond 10^15, ErrNoAccount, ErrClosed, an error for an amount of 0 or
// beyond 10^15, and ctx.Err(). Every call counts: it must not be repeated when its
// outcome is unknown without looking at the account.
func (l *Ledger) Grant(ctx context.Context, id AccountID, amount int64) (Account, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return Account{}, err
	}
	defer leave()
	if amount == 0 || amount < -MaxGrant || amount > MaxGrant {
		return Account{}, fmt.Errorf("ledger: grant of %d coins, want 1 to %d, or as many less than 0", amount, int64(MaxGrant))
	}
	if err := l.accounts.Lock(ctx, l.gate, id); err != nil {
		return Account{}, err
	}
	defer l.accounts.Unlock(id)
	err = l.changeFunds(id, func(a Account, b *pebble.Batch) error {
		if amount < 0 && a.Balance()+amount < 0 {
			return ErrInsufficient
		}
		granted := a.Granted + amount // each at most MaxGrant: no overflow
		if granted < -MaxGrant || granted > MaxGrant {
			return ErrGrantLimit
		}
		return b.Set(fundsKey(id), funds{granted, a.Issued}.append(nil), nil)
	})
	if err != nil {
		return Account{}, err
	}
	return l.report(id)
}

// changeFunds commits what change adds to a batch for an account as it is at the moment
// from which on the batch can be seen. change may be called several times; its error
// ends it. The caller has the account's lock, which others need to change its funds;
// its tallies change at any time.
func (l *Ledger) changeFunds(id AccountID, change func(Account, *pebble.Batch) error) error {
	for {
		a, seen, err := l.readAccount(id)
		if err != nil {
			return err
		}
		b := l.db.NewBatch()
		if err := change(a, b); err != nil {
			return errors.Join(err, b.Close())
		}
		if l.applyIf(b, id, &seen) {
			return nil
		}
	}
}

// applyIf commits b and returns once it is durable, or does nothing and returns false if
// the account's tallies are not what was seen. They do not change until b can be seen.
func (l *Ledger) applyIf(b *pebble.Batch, id AccountID, seen *tallies) bool {
	l.lockBooks()
	if l.talliesLocked(id) != *seen {
		l.unlockBooks()
		l.log.must("commit", b.Close)
		return false
	}
	l.unsynced.Add(1)
	l.log.must("commit", func() error { return l.db.ApplyNoSyncWait(b, pebble.Sync) })
	l.unlockBooks()
	l.log.must("commit", func() error { return errors.Join(b.SyncWait(), b.Close()) })
	l.unsynced.Add(-1)
	return true
}

// Account returns an account as it is now, or ErrNoAccount.
func (l *Ledger) Account(ctx context.Context, id AccountID) (Account, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return Account{}, err
	}
	defer leave()
	return l.report(id)
}

// Accounts calls visit for every account, removed ones too, in order of id, all as
// they were at one moment. It stops at visit's first error and returns it. visit must
// not call Close.
func (l *Ledger) Accounts(ctx context.Context, visit func(Account) error) (err error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	v := l.newView()
	defer func() { err = errors.Join(err, v.close()) }()
	it, err := v.accounts().NewIter(kindRange(kindAccount))
	if err != nil {
		return fmt.Errorf("%w: accounts: %w", errRead, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(it.Key()) != accountKeyLen {
			return fmt.Errorf("%w: accounts: %w", errRead, badRecord("account", "wrong key"))
		}
		a, err := l.assemble(AccountID(it.Key()[1:]), v.snaps, tally{}, nil)
		if err != nil {
			return err
		}
		if err := visit(a); err != nil {
			return err
		}
	}
	return nil
}

// report returns an account at one moment, once everything it shows is durable.
func (l *Ledger) report(id AccountID) (a Account, err error) {
	if a, _, err = l.readAccount(id); err != nil {
		return Account{}, err
	}
	l.settle()
	return a, nil
}

// tallies are an account's tallies that are in memory. While they are equal the account
// has not changed: tallies only grow, and one that was loaded, grew and was dropped again
// has left a trim. Those are too rare for it to matter that one counts for every account.
type tallies struct {
	sum   tally
	have  [maxShards]bool // of these shards
	trims uint64          // of all shards' books
}

func (l *Ledger) lockBooks() {
	for _, s := range l.shards {
		s.books.mu.Lock()
	}
}

func (l *Ledger) unlockBooks() {
	for _, s := range l.shards {
		s.books.mu.Unlock()
	}
}

// talliesLocked expects the locks of all books.
func (l *Ledger) talliesLocked(id AccountID) (t tallies) {
	for _, s := range l.shards {
		t.trims += s.books.trims
		if r := s.books.rows[id]; r != nil {
			t.sum.add(r.tally)
			t.have[s.index] = true
		}
	}
	return t
}

// readAccount returns an account as of one moment, and which of its tallies were in
// memory then. Reading them one by one could see a later redeem without an earlier
// return.
func (l *Ledger) readAccount(id AccountID) (a Account, seen tallies, err error) {
	l.lockBooks()
	seen = l.talliesLocked(id)
	snaps := l.snapshots()
	l.unlockBooks()
	defer func() { err = errors.Join(err, closeSnapshots(snaps)) }()
	a, err = l.assemble(id, snaps, seen.sum, &seen.have)
	return a, seen, err
}

// assemble puts an account together from snapshots of one moment, and the sum of the
// tallies of the shards that have names; those are not read.
func (l *Ledger) assemble(id AccountID, snaps []*pebble.Snapshot, sum tally, have *[maxShards]bool) (Account, error) {
	record, err := readRecord(snaps[0], id)
	if err != nil {
		return Account{}, err
	}
	f, err := getFunds(snaps[0], id)
	if err != nil {
		return Account{}, err
	}
	for _, db := range snaps {
		if err := addTallies(&sum, db, id, have); err != nil {
			return Account{}, err
		}
	}
	return Account{
		Client: record.client(id), Pin: record.pin, OldPin: record.oldPin,
		Created: time.UnixMilli(record.created),
		Granted: f.granted, Issued: f.issued,
		Redeemed: sum.redeemed, Returned: sum.returned, Refunded: sum.refunded,
	}, nil
}

// checkAccount returns ErrNoAccount unless the account exists, removed or not. An account
// exists for ever, so one that was found is not looked for again soon.
func (l *Ledger) checkAccount(id AccountID) error {
	known := &l.known[binary.BigEndian.Uint16(id[:])%uint16(len(l.known))]
	if k := known.Load(); k != nil && *k == id {
		return nil
	}
	_, closer, err := l.db.Get(accountKey(id))
	if errors.Is(err, pebble.ErrNotFound) {
		return ErrNoAccount
	}
	if err == nil {
		err = closer.Close()
	}
	if err != nil {
		return fmt.Errorf("%w: account %v: %w", errRead, id, err)
	}
	found := id // not id itself, which would be on the heap for every call
	known.Store(&found)
	return nil
}

// getFunds returns an account's funds. Every account has them from the beginning.
func getFunds(db pebble.Reader, id AccountID) (f funds, err error) {
	f, found, err := get(db, fundsKey(id), decodeFunds)
	if err == nil && !found {
		err = badRecord("funds", "missing")
	}
	if err != nil {
		return funds{}, fmt.Errorf("%w: funds of account %v: %w", errRead, id, err)
	}
	return f, nil
}

// addTallies adds an account's tallies in db to sum, but for those of shards that have names.
func addTallies(sum *tally, db pebble.Reader, id AccountID, have *[maxShards]bool) error {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: appendTallyKey(nil, &id, 0),
		UpperBound: append(appendTallyKey(nil, &id, maxShards-1), 0),
	})
	if err == nil {
		for ok := it.First(); ok && err == nil; ok = it.Next() {
			if key := it.Key(); have != nil && len(key) == tallyKeyLen && have[key[tallyKeyLen-1]] {
				continue
			}
			var t tally
			t, err = decodeTally(it.Value())
			sum.add(t)
		}
		err = errors.Join(err, it.Close())
	}
	if err != nil {
		return fmt.Errorf("%w: tallies of account %v: %w", errRead, id, err)
	}
	return nil
}
