package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// Audit is what a scan of the whole ledger found, all of it at one moment.
type Audit struct {
	Accounts int   // removed ones too
	Live     int64 // coins that can be redeemed or refunded
	Returned int64 // coins given back by an analyst, to be refunded
	Spent    int64 // spent records still kept
	Pending  int64 // coins debited and not live yet
	Granted  int64 // credit granted to all accounts
	Balances int64 // credit left in all accounts

	Issued   int64 // coins withdrawn by all accounts, since the beginning
	Redeemed int64 // coins redeemed, since the beginning
	Refunded int64 // coins refunded, since the beginning

	// Damaged lists the shards with coins that cannot be read.
	Damaged []int

	// Problems says in plain words what is wrong, at most 100 lines; empty when all is
	// well. It names shards and accounts, never fingerprints.
	Problems []string
}

// OK reports whether the audit found nothing wrong.
func (a Audit) OK() bool { return len(a.Problems) == 0 }

const maxProblems = 100

// Audit scans every record as of one moment, while the ledger works on, and compares
// what must agree:
//
//   - a coin is in one state, its record can be read, and it is counted by its shard;
//   - a shard's index, if it has one, holds exactly the live coins of the store;
//   - each shard's counters are the sums of the accounts' tallies in it;
//   - each account has its pins, its name, funds and only tallies of shards that exist, and
//     no pin or name leads elsewhere;
//   - what the accounts withdrew is what the shards issued and what is under way;
//   - credit granted = balances + live + returned + under way.
//
// What is wrong, damaged files included, is listed in Problems. An error means that
// there was no audit: ErrClosed, also when Close breaks it off, or ctx.Err(). It reads
// about as fast as the disk does and needs hardly any memory. With an index, calls wait
// for some tens of milliseconds at its beginning.
func (l *Ledger) Audit(ctx context.Context) (_ Audit, err error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return Audit{}, err
	}
	defer leave()
	ctx, cancel := l.untilClose(ctx)
	defer cancel()

	v := l.newView()
	defer func() { err = errors.Join(err, v.close()) }()
	v.checkTables()
	a := auditor{l: l, ctx: ctx, view: v}
	a.run()
	if ctx.Err() != nil {
		return Audit{}, context.Cause(ctx)
	}
	return a.report, nil
}

// auditor is one audit under way. Its steps go on after a problem, but sums that a
// damaged part is missing from are not compared.
type auditor struct {
	l      *Ledger
	ctx    context.Context
	view   *view
	report Audit
	more   int // problems that were not listed

	partial  bool  // some records could not be read
	underWay int64 // coins of withdrawals under way, live ones included; without keys alone
	counters [maxShards]counters
	tallies  [maxShards]tally // over all accounts
}

func (a *auditor) problem(format string, args ...any) {
	if len(a.report.Problems) == maxProblems-1 {
		a.more++
		return
	}
	line, _, _ := strings.Cut(fmt.Sprintf(format, args...), "\n") // Pebble's errors have more
	a.report.Problems = append(a.report.Problems, line)
}

// broken is a problem that leaves the sums incomplete.
func (a *auditor) broken(format string, args ...any) {
	a.partial = true
	a.problem(format, args...)
}

func (a *auditor) run() {
	a.readCounters()
	a.scanCoins()
	a.scanAccounts()
	a.scanWithdrawals()
	a.scanKept()
	a.scanRest()
	if a.ctx.Err() == nil && !a.partial {
		a.compare()
	}
	if a.more > 0 {
		a.report.Problems = append(a.report.Problems, fmt.Sprintf("and %d problems more", a.more))
	}
}

// each calls visit for every row of a kind, disk by disk; key and value are valid
// during the call.
func (a *auditor) each(kind byte, what string, visit func(key, value []byte)) {
	for _, db := range a.view.snaps {
		a.eachOn(db, kind, what, visit)
	}
}

func (a *auditor) eachOn(db *pebble.Snapshot, kind byte, what string, visit func(key, value []byte)) {
	it, err := db.NewIter(kindRange(kind))
	if err != nil {
		a.broken("%s: cannot be read: %v", what, err)
		return
	}
	for ok := it.First(); ok && a.ctx.Err() == nil; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			break // Close returns it
		}
		visit(it.Key(), value)
	}
	if err := it.Close(); err != nil {
		a.broken("%s: reading stopped: %v", what, err)
	}
}

func (a *auditor) readCounters() {
	a.each(kindCounters, "counters of the shards", func(key, value []byte) {
		if len(key) != countersKeyLen || int(key[1]) >= len(a.l.shards) {
			a.broken("counters of a shard that does not exist")
			return
		}
		var err error
		if a.counters[key[1]], err = decodeCounters(value); err != nil {
			a.broken("shard %d: %v", key[1], err)
		}
	})
}

