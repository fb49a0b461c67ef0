package bank

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

func TestNewNamesWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	all := Options{Ledger: w.fake, Keys: w.ring, Mint: w.mint}
	for name, o := range map[string]Options{
		"ledger":  {Keys: all.Keys, Mint: all.Mint},
		"keyring": {Ledger: all.Ledger, Mint: all.Mint},
		"mint":    {Ledger: all.Ledger, Keys: all.Keys},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: error %v", name, err)
		}
	}
}

// TestRoles calls everything with every role, also with roles that do not exist.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	coin := w.coins(t, 1)[0]
	rec := record(t, w.key, coin, 1)
	calls := map[string]struct {
		role ledger.Role
		call func(ledger.Client) ([]byte, error)
	}{
		"withdraw": {ledger.RoleCollector, func(a ledger.Client) ([]byte, error) {
			return w.Withdraw(t.Context(), a, []byte("kept"), ledger.RequestID{1}, 1)
		}},
		"refund": {ledger.RoleCollector, func(a ledger.Client) ([]byte, error) {
			return w.Refund(t.Context(), a, []byte("kept"), make([]byte, 32))
		}},
		"redeem": {ledger.RoleAnalyst, func(a ledger.Client) ([]byte, error) {
			return w.Redeem(t.Context(), a, []byte("kept"), rec)
		}},
		"return": {ledger.RoleAnalyst, func(a ledger.Client) ([]byte, error) {
			return w.Return(t.Context(), a, []byte("kept"), rec)
		}},
	}
	for name, c := range calls {
		for _, acc := range []ledger.Client{w.collector, w.analyst, {ID: w.analyst.ID}, {ID: w.analyst.ID, Role: 3}} {
			if acc.Role == c.role {
				continue
			}
			got, err := c.call(acc)
			if !errors.Is(err, ErrRole) || string(got) != "kept" {
				t.Errorf("%s by %v: %q, %v; want the untouched dst and ErrRole", name, acc.Role, got, err)
			}
		}
	}
	if len(w.fake.batches) != 0 || !w.fake.live[w.mint.Fingerprint(&coin)] {
		t.Fatalf("a call with the wrong role reached the ledger: %v", w.fake.batches)
	}
	for name, c := range calls {
		acc := w.collector
		if c.role == ledger.RoleAnalyst {
			acc = w.analyst
		}
		if _, err := c.call(acc); err != nil {
			t.Errorf("%s by %v: %v", name, c.role, err)
		}
	}
}

func TestKeysAndAccount(t *testing.T) {
	w := newWorld(t)
	keys := w.Keys().Keys
	if len(keys) != 3 {
		t.Fatalf("%d keys, want 3", len(keys))
	}
	for i, want := range []*core.PublicKey{w.key, w.xwing, w.rsa} {
		k := keys[i]
		raw, err := base64.StdEncoding.DecodeString(k.PublicKey)
		if err != nil || !bytes.Equal(raw, want.Bytes()) || k.KeyID != want.ID().String() ||
			k.Suite != want.Suite().String() || k.URL != "https://bank.example:7443" {
			t.Errorf("key %d is %+v (%v)", i, k, err)
		}
	}

	coins := w.coins(t, 10)
	if _, err := w.Refund(t.Context(), w.collector, nil, wire.AppendCoins(nil, coins[:3])); err != nil {
		t.Fatal(err)
	}
	a, err := w.Account(t.Context(), w.collector) // the snapshot is of before: the answer must not be
	want := wire.Account{
		ID: w.collector.ID.String(), Name: "cam-1", Role: "collector",
		Balance: 100_000 - 10 + 3, Granted: 100_000, Issued: 10, Refunded: 3,
	}
	if err != nil || a != want {
		t.Errorf("account is %+v (%v), want %+v", a, err, want)
	}
	if _, err := w.Account(t.Context(), ledger.Client{ID: ledger.AccountID{99}}); !errors.Is(err, ledger.ErrNoAccount) {
		t.Errorf("unknown account: %v", err)
	}
	audit, err := w.Audit(t.Context())
	if err != nil || !audit.OK || audit.Live != 7 {
		t.Errorf("audit: %+v, %v", audit, err)
	}
}

// TestSetKeys swaps the keyring under running calls: each call sees one or the other.
func TestSetKeys(t *testing.T) {
	w := newWorld(t)
	coins := w.coins(t, 40)
	other, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := core.NewKeyring(other)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			out, err := w.Redeem(t.Context(), w.analyst, nil, record(t, w.key, coins[i], 1))
			if err != nil || core.Status(out[0]) != core.StatusOK && core.Status(out[0]) != core.StatusNotOpen {
				t.Errorf("redeem during the swap: status %d, %v", out[0], err)
			}
		})
	}
	w.SetKeys(ring)
	wg.Wait()
	for _, c := range []struct {
		key  *core.PublicKey
		want core.Status
	}{{w.key, core.StatusNotOpen}, {other.Public(), core.StatusOK}} {
		out, err := w.Redeem(t.Context(), w.analyst, nil, record(t, c.key, coins[30], 1))
		if err != nil || core.Status(out[0]) != c.want {
			t.Errorf("after the swap, key %v: status %d (%v), want %v", c.key.ID(), out[0], err, c.want)
		}
	}
	if keys := w.Keys().Keys; len(keys) != 1 || keys[0].KeyID != other.Public().ID().String() {
		t.Errorf("keys after the swap: %+v", keys)
	}
}

// TestRefusalsChangeNothing gives every ledger error to every call: it comes through
// for errors.Is, dst is as before, and no error text holds the coin.
func TestRefusalsChangeNothing(t *testing.T) {
	w := newWorld(t)
	coin := w.coins(t, 1)[0]
	rec := record(t, w.key, coin, 1)
	for _, fail := range []error{
		ledger.ErrOverload, ledger.ErrClosed, ledger.ErrInsufficient, ledger.ErrRequestMismatch,
		ledger.ErrLowDisk, ledger.ErrNoAccount, context.Canceled, errors.New("disk on fire"),
	} {
		w.fake.fail = fail
		for name, call := range map[string]func(dst []byte) ([]byte, error){
			"withdraw": func(dst []byte) ([]byte, error) {
				return w.Withdraw(t.Context(), w.collector, dst, ledger.RequestID{7}, 3)
			},
			"redeem": func(dst []byte) ([]byte, error) { return w.Redeem(t.Context(), w.analyst, dst, rec) },
			"return": func(dst []byte) ([]byte, error) { return w.Return(t.Context(), w.analyst, dst, rec) },
			"refund": func(dst []byte) ([]byte, error) { return w.Refund(t.Context(), w.collector, dst, coin[:]) },
			"account": func(dst []byte) ([]byte, error) {
				_, err := w.Bank.Account(t.Context(), w.analyst)
				return dst, err
			},
		} {
			array := make([]byte, 256)
			got, err := call(array[:4])
			if !errors.Is(err, fail) {
				t.Errorf("%s with %v: error %v", name, fail, err)
			}
			if len(got) != 4 || !bytes.Equal(array, make([]byte, 256)) {
				t.Errorf("%s with %v: dst was written", name, fail)
			}
			if strings.Contains(fmt.Sprint(err), hex.EncodeToString(coin[:4])) {
				t.Errorf("%s with %v: the error holds the coin", name, fail)
			}
		}
	}
	w.fake.fail = nil
	if !w.fake.live[w.mint.Fingerprint(&coin)] {
		t.Error("the coin is gone")
	}
}
