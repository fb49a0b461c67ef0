package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// NewAccount is an account to be added.
type NewAccount struct {
	Name   string
	Role   Role
	Pin    Pin
	Credit int64 // first grant, 0 to 10^15
}

// MaxAdd limits the accounts of one AddAccounts: what one batch of the store should hold.
const MaxAdd = 10_000

// AddAccount adds one account without credit; see AddAccounts. It returns the account
// as it is then.
func (l *Ledger) AddAccount(ctx context.Context, name string, role Role, pin Pin) (Account, error) {
	var (
		id  [1]AccountID
		err [1]error
	)
	if e := l.AddAccounts(ctx, []NewAccount{{Name: name, Role: role, Pin: pin}}, id[:], err[:]); e != nil {
		return Account{}, e
	}
	if err[0] != nil {
		return Account{}, err[0]
	}
	return l.Account(ctx, id[0])
}

// AddAccounts opens accounts for keys, up to 10,000, all that can be in one durable step,
// each with its credit. It sets the account and an error of each:
//
//	nil               added; or, if the key belongs to a removed account, that is active again
//	                  with its old id and amounts and the new name, role and further credit
//	ErrAccountSame    the key has an account of this name and role already: nothing happened
//	ErrAccountExists  the key belongs to another account that is not removed
//	ErrNameTaken      another account that is not removed has the name
//	ErrGrantLimit     with the credit it would have been granted more than 10^15 in all
//	any other         the name, the role or the credit is not usable
//
// So the same accounts can be added again after an interruption. An error for the whole
// call means that nothing happened: ErrClosed, ctx.Err(), too many accounts, or a store
// that cannot be read. ids and errs must be as long as accounts.
func (l *Ledger) AddAccounts(ctx context.Context, accounts []NewAccount, ids []AccountID, errs []error) error {
	if len(ids) != len(accounts) || len(errs) != len(accounts) {
		panic(fmt.Sprintf("ledger: AddAccounts of %d with room for %d ids and %d errors", len(accounts), len(ids), len(errs)))
	}
	if len(accounts) > MaxAdd {
		return fmt.Errorf("ledger: %d accounts in one call, at most %d are allowed", len(accounts), MaxAdd)
	}
	leave, err := l.changeTrust(ctx)
	if err != nil {
		return err
	}
	defer leave()
	// A batch with an index sees its own accounts: a name or key twice in one call.
	a := adding{l: l, ctx: ctx, b: l.db.NewIndexedBatch(), locked: map[AccountID]bool{}}
	defer a.unlock()
	for i := range accounts {
		if ids[i], errs[i], err = a.add(&accounts[i]); err != nil {
			return errors.Join(err, a.b.Close())
		}
	}
	l.apply(a.b)
	return nil
}

// adding is one AddAccounts under way.
type adding struct {
	l      *Ledger
	ctx    context.Context
	b      *pebble.Batch
	locked map[AccountID]bool // accounts that are active again, whose funds change
}

func (a *adding) unlock() {
	for id := range a.locked {
		a.l.accounts.Unlock(id)
	}
}