// scanAccounts walks accounts, funds and tallies together, all ordered by account.
func (a *auditor) scanAccounts() {
	fundsRows := a.cursor(a.view.accounts(), kindFunds, "funds of the accounts")
	defer fundsRows.close(a)
	var tallyRows []*cursor // one a disk
	for _, db := range a.view.snaps {
		rows := a.cursor(db, kindTally, "tallies of the accounts")
		defer rows.close(a)
		tallyRows = append(tallyRows, rows)
	}
	pins, names := 0, 0
	a.each(kindAccount, "accounts", func(key, value []byte) {
		if len(key) != accountKeyLen {
			a.broken("an account's key has the wrong length")
			return
		}
		id := AccountID(key[1:])
		a.report.Accounts++
		a.skip(fundsRows, id[:], "funds")
		for _, rows := range tallyRows {
			a.skip(rows, id[:], "a tally")
		}
		record, err := decodeAccount(value)
		if err != nil {
			a.broken("account %v: %v", id, err)
		} else {
			for _, pin := range record.pins() {
				pins++
				if found, err := findOwner(a.view.accounts(), pinKey(pin)); err != nil || found != id {
					a.problem("account %v: a pin does not lead to it", id)
				}
			}
			if record.state != Removed {
				names++
				if found, err := findOwner(a.view.accounts(), nameKey(record.name)); err != nil || found != id {
					a.problem("account %v: its name does not lead to it", id)
				}
			}
		}
		var f funds
		if !fundsRows.at(id[:]) {
			a.broken("account %v: its funds are missing", id)
		} else {
			if f, err = decodeFunds(fundsRows.value()); err != nil {
				a.broken("account %v: %v", id, err)
			}
			fundsRows.next()
		}
		var t tally
		for _, rows := range tallyRows {
			t.add(a.sumTallies(rows, id))
		}
		balance := f.granted - f.issued + t.redeemed - t.returned + t.refunded
		a.report.Granted += f.granted
		a.report.Issued += f.issued
		a.report.Redeemed += t.redeemed
		a.report.Refunded += t.refunded
		a.report.Balances += balance
	})
	a.skip(fundsRows, nil, "funds")
	for _, rows := range tallyRows {
		a.skip(rows, nil, "a tally")
	}

	a.each(kindPin, "pins", func(key, value []byte) { pins-- })
	a.each(kindName, "names", func(key, value []byte) { names-- })
	if a.ctx.Err() == nil && (pins != 0 || names != 0) && !a.partial {
		a.problem("the accounts have %d pins and %d names more than lead to them", pins, names)
	}
}

func (a *auditor) sumTallies(rows *cursor, id AccountID) (sum tally) {
	for ; rows.at(id[:]); rows.next() {
		if len(rows.key()) != tallyKeyLen {
			a.broken("account %v: the key of a tally has the wrong length", id)
			continue
		}
		shard := int(rows.key()[tallyKeyLen-1])
		t, err := decodeTally(rows.value())
		switch {
		case err != nil:
			a.broken("account %v: shard %d: %v", id, shard, err)
		case shard >= len(a.l.shards):
			a.broken("account %v: a tally of shard %d, which does not exist", id, shard)
		default:
			sum.add(t)
			a.tallies[shard].add(t)
		}
	}
	return sum
}

// skip passes rows of accounts before id (nil: all that are left), which have no account.
func (a *auditor) skip(rows *cursor, id []byte, what string) {
	for rows.valid() && (id == nil || bytes.Compare(rows.key()[1:], id) < 0) && a.ctx.Err() == nil {
		a.broken("%s of an account that does not exist", what)
		rows.next()
	}
}

// scanWithdrawals counts the coins under way: those that are not live yet. They are
// made again from the salt, because nothing else tells which they are.
func (a *auditor) scanWithdrawals() {
	spent := a.windows()
	looks := make([]lookup, len(a.view.snaps))
	for i := range looks {
		looks[i].db = a.view.snaps[i]
		defer looks[i].end()
	}
	a.each(kindPending, "withdrawals under way", func(key, value []byte) {
		p, err := decodePending(key, value)
		if err != nil {
			a.broken("a withdrawal under way: %v", err)
			return
		}
		if _, err := readRecord(a.view.accounts(), p.account); err != nil {
			a.problem("a withdrawal under way has no account: %v", err)
		}
		if a.l.o.keyless {
			a.underWay += int64(p.count)
			return
		}
		for _, fp := range a.l.o.Mint(nil, &p.salt, p.count) {
			look := &looks[a.disk(shardOf(&fp, len(a.l.shards)))]
			c, _, err := look.coin(&fp, spent, false)
			switch {
			case err != nil:
				a.broken("account %v: a coin of a withdrawal under way cannot be read: %v", p.account, err)
			case c.Phase == life.Unknown:
				a.report.Pending++
			}
		}
	})
	a.each(kindEnded, "withdrawals that ended", func(key, value []byte) {
		w, err := decodeWithdrawal(value)
		if err != nil || len(key) != endedKeyLen {
			a.problem("a withdrawal that ended cannot be read: %v", err)
		} else if w.state == withdrawalPending {
			a.problem("a withdrawal under way is among those that ended")
		}
	})
}

