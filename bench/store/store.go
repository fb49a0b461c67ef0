// Package store has ledgers of coins on several storage engines, all with one meaning: a
// redeem deletes a live coin if it is there, writes a spent record (account, digest, time)
// and credits the account, all of it together, and is on disk before it is answered. Engines
// that are libraries are served by one minimal server; those that are servers are spoken to
// directly. Start with [Open] and [Serve], and with [Client] on the other side.
package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"ecoin/core"
)

// Accounts is how many accounts are credited, numbered from 0.
const Accounts = 16

// window is how long a spent record is kept by engines that can forget by themselves.
const window = time.Hour

// Client redeems coins at a ledger. One goroutine uses it at a time.
type Client interface {
	// Redeem redeems coins for an account and sets one status each.
	Redeem(ctx context.Context, account uint16, coins []core.Fingerprint, out []core.Status) error
	Close() error
}

// Engine is a ledger in this process. Redeem is safe for concurrent use.
type Engine interface {
	// Load makes coins live, in ascending order, the fastest way that the engine has.
	Load(coins iter.Seq[core.Fingerprint]) error
	// LiveBytes is what live coins occupy on disk, without logs.
	LiveBytes() (int64, error)
	Redeem(ctx context.Context, account uint16, coins []core.Fingerprint, out []core.Status) error
	// Credit returns what an account was credited.
	Credit(account uint16) (int64, error)
	Close() error
}

// Engines are those that [Open] knows.
var Engines = []string{"ecoin", "badger", "bbolt", "sqlite"}

// Open makes a new ledger in dir, an empty or missing folder.
func Open(engine, dir string) (Engine, error) {
	open, ok := map[string]func(string) (Engine, error){"ecoin": openEcoin, "badger": openBadger, "bbolt": openBolt, "sqlite": openSQLite}[engine]
	if !ok {
		return nil, fmt.Errorf("store: no engine %q: there are %v", engine, Engines)
	}
	return open(dir)
}

// record is a spent record: account u16 | digest 16 | unix time u32. Real digests come from
// headers; here the fingerprint takes their place.
func record(account uint16, fp *core.Fingerprint) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, recordLen), account)
	return binary.BigEndian.AppendUint32(append(b, fp[:]...), uint32(time.Now().Unix()))
}

const recordLen = 2 + 16 + 4

// spentStatus is the answer for a coin that is not live, of which b is kept: a record, or
// nothing.
func spentStatus(b []byte, account uint16, fp *core.Fingerprint) (core.Status, error) {
	switch {
	case len(b) == 0:
		return core.StatusNotLive, nil
	case len(b) != recordLen:
		return 0, fmt.Errorf("store: a spent record of %d bytes", len(b))
	case binary.BigEndian.Uint16(b) == account && core.Fingerprint(b[2:18]) == *fp:
		return core.StatusRedeemedBefore, nil
	}
	return core.StatusRedeemed, nil
}
