package pgledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"ecoin/ledger"
)

// adding is one AddAccounts.
type adding struct {
	accounts []ledger.NewAccount
	fresh    []ledger.AccountID // ids of those that are new
	mark     token
	created  int64

	doubted map[ledger.AccountID]token // accounts that a try in doubt made active again: their change before

	// Of one try.
	ids     []ledger.AccountID
	errs    []error
	pins    map[ledger.Pin]ledger.AccountID
	names   map[string]ledger.AccountID
	known   map[ledger.AccountID]*row // accounts that have one of the pins, locked
	changed map[ledger.AccountID]bool // of these, those that are active again
	mine    map[ledger.AccountID]bool // that a try before added, as the first of these accounts
	added   []*row
}

// try adds the accounts in one transaction. Of a try in doubt it notes what the next one has
// to look for: an account that is new has an id that tells, but one that is active again may
// have been changed by others since.
func (a *adding) try(ctx context.Context, c *pgx.Conn) error {
	a.ids, a.errs = make([]ledger.AccountID, len(a.accounts)), make([]error, len(a.accounts))
	a.changed, a.mine, a.added = map[ledger.AccountID]bool{}, map[ledger.AccountID]bool{}, nil
	err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return a.run(ctx, tx) })
	if err == nil {
		err = checkWarning(c.PgConn())
	}
	if err != nil && fateOf(err) == doubt {
		if a.doubted == nil {
			a.doubted = map[ledger.AccountID]token{}
		}
		for id := range a.changed {
			a.doubted[id] = a.known[id].change
		}
	}
	return err
}

// run decides the accounts one after the other, as they are with those before, and then
// writes all. What another node adds in between is in the way of a key of the tables.
func (a *adding) run(ctx context.Context, tx pgx.Tx) error {
	if err := a.load(ctx, tx); err != nil {
		return err
	}
	for id, before := range a.doubted {
		if r := a.known[id]; r == nil || r.change != before && r.change != a.mark {
			return outcome{unknown("add accounts", changedByOthers)}
		}
	}
	for i := range a.accounts {
		a.ids[i], a.errs[i] = a.add(&a.accounts[i], a.fresh[i])
	}
	return a.write(ctx, tx)
}

// load finds who has the pins and names, and locks the accounts of the pins. Until an account
// is locked another node may take a pin from it, so who has them is asked again afterwards,
// and with every account that turns up then. From there on no pin goes away; one that is
// given out is in the way.
func (a *adding) load(ctx context.Context, tx pgx.Tx) error {
	a.known = map[ledger.AccountID]*row{}
	for {
		if err := a.find(ctx, tx); err != nil {
			return err
		}
		var others []ledger.AccountID
		for _, id := range a.pins {
			if a.known[id] == nil {
				others = append(others, id)
			}
		}
		if len(others) == 0 {
			return nil
		}
		locks := uuidArray{}
		locks.reset(len(others))
		for i := range others {
			locks.add((*[16]byte)(&others[i]))
		}
		if err := run(ctx, tx.Conn(), lockSQL, [][]byte{locks.b}, func([][]byte) {}); err != nil {
			return err
		}
		for _, id := range others {
			r, err := read(ctx, tx, id)
			if err != nil {
				return err
			}
			a.known[id] = &r
		}
	}
}

// find looks up who has the pins and names.
func (a *adding) find(ctx context.Context, tx pgx.Tx) error {
	pins, names := make([][]byte, 0, len(a.accounts)), make([]string, 0, len(a.accounts))
	for i := range a.accounts {
		if a.accounts[i].Check() == nil {
			pins, names = append(pins, a.accounts[i].Pin[:]), append(names, a.accounts[i].Name)
		}
	}
	a.pins, a.names = map[ledger.Pin]ledger.AccountID{}, map[string]ledger.AccountID{}
	// Pins and names as of one moment: of an account that is being added both are seen or none.
	rows, err := tx.Query(ctx, `SELECT pin, '', account FROM pin WHERE pin = ANY ($1::bytea[])
UNION ALL SELECT NULL, name, account FROM name WHERE name = ANY ($2::text[])`, pins, names)
	if err != nil {
		return err
	}
	var pin []byte
	var name string
	var id [16]byte
	_, err = pgx.ForEachRow(rows, []any{&pin, &name, &id}, func() error {
		if pin == nil {
			a.names[name] = id
		} else {
			a.pins[ledger.Pin(pin)] = id
		}
		return nil
	})
	return err
}

// add decides one account.
func (a *adding) add(n *ledger.NewAccount, fresh ledger.AccountID) (ledger.AccountID, error) {
	if err := n.Check(); err != nil {
		return ledger.AccountID{}, err
	}
	id, known := a.pins[n.Pin]
	old := a.known[id]
	switch {
	case !known:
	case !a.mine[id] && (id == fresh || old.change == a.mark && old.State != ledger.Removed && !a.changed[id] && old.Name == n.Name && old.Role == n.Role):
		a.mine[id] = true
		return id, nil // by this very call, in a try before
	case old.State != ledger.Removed && old.Name == n.Name && old.Role == n.Role:
		return id, ledger.ErrAccountSame
	case old.State != ledger.Removed:
		return id, ledger.ErrAccountExists
	}
	if owner, taken := a.names[n.Name]; taken && (!known || owner != id) { // its own is free since it was removed
		return id, ledger.ErrNameTaken
	}
	if known {
		if old.Granted+n.Credit > ledger.MaxGrant {
			return id, ledger.ErrGrantLimit
		}
		old.Name, old.Role, old.State = n.Name, n.Role, ledger.Active
		old.Granted += n.Credit
		a.changed[id] = true
	} else {
		id = fresh
		r := &row{}
		r.ID, r.Name, r.Role, r.Pin, r.Granted = id, n.Name, n.Role, n.Pin, n.Credit
		a.known[id], a.pins[n.Pin] = r, id
		a.added = append(a.added, r)
	}
	a.names[n.Name] = id
	return id, nil
}

// write writes what add decided.
func (a *adding) write(ctx context.Context, tx pgx.Tx) error {
	b := &pgx.Batch{}
	for _, r := range a.added {
		b.Queue(`INSERT INTO account (id, name, role, state, pin, created, granted, issued, change) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)`,
			[16]byte(r.ID), r.Name, int16(r.Role), int16(r.State), r.Pin[:], a.created, r.Granted, [16]byte(a.mark))
		b.Queue(`INSERT INTO pin (pin, account) VALUES ($1, $2)`, r.Pin[:], [16]byte(r.ID))
		b.Queue(`INSERT INTO name (name, account) VALUES ($1, $2)`, r.Name, [16]byte(r.ID))
	}
	for id := range a.changed {
		r := a.known[id]
		b.Queue(`UPDATE account SET name = $2, role = $3, state = $4, granted = $5, change = $6 WHERE id = $1`,
			[16]byte(id), r.Name, int16(r.Role), int16(r.State), r.Granted, [16]byte(a.mark))
		b.Queue(`INSERT INTO name (name, account) VALUES ($1, $2)`, r.Name, [16]byte(id))
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	for id := range a.changed {
		if err := noteChange(ctx, tx, id, nil); err != nil {
			return err
		}
	}
	return nil
}
