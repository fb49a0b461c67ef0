package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"ecoin/core"
	"ecoin/ledger/internal/outcomes"
)

// errSaltUsed reports a salt that made coins before. Salts are 256 fresh random bits,
// so this is a fault of the caller, and no coin of the withdrawal is given out.
var errSaltUsed = errors.New("ledger: withdrawal refused: its salt was used before; use a fresh random salt for every request id")

// Withdraw debits n coins and makes live those that Options.Mint gives for salt, in
// three durable steps: (1) the debit and a record of the withdrawal, together; (2) the
// coins, unless they are live already; (3) the end of the withdrawal, in its record. A
// crash leaves it at one of the steps, and Open completes it.
//
// It returns the salt that counts: salt itself, or the one stored by an earlier call
// with the same account and id, whose coins are the same and are never debited or
// inserted twice. The record is kept for the withdrawal window; a repeat after it is a
// new withdrawal. Concurrent repeats wait for the first. salt must be fresh and random.
//
// Errors that mean this call did nothing: ErrRequestMismatch (id was used with another n),
// ErrInsufficient, ErrNoAccount, ErrLowDisk, ErrOverload, ErrClosed, n not in
// [1, 10000], and ctx.Err(), which bounds the wait for other withdrawals of the account
// and not the work that follows. After any other error ask again with the same id.
func (l *Ledger) Withdraw(ctx context.Context, acc AccountID, id RequestID, salt core.Salt, n int) (core.Salt, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return core.Salt{}, err
	}
	defer leave()
	if n < 1 || n > MaxCall {
		return core.Salt{}, fmt.Errorf("ledger: withdrawal of %d coins, want 1 to %d", n, MaxCall)
	}
	if err := l.accounts.Lock(ctx, l.gate, acc); err != nil {
		return core.Salt{}, err
	}
	defer l.accounts.Unlock(acc)

	p := pendingWithdrawal{account: acc, id: id}
	found, err := l.findWithdrawal(&p)
	switch {
	case err != nil:
		return core.Salt{}, err
	case found && p.count != n:
		return core.Salt{}, ErrRequestMismatch
	case found && p.state == withdrawalVoid:
		return core.Salt{}, errSaltUsed
	case found && p.state == withdrawalDone:
		return p.salt, nil
	}
	if err := l.reserve(n); err != nil {
		return core.Salt{}, err
	}
	if !found {
		p.withdrawal = withdrawal{state: withdrawalPending, count: n, salt: salt}
		release, err := l.debit(&p)
		if err != nil {
			l.unreserve(n)
			return core.Salt{}, err
		}
		defer release()
	}
	if err := l.completeReserved(&p, found); err != nil {
		return core.Salt{}, err
	}
	return p.salt, nil
}

// pendingWithdrawal is a withdrawal with its key.
type pendingWithdrawal struct {
	account AccountID
	id      RequestID
	withdrawal
}

// decodePending reads one row of kind x.
func decodePending(key, value []byte) (p pendingWithdrawal, err error) {
	if len(key) != pendingKeyLen || key[0] != kindPending {
		return p, badRecord("withdrawal", "wrong key")
	}
	r := reader(key[1:])
	r.copy(p.account[:])
	r.copy(p.id[:])
	if p.withdrawal, err = decodeWithdrawal(value); err != nil {
		return pendingWithdrawal{}, err
	}
	if p.state != withdrawalPending {
		return pendingWithdrawal{}, badRecord("withdrawal", "ended, but among those under way")
	}
	return p, nil
}

