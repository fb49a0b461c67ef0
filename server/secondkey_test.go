package server

import (
	"context"
	"testing"
	"time"

	"ecoin/internal/wire"
	"ecoin/ledger"
)

// addKey gives the account of that name the key of somebody who is nobody yet.
func (h *harness) addKey(name string) *peer {
	h.t.Helper()
	p := h.stranger(newIdentity(h.t, name, time.Hour))
	h.adminDo("POST", wire.AdminPathAccounts+"/"+name+"/"+wire.AdminActionAddKey, wire.AccountKey{Pin: ledger.Pin(p.id.Pin).String()}).want(h.t, "add key", 200)
	return p
}

// TestSecondKeyOfARevivedAccount: an account of two keys is removed, and both clients are
// told so. One key is added again, which gives the account back with both.
func TestSecondKeyOfARevivedAccount(t *testing.T) {
	t.Parallel()
	h := start(t)
	one := h.client("cam-1", ledger.RoleCollector, 10)
	two := h.addKey("cam-1")
	h.remove("cam-1")
	for _, p := range []*peer{one, two} {
		h.wantNothing("a key of a removed account", p.rawConfig())
	}
	h.adminDo("POST", wire.AdminPathAccounts, wire.AddAccount{Name: "cam-1", Role: "collector", Pin: ledger.Pin(one.id.Pin).String()}).want(t, "add again", 200)
	for _, p := range []*peer{one, two} {
		p.do("GET", wire.PathAccount, nil).want(t, "a key of an account that was added again", 200)
	}
}

// beforeState calls then, once, before the state of an account is changed.
type beforeState struct {
	accounts
	then func()
}

func (b *beforeState) SetState(ctx context.Context, id ledger.AccountID, s ledger.State) (ledger.Account, error) {
	if f := b.then; f != nil {
		b.then = nil
		f()
	}
	return b.accounts.SetState(ctx, id, s)
}

// TestKeyAddedDuringARemoval: a key that the removal did not see when it began is out with
// the account.
func TestKeyAddedDuringARemoval(t *testing.T) {
	t.Parallel()
	b := &beforeState{}
	h := start(t, func(o *Options) { b.accounts, o.Accounts = o.Accounts, b })
	h.client("cam-1", ledger.RoleCollector, 10)
	var late *peer
	b.then = func() {
		late = h.addKey("cam-1")
		late.do("GET", wire.PathAccount, nil).want(t, "the late key before the removal", 200)
	}
	h.remove("cam-1")
	late.http.CloseIdleConnections()
	h.wantNothing("a key that was added during the removal", late.rawConfig())
}
