package collector

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"ecoin/core"
)

// fetchPause is the least time between two questions for the bank's keys, as long
// as there is a key to go on with.
const fetchPause = 10 * time.Second

// keys knows which of the bank's keys to seal for.
type keys struct {
	bank    Bank
	suite   core.Suite
	refresh time.Duration
	fixed   *core.PublicKey
	log     *slog.Logger
	now     func() time.Time

	mu       sync.Mutex // guards the fields below
	key      *core.PublicKey
	good     time.Time     // key need not be asked for again before
	fetching chan struct{} // closed when the question that is under way has ended
}

// get returns the key to use now. It asks the bank if it knows none, or if what it
// knows is old; one caller asks, and the others go on with the old key meanwhile.
func (k *keys) get(ctx context.Context) (*core.PublicKey, error) {
	if k.fixed != nil {
		return k.fixed, nil
	}
	for {
		k.mu.Lock()
		key, fetching := k.key, k.fetching
		if key != nil && (fetching != nil || k.now().Before(k.good)) {
			k.mu.Unlock()
			return key, nil
		}
		if fetching == nil {
			break // with k.mu
		}
		k.mu.Unlock()
		select {
		case <-fetching:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	done := make(chan struct{})
	k.fetching = done
	old := k.key
	k.mu.Unlock()

	key, err := k.fetch(ctx)

	k.mu.Lock()
	defer k.mu.Unlock()
	k.fetching = nil
	close(done)
	switch {
	case err == nil:
		k.key, k.good = key, k.now().Add(k.refresh)
		return key, nil
	case old != nil:
		k.log.Warn("the bank's keys could not be fetched again; going on with the last one", "error", err)
		k.good = k.now().Add(fetchPause)
		return old, nil
	}
	return nil, err
}

func (k *keys) fetch(ctx context.Context) (*core.PublicKey, error) {
	all, err := k.bank.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("collector: fetch the bank's keys: %w", &bankError{err})
	}
	var others []string
	for _, key := range all {
		if key.Public.Suite() == k.suite {
			return key.Public, nil // the bank lists first what it wants used
		}
		others = append(others, key.Public.Suite().String())
	}
	return nil, fmt.Errorf("collector: the bank has no %v key, but these: %s", k.suite, strings.Join(others, ", "))
}

// doubt has the key asked for again soon: an operation failed as one does whose key
// the bank has retired.
func (k *keys) doubt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if soon := k.now().Add(fetchPause); k.good.After(soon) {
		k.good = soon
	}
}
