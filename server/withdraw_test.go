package server

import (
	"context"
	"crypto/x509"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/ledger"
)

// heldUp is a bank whose first withdrawal waits before the ledger, as in a full queue or
// at a database that is asked again.
type heldUp struct {
	Bank
	calls   atomic.Int32
	release chan struct{}
	done    chan error // what became of it
}

func (b *heldUp) Withdraw(ctx context.Context, acc ledger.Client, dst []byte, id ledger.RequestID, n int) ([]byte, error) {
	if b.calls.Add(1) > 1 {
		return b.Bank.Withdraw(ctx, acc, dst, id, n)
	}
	<-b.release
	dst, err := b.Bank.Withdraw(ctx, acc, dst, id, n)
	b.done <- err
	return dst, err
}

// TestNoCreditWhileATryIsUnderWay: a client loses patience with its first try, and the
// second is refused for want of credit. Then there is some, and the first goes through:
// the client must not have been told for certain that nothing happens, and its next
// question brings the coins.
func TestNoCreditWhileATryIsUnderWay(t *testing.T) {
	bank := &heldUp{release: make(chan struct{}), done: make(chan error, 1)}
	h := start(t, func(o *Options) { bank.Bank = o.Bank; o.Bank = bank })
	p := h.client("cam", ledger.RoleCollector, 0)
	roots := x509.NewCertPool()
	roots.AddCert(h.id.Certificate.Leaf)
	c, err := client.New(client.Options{
		URL: h.url(""), Identity: p.id, Roots: roots, Timeout: time.Second,
		Retry: client.Retry{Attempts: -1}, // until the refusal, however slow this machine is
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	id := [16]byte{1}
	if _, err := c.Withdraw(t.Context(), id, 5); err == nil || client.Definite(err) {
		t.Errorf("while a try is under way: %v, definite %t", err, client.Definite(err))
	}
	if _, err := h.store.Grant(t.Context(), p.account.ID, 10); err != nil {
		t.Fatal(err)
	}
	close(bank.release)
	if err := <-bank.done; err != nil {
		t.Fatalf("the first try: %v", err)
	}
	coins, err := c.Withdraw(t.Context(), id, 5)
	if err != nil || len(coins) != 5 {
		t.Errorf("asked again: %d coins, %v", len(coins), err)
	}
	if a, err := h.store.Account(t.Context(), p.account.ID); err != nil || a.Balance() != 5 || a.Issued != 5 {
		t.Errorf("balance %d after %d coins, %v; want 5 and 5", a.Balance(), a.Issued, err)
	}
}