// scanKept compares what was dropped with what there is.
func (a *auditor) scanKept() {
	for _, db := range a.view.snaps {
		a.eachOn(db, kindKept, "kept windows", func(key, value []byte) {
			kept, err := decodeKept(value)
			if err != nil || len(key) != len(keptKey(0)) {
				a.problem("kept windows cannot be read: %v", err)
				return
			}
			list, err := listWindows(db, key[1])
			if err != nil {
				a.broken("windows: %v", err)
			} else if len(list) > 0 && list[0] < kept {
				a.problem("records of kind %q are in a window that was dropped", key[1])
			}
		})
	}
}

// windows returns the windows of spent coins on any disk, oldest first.
func (a *auditor) windows() (list []uint32) {
	for _, db := range a.view.snaps {
		some, err := listWindows(db, kindSpent)
		if err != nil {
			a.broken("windows of spent coins: %v", err)
		}
		list = append(list, some...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// disk returns the position of a shard's disk.
func (a *auditor) disk(shard int) int { return shard % len(a.view.snaps) }

// scanRest looks between the kinds, where nothing may be.
func (a *auditor) scanRest() {
	for _, db := range a.view.snaps {
		a.scanRestOf(db)
	}
}

func (a *auditor) scanRestOf(db *pebble.Snapshot) {
	it, err := db.NewIter(nil)
	if err != nil {
		a.broken("keys of no known kind: %v", err)
		return
	}
	from := []byte{0}
	for i := 0; i <= len(kinds); i++ {
		if it.SeekGE(from) && (i == len(kinds) || it.Key()[0] < kinds[i]) {
			a.problem("there are keys of a kind that this program does not know")
		}
		if i < len(kinds) {
			from = []byte{kinds[i] + 1}
		}
	}
	if err := it.Close(); err != nil {
		a.broken("keys of no known kind: reading stopped: %v", err)
	}
}

// compare checks the sums.
func (a *auditor) compare() {
	var issued int64
	for i := range a.l.shards {
		c, t := a.counters[i], a.tallies[i]
		issued += c.issued
		if c.redeemed != t.redeemed {
			a.problem("shard %d: it counts %d coins redeemed, the accounts %d", i, c.redeemed, t.redeemed)
		}
		if c.returned != t.returned {
			a.problem("shard %d: it counts %d coins returned, the accounts %d", i, c.returned, t.returned)
		}
		if n := c.refundedLive + c.refundedReturned; n != t.refunded {
			a.problem("shard %d: it counts %d coins refunded, the accounts %d", i, n, t.refunded)
		}
	}
	r := &a.report
	if a.l.o.keyless {
		r.Pending = max(0, min(r.Issued-issued, a.underWay)) // the number that is right, if one can be
	}
	if r.Issued != issued+r.Pending {
		a.problem("the accounts withdrew %d coins, but %d were issued and %d are under way", r.Issued, issued, r.Pending)
	}
	if sum := r.Balances + r.Live + r.Returned + r.Pending; r.Granted != sum {
		a.problem("conservation: %d granted, but balances %d + live %d + returned %d + under way %d = %d",
			r.Granted, r.Balances, r.Live, r.Returned, r.Pending, sum)
	}
}

// scanCoins goes shard by shard, so that damage says which shards it is in and hides
// nothing of the others.
func (a *auditor) scanCoins() {
	counted := !a.partial // the counters could be read
	windows := a.windows()
	for shard := 0; shard < len(a.l.shards) && a.ctx.Err() == nil; shard++ {
		a.scanShard(shard, windows, counted)
	}
}

// scanShard walks a shard's live coins, returned coins and every window of spent ones
// together, all ordered by fingerprint, so that a coin in two states is met at one
// place.
func (a *auditor) scanShard(shard int, windows []uint32, counted bool) {
	rows := a.coinCursors(shard, a.disk(shard), windows)
	for disk := range a.view.snaps {
		if disk != a.disk(shard) {
			for _, r := range a.coinCursors(shard, disk, windows) {
				if r.valid() {
					a.broken("%s: there are some on another disk, number %d", r.what, disk)
				}
				r.close(a)
			}
		}
	}
	var live, returned, twice, bad int64
	var sum uint64 // of the live coins, see slot.mix
	for a.ctx.Err() == nil {
		var fp *core.Fingerprint
		for _, r := range rows {
			for r.valid() && len(r.key()) != r.prefix+16 {
				a.broken("%s: a key has the wrong length", r.what)
				r.next()
			}
			if r.valid() {
				if k := core.Fingerprint(r.key()[r.prefix:]); fp == nil || bytes.Compare(k[:], fp[:]) < 0 {
					fp = &k
				}
			}
		}
		if fp == nil {
			break
		}
		states := 0
		for i, r := range rows {
			if !r.valid() || !bytes.Equal(r.key()[r.prefix:], fp[:]) {
				continue
			}
			states++
			var err error
			switch i {
			case 0:
				live++
				sum += toSlot(fp).mix()
				if len(r.value()) != 0 {
					err = badRecord("live coin", "it has a value")
				}
			case 1:
				returned++
				_, err = decodeReturned(r.value())
			default:
				a.report.Spent++
				_, err = decodeSpent(r.value())
			}
			if err != nil {
				bad++
			}
			r.next()
		}
		if states > 1 {
			twice++
		}
	}
	whole := true
	for _, r := range rows {
		whole = r.close(a) && whole
	}
	if a.ctx.Err() != nil {
		return
	}
	a.report.Live += live
	a.report.Returned += returned
	if twice > 0 {
		a.problem("shard %d: %d coins are in more than one state, such as live and spent", shard, twice)
	}
	if bad > 0 {
		a.problem("shard %d: the records of %d coins cannot be read", shard, bad)
	}
	if !whole || bad > 0 {
		a.report.Damaged = append(a.report.Damaged, shard)
	}
	if !whole || !counted {
		return
	}
	if m := a.view.marks[shard]; m.has && (m.n != live || m.sum != sum || !m.sound) {
		a.problem("shard %d: its index does not hold the %d live coins of the store", shard, live)
	}
	if c := a.counters[shard]; live != c.live() {
		a.problem("shard %d: it counts %d live coins, the scan found %d", shard, c.live(), live)
	}
	if c := a.counters[shard]; returned != c.held() {
		a.problem("shard %d: it counts %d returned coins, the scan found %d", shard, c.held(), returned)
	}
}

// cursor walks a range of rows. A read error ends it and is a problem when it is closed.
type cursor struct {
	it     *pebble.Iterator
	what   string
	prefix int // length of the keys' common beginning
	ok     bool
	err    error
}

func (a *auditor) cursor(db *pebble.Snapshot, kind byte, what string) *cursor {
	return a.openCursor(db, what, 1, kindRange(kind))
}

// coinCursors walk a shard's live coins, its returned ones, and each window of its
// spent ones.
func (a *auditor) coinCursors(shard, disk int, windows []uint32) []*cursor {
	rows := []*cursor{
		a.coinCursor(disk, []byte{kindLive}, shard, "live coins"),
		a.coinCursor(disk, []byte{kindReturned}, shard, "returned coins"),
	}
	for _, w := range windows {
		rows = append(rows, a.coinCursor(disk, appendWindowKey(nil, kindSpent, w), shard, "spent coins"))
	}
	return rows
}

// coinCursor walks the rows of a shard's coins behind prefix.
func (a *auditor) coinCursor(disk int, prefix []byte, shard int, what string) *cursor {
	return a.openCursor(a.view.snaps[disk], fmt.Sprintf("shard %d: %s", shard, what), len(prefix), coinRange(prefix, shard, len(a.l.shards)))
}

func (a *auditor) openCursor(db *pebble.Snapshot, what string, prefix int, o *pebble.IterOptions) *cursor {
	it, err := db.NewIter(o)
	if err != nil {
		return &cursor{what: what, prefix: prefix, err: err}
	}
	return &cursor{it: it, what: what, prefix: prefix, ok: it.First()}
}

func (c *cursor) valid() bool { return c.ok }
func (c *cursor) key() []byte { return c.it.Key() }
func (c *cursor) next()       { c.ok = c.it.Next() }

// value returns the row's value; one that cannot be read is nil, which no decoder takes.
func (c *cursor) value() []byte {
	v, err := c.it.ValueAndErr()
	if err != nil {
		c.err = errors.Join(c.err, err)
		return nil
	}
	return v
}

// at reports whether the cursor is at a row of the account id.
func (c *cursor) at(id []byte) bool {
	return c.ok && len(c.key()) >= 1+len(id) && bytes.Equal(c.key()[1:1+len(id)], id)
}

// close reports whether the whole range was read.
func (c *cursor) close(a *auditor) bool {
	err := c.err
	if c.it != nil {
		err = errors.Join(err, c.it.Close())
	}
	if err != nil {
		a.broken("%s: reading stopped: %v", c.what, err)
	}
	return err == nil
}