// findWithdrawal looks for an earlier withdrawal of p's account with p's id. It
// expects the account's lock, under which every record that it can see is durable.
func (l *Ledger) findWithdrawal(p *pendingWithdrawal) (found bool, err error) {
	found, err = l.readWithdrawal(appendPendingKey(nil, &p.account, &p.id), &p.withdrawal)
	if found || err != nil {
		return found, err
	}
	kept := l.ended.acquire(l.now())
	defer l.ended.release()
	for i := len(kept) - 1; i >= 0; i-- {
		found, err = l.readWithdrawal(appendEndedKey(nil, kept[i], &p.account, &p.id), &p.withdrawal)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (l *Ledger) readWithdrawal(key []byte, w *withdrawal) (found bool, err error) {
	if *w, found, err = get(l.db, key, decodeWithdrawal); err != nil {
		return false, fmt.Errorf("%w: withdrawal: %w", errRead, err)
	}
	return found, nil
}

// debit is step 1. It expects the account's lock. The salt stays taken until release,
// so that no other withdrawal uses it before this one's coins can be seen.
func (l *Ledger) debit(p *pendingWithdrawal) (release func(), err error) {
	if l.lowDisk() {
		l.events.lowDisk.Add(1)
		return nil, ErrLowDisk
	}
	enough := func(a Account) error {
		if a.Balance() < int64(p.count) {
			return ErrInsufficient
		}
		return nil
	}
	// Before the salt, which takes longer to look at, and again when it counts.
	a, _, err := l.readAccount(p.account)
	if err == nil {
		err = enough(a)
	}
	if err != nil {
		return nil, err
	}
	if !l.takeSalt(p.salt) {
		return nil, errSaltUsed
	}
	if err = l.checkUnused(p); err == nil {
		err = l.changeFunds(p.account, func(a Account, b *pebble.Batch) error {
			if err := enough(a); err != nil {
				return err
			}
			return errors.Join(
				b.Set(fundsKey(p.account), funds{a.Granted, a.Issued + int64(p.count)}.append(nil), nil),
				b.Set(appendPendingKey(nil, &p.account, &p.id), p.append(nil), nil))
		})
	}
	if err != nil {
		l.releaseSalt(p.salt)
		return nil, err
	}
	return func() { l.releaseSalt(p.salt) }, nil
}

func (l *Ledger) takeSalt(salt core.Salt) bool {
	l.saltsMu.Lock()
	defer l.saltsMu.Unlock()
	if _, taken := l.salts[salt]; taken {
		return false
	}
	l.salts[salt] = struct{}{}
	return true
}

func (l *Ledger) releaseSalt(salt core.Salt) {
	l.saltsMu.Lock()
	defer l.saltsMu.Unlock()
	delete(l.salts, salt)
}

// checkUnused refuses, before anything is debited, a salt whose first coin is known.
func (l *Ledger) checkUnused(p *pendingWithdrawal) error {
	c := &call{kind: opProbe, account: p.account, fps: l.o.Mint(nil, &p.salt, 1)}
	l.queued.Add(1)
	l.do(c)
	switch c.status[0] {
	case core.StatusTemporary:
		return fmt.Errorf("%w: first coin of a withdrawal", errRead)
	case core.StatusOK:
		return nil
	}
	return errSaltUsed
}

// complete is steps 2 and 3 for Open, which no queue limit may stop.
func (l *Ledger) complete(p *pendingWithdrawal, resumed bool) error {
	l.queued.Add(int64(p.count))
	return l.completeReserved(p, resumed)
}

// completeReserved is steps 2 and 3. It expects the account's lock and p.count coins
// reserved. A resumed withdrawal may find its own coins live, because they never left
// the bank; to any other, a coin that is known means that the salt was used before.
// Then the debit of these coins is taken back and the withdrawal ends void.
func (l *Ledger) completeReserved(p *pendingWithdrawal, resumed bool) error {
	c := &call{kind: opInsert, account: p.account, fps: l.o.Mint(make([]core.Fingerprint, 0, p.count), &p.salt, p.count)}
	if len(c.fps) != p.count {
		panic(fmt.Sprintf("ledger: Options.Mint gave %d fingerprints, want %d", len(c.fps), p.count))
	}
	l.do(c)
	n := outcomes.Count(c.status)
	known, failed := n[core.StatusRedeemed], n[core.StatusTemporary]
	if failed > 0 {
		l.events.outcomes.Temporary.Add(failed)
		return fmt.Errorf("%w: %d of %d coins of a withdrawal; it is completed by the next try with the same request id", errRead, failed, p.count)
	}
	void := known > 0 && !resumed
	return l.end(p, void, known)
}

// end is step 3. The record moves into the newest window; void gives back the debit
// of coins that were not inserted.
func (l *Ledger) end(p *pendingWithdrawal, void bool, known int64) error {
	b := l.db.NewBatch()
	ended := p.withdrawal
	ended.state = withdrawalDone
	var err error
	if void {
		ended.state = withdrawalVoid
		f, readErr := getFunds(l.db, p.account)
		if readErr != nil {
			return errors.Join(readErr, b.Close())
		}
		f.issued -= known
		err = b.Set(fundsKey(p.account), f.append(nil), nil)
	}
	kept := l.ended.acquire(l.now())
	defer l.ended.release()
	err = errors.Join(err,
		b.Delete(appendPendingKey(nil, &p.account, &p.id), nil),
		b.Set(appendEndedKey(nil, kept[len(kept)-1], &p.account, &p.id), ended.append(nil), nil))
	if err != nil {
		l.log.die(fmt.Errorf("ledger: end a withdrawal: %w", err))
	}
	l.apply(b)
	if void {
		l.o.Logger.Error("ledger: a withdrawal used a salt that made coins before", "account", p.account, "coins", known)
		return errSaltUsed
	}
	return nil
}
