package server

import (
	"context"
	"maps"
	"sync"

	"github.com/VictoriaMetrics/metrics"

	"ecoin/ledger"
)

// truststore answers whose a key is: from a bounded memory of the clients that came
// last, or else from the accounts. Keys without an account are not remembered.
type truststore struct {
	accounts Accounts
	half     int // clients in each of the two maps; 0 remembers nothing

	mu      sync.Mutex // guards what follows; nothing blocks under it
	recent  map[ledger.Pin]ledger.Client
	older   map[ledger.Pin]ledger.Client // as full as recent may get; dropped when that is full
	changes int64                        // calls of forget

	hits, misses *metrics.Counter
}

func newTruststore(accounts Accounts, size int, set *metrics.Set) *truststore {
	return &truststore{
		accounts: accounts, half: (size + 1) / 2, recent: map[ledger.Pin]ledger.Client{},
		hits:   set.NewCounter(`ecoin_truststore_lookups_total{from="memory"}`),
		misses: set.NewCounter(`ecoin_truststore_lookups_total{from="ledger"}`),
	}
}

// client returns whose a key is, or ledger.ErrNoAccount.
func (t *truststore) client(ctx context.Context, pin ledger.Pin) (ledger.Client, error) {
	t.mu.Lock()
	c, ok := t.recent[pin]
	if !ok {
		if c, ok = t.older[pin]; ok {
			t.remember(pin, c)
		}
	}
	changes := t.changes
	t.mu.Unlock()
	if ok {
		t.hits.Inc()
		return c, nil
	}
	t.misses.Inc()
	c, err := t.accounts.ClientByPin(ctx, pin)
	if err != nil {
		return ledger.Client{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes == changes { // else c may be what was before the change
		t.remember(pin, c)
	}
	return c, nil
}

// remember expects the lock.
func (t *truststore) remember(pin ledger.Pin, c ledger.Client) {
	if t.half == 0 {
		return
	}
	if len(t.recent) >= t.half {
		t.older, t.recent = t.recent, map[ledger.Pin]ledger.Client{}
	}
	t.recent[pin] = c
}

// forget makes the next lookup of the keys of these accounts ask the accounts. Whoever
// changes an account calls it after the change is durable. Keys are not asked for: others
// than the caller knows may have come meanwhile.
func (t *truststore) forget(accounts ...ledger.AccountID) {
	changed := make(map[ledger.AccountID]struct{}, len(accounts))
	for _, id := range accounts {
		changed[id] = struct{}{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes++
	for _, m := range []map[ledger.Pin]ledger.Client{t.recent, t.older} {
		maps.DeleteFunc(m, func(_ ledger.Pin, c ledger.Client) bool {
			_, ok := changed[c.ID]
			return ok
		})
	}
}

// forgetKey is forget for one key.
func (t *truststore) forgetKey(pin ledger.Pin) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes++
	delete(t.recent, pin)
	delete(t.older, pin)
}