// add adds one account to the batch, or says why not. err ends the whole call.
func (a *adding) add(n *NewAccount) (id AccountID, refused, err error) {
	if err := n.Check(); err != nil {
		return id, err, nil
	}
	record := accountRecord{role: n.Role, created: a.l.now().UnixMilli(), pin: n.Pin, name: n.Name}
	f := funds{granted: n.Credit}
	id, err = findOwner(a.b, pinKey(n.Pin))
	known := err == nil
	if err != nil && !errors.Is(err, ErrNoAccount) {
		return id, nil, err
	}
	if known {
		old, err := readRecord(a.b, id)
		if err != nil {
			return id, nil, err
		}
		switch {
		case old.state != Removed && old.name == n.Name && old.role == n.Role:
			return id, ErrAccountSame, nil
		case old.state != Removed:
			return id, ErrAccountExists, nil
		}
		record.created, record.pin, record.oldPin = old.created, old.pin, old.oldPin
	}
	switch _, err := findOwner(a.b, nameKey(n.Name)); {
	case err == nil:
		return id, ErrNameTaken, nil
	case !errors.Is(err, ErrNoAccount):
		return id, nil, err
	}
	if known {
		if f, err = a.fundsOf(id); err != nil {
			return id, nil, err
		}
		if f.granted += n.Credit; f.granted > MaxGrant {
			return id, ErrGrantLimit, nil
		}
	} else if _, err := rand.Read(id[:]); err != nil { // 128 random bits do not meet an id that is in use
		return id, nil, fmt.Errorf("ledger: add an account: %w", err)
	}
	a.l.must(errors.Join(
		a.b.Set(accountKey(id), record.append(nil), nil),
		a.b.Set(nameKey(n.Name), id[:], nil),
		a.b.Set(pinKey(n.Pin), id[:], nil),
		a.b.Set(fundsKey(id), f.append(nil), nil)))
	return id, nil, nil
}

// fundsOf returns the funds of an account that is active again. They are this call's
// until it is over.
func (a *adding) fundsOf(id AccountID) (funds, error) {
	if !a.locked[id] {
		if err := a.l.accounts.Lock(a.ctx, a.l.gate, id); err != nil {
			return funds{}, err
		}
		a.locked[id] = true
	}
	return getFunds(a.b, id)
}

// Check says what makes the name, role, pin or credit unusable, whatever else there is.
func (n *NewAccount) Check() error {
	if err := checkName(n.Name); err != nil {
		return fmt.Errorf("ledger: add account: %w", err)
	}
	if _, err := n.Role.MarshalText(); err != nil {
		return fmt.Errorf("ledger: add account: %w", err)
	}
	if n.Pin == (Pin{}) {
		return errors.New("ledger: add account: the pin is zero")
	}
	if n.Credit < 0 || n.Credit > MaxGrant {
		return fmt.Errorf("ledger: add account: a first credit of %d coins, want 0 to %d", n.Credit, int64(MaxGrant))
	}
	return nil
}

// SetState removes, suspends or resumes an account. The ledger only keeps the state;
// whoever authenticates clients must heed it. Setting it again changes nothing. A
// removed account becomes active by AddAccounts alone: anything else is ErrRemoved.
// Further errors: ErrNoAccount, ErrClosed, ctx.Err().
func (l *Ledger) SetState(ctx context.Context, id AccountID, state State) (Account, error) {
	if state > Suspended {
		return Account{}, fmt.Errorf("ledger: an account has no %v", state)
	}
	return l.changeRecord(ctx, id, func(r *accountRecord, b *pebble.Batch) error {
		if r.state == Removed && state != Removed {
			return ErrRemoved
		}
		if state == Removed && r.state != Removed {
			if err := b.Delete(nameKey(r.name), nil); err != nil {
				return err
			}
		}
		r.state = state
		return nil
	})
}

// AddPin gives an account a further key, which is its key from then on; the one before
// works as well until DropPin. Errors: ErrAccountExists if the key belongs to another
// account, removed ones included; ErrRotating if there is a key before already;
// ErrRemoved, ErrNoAccount, ErrClosed, ctx.Err(). Adding the same again changes nothing.
func (l *Ledger) AddPin(ctx context.Context, id AccountID, pin Pin) (Account, error) {
	return l.changeRecord(ctx, id, func(r *accountRecord, b *pebble.Batch) error {
		switch {
		case r.state == Removed:
			return ErrRemoved
		case pin == (Pin{}):
			return errors.New("ledger: the pin is zero")
		case pin == r.pin:
			return nil
		}
		switch _, err := findOwner(l.db, pinKey(pin)); {
		case err == nil:
			return ErrAccountExists
		case !errors.Is(err, ErrNoAccount):
			return err
		case r.oldPin != Pin{}:
			return ErrRotating
		}
		r.pin, r.oldPin = pin, r.pin
		return b.Set(pinKey(pin), id[:], nil)
	})
}

