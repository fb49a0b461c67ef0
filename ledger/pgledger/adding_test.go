package pgledger

import (
	"context"
	"errors"
	"testing"

	"ecoin/internal/pgtest"
	"ecoin/ledger"
)

// An account is added for a key that another node takes from its account meanwhile: the key
// is free then, and the account that is told is the one it leads to.
func TestAddBehindDrop(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		state ledger.State
		want  error
	}{
		"from a removed account": {ledger.Removed, nil},
		"from an active account": {ledger.Active, ledger.ErrNameTaken},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, pgtest.Shared(t), Options{})
			ctx := context.Background()
			pin, kept := ledger.Pin{10}, ledger.Pin{11}
			cam, err := n.AddAccount(ctx, "cam", ledger.RoleCollector, kept)
			if err == nil {
				_, err = n.AddPin(ctx, cam.ID, pin)
			}
			if err == nil {
				_, err = n.SetState(ctx, cam.ID, test.state)
			}
			if err != nil {
				t.Fatal(err)
			}
			other, unlock := n.lockRow(cam.ID)
			var got ledger.Account
			done := make(chan error)
			go func() {
				var err error
				got, err = n.AddAccount(ctx, "cam", ledger.RoleCollector, pin)
				done <- err
			}()
			n.waitsForLock()
			_, err = other.Exec(ctx, `UPDATE account SET pin = $2, old_pin = NULL WHERE id = $1`, [16]byte(cam.ID), kept[:])
			if err == nil {
				_, err = other.Exec(ctx, `DELETE FROM pin WHERE pin = $1`, pin[:])
			}
			if err != nil {
				t.Error(err)
			}
			unlock()
			if err := <-done; !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Fatalf("told %v, want %v", err, test.want)
			}
			if test.want != nil {
				return
			}
			if c, err := n.ClientByPin(ctx, pin); err != nil || c.ID != got.ID || c.ID == cam.ID {
				t.Errorf("the key leads to %v, %v; told %v", c.ID, err, got.ID)
			}
		})
	}
}