// DropPin takes one of an account's two keys away, the old one or the new one. Errors:
// ErrNoPin if it is not one of two; ErrNoAccount, ErrClosed, ctx.Err().
func (l *Ledger) DropPin(ctx context.Context, id AccountID, pin Pin) (Account, error) {
	return l.changeRecord(ctx, id, func(r *accountRecord, b *pebble.Batch) error {
		switch {
		case r.oldPin == Pin{} || pin != r.pin && pin != r.oldPin:
			return ErrNoPin
		case pin == r.pin:
			r.pin = r.oldPin
		}
		r.oldPin = Pin{}
		return b.Delete(pinKey(pin), nil)
	})
}

// changeRecord changes an account's record, and what change puts into the batch beside
// it, in one durable step, and returns the account then. An error of change ends it.
func (l *Ledger) changeRecord(ctx context.Context, id AccountID, change func(*accountRecord, *pebble.Batch) error) (Account, error) {
	leave, err := l.changeTrust(ctx)
	if err != nil {
		return Account{}, err
	}
	defer leave()
	record, err := readRecord(l.db, id)
	if err != nil {
		return Account{}, err
	}
	before := record
	b := l.db.NewBatch()
	if err := change(&record, b); err != nil {
		return Account{}, errors.Join(err, b.Close())
	}
	if record == before {
		err = b.Close()
	} else {
		l.must(b.Set(accountKey(id), record.append(nil), nil))
		l.apply(b)
	}
	if err != nil {
		return Account{}, err
	}
	return l.report(id)
}

// changeTrust lets one caller at a time change accounts, until leave.
func (l *Ledger) changeTrust(ctx context.Context) (leave func(), err error) {
	out, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.trust.Lock(ctx, l.gate, struct{}{}); err != nil {
		out()
		return nil, err
	}
	return func() {
		l.trust.Unlock(struct{}{})
		out()
	}, nil
}

// must is for what cannot fail but by a mistake of this package.
func (l *Ledger) must(err error) {
	if err != nil {
		l.log.die(fmt.Errorf("ledger: change an account: %w", err))
	}
}

// ClientByPin returns whose a key is, also of a removed or suspended account, or
// ErrNoAccount.
func (l *Ledger) ClientByPin(ctx context.Context, pin Pin) (Client, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return Client{}, err
	}
	defer leave()
	id, err := findOwner(l.db, pinKey(pin))
	if err != nil {
		return Client{}, err
	}
	record, err := readRecord(l.db, id)
	if err != nil {
		return Client{}, err
	}
	l.settle()
	return record.client(id), nil
}

// AccountByName returns the account of a name that is not removed, or ErrNoAccount.
func (l *Ledger) AccountByName(ctx context.Context, name string) (Account, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return Account{}, err
	}
	defer leave()
	id, err := findOwner(l.db, nameKey(name))
	if err != nil {
		return Account{}, err
	}
	return l.report(id)
}

func (a accountRecord) client(id AccountID) Client {
	return Client{ID: id, Name: a.name, Role: a.role, State: a.state}
}

// findOwner returns the account of a pin or name by its key in the store, or ErrNoAccount.
func findOwner(db pebble.Reader, key []byte) (AccountID, error) {
	id, found, err := get(db, key, decodeOwner)
	switch {
	case err != nil:
		return AccountID{}, fmt.Errorf("%w: account of a pin or name: %w", errRead, err)
	case !found:
		return AccountID{}, ErrNoAccount
	}
	return id, nil
}

func readRecord(db pebble.Reader, id AccountID) (accountRecord, error) {
	a, found, err := get(db, accountKey(id), decodeAccount)
	switch {
	case err != nil:
		return accountRecord{}, fmt.Errorf("%w: account %v: %w", errRead, id, err)
	case !found:
		return accountRecord{}, ErrNoAccount
	}
	return a, nil
}
