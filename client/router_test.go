package client

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
)

// routedBank is a fake bank with keys, that answers returns with its own status.
func routedBank(t *testing.T, status core.Status, keys ...*core.PublicKey) (*fakeBank, *Client) {
	t.Helper()
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		if r.URL.Path == wire.PathKeys {
			send(w, wire.TypeJSON, keysJSON(t, keys...))
			return
		}
		out := make([]byte, len(body)/108)
		for i := range out {
			out[i] = byte(status)
		}
		send(w, wire.TypeBinary, out)
	})
	return b, b.newClient(t, 5*time.Second)
}

func recordOf(k *core.PublicKey) []byte {
	bound := k.Bound()
	return append(bound[:], make([]byte, 96)...)
}

// TestRouter mixes records of banks, more than one call takes, and of no bank.
func TestRouter(t *testing.T) {
	keys := []*core.PublicKey{newKey(t), newKey(t), newKey(t)}
	_, first := routedBank(t, core.StatusOK, keys[0], keys[1])
	second, two := routedBank(t, core.StatusNotLive, keys[2])
	r, err := NewRouter(ctx, first, two)
	if err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	var want []core.Status
	for i := range 2500 {
		records = append(records, recordOf(keys[i%3]))
		want = append(want, []core.Status{core.StatusOK, core.StatusOK, core.StatusNotLive}[i%3])
	}
	unknown := newKey(t)
	records[7], records[8], records[9], records[10] = recordOf(unknown), []byte("short"), records[9][:50], append(recordOf(keys[1]), 1)
	got, errs := r.Return(ctx, records)
	for i := range records {
		switch {
		case i >= 7 && i <= 10:
			if !Definite(errs[i]) || !strings.Contains(errs[i].Error(), "no bank") && !strings.Contains(errs[i].Error(), "not one record") {
				t.Errorf("record %d of no bank: %v", i, errs[i])
			}
		case errs[i] != nil || got[i] != want[i]:
			t.Fatalf("record %d: %v, %v; want %v", i, got[i], errs[i], want[i])
		}
	}
	if got, errs := r.Return(ctx, nil); len(got) != 0 || len(errs) != 0 {
		t.Error("answers for no records")
	}

	// One bank is away: its records fail, and nobody knows what became of them.
	second.Close()
	got, errs = r.Return(ctx, [][]byte{recordOf(keys[0]), recordOf(keys[2]), recordOf(keys[1])})
	if errs[0] != nil || errs[2] != nil || got[0] != core.StatusOK || got[2] != core.StatusOK {
		t.Errorf("records of the bank that is there: %v, %v", errs[0], errs[2])
	}
	if errs[1] == nil || Definite(errs[1]) {
		t.Errorf("a record of the bank that is away: %v", errs[1])
	}
	if err := r.Refresh(ctx); err == nil {
		t.Error("a refresh without one bank succeeds")
	}
	if i, err := r.bankOf(recordOf(keys[2])); err != nil || i != 1 {
		t.Error("the keys of the bank that is away were forgotten")
	}
	r, err = NewRouter(ctx, first, two)
	if err != nil {
		t.Fatalf("a router while one bank is away: %v", err)
	}
	got, errs = r.Return(ctx, [][]byte{recordOf(keys[1]), recordOf(keys[2])})
	if errs[0] != nil || got[0] != core.StatusOK || !Definite(errs[1]) {
		t.Errorf("records of a bank that was there at the start, and of one that was not: %v, %v", errs[0], errs[1])
	}
	if _, err := NewRouter(ctx, two, two); err == nil {
		t.Error("a router without any keys")
	}
}

func TestRouterRefusesOneKeyTwice(t *testing.T) {
	key := newKey(t)
	_, a := routedBank(t, core.StatusOK, key)
	_, b := routedBank(t, core.StatusOK, newKey(t), key)
	if _, err := NewRouter(ctx, a, b); err == nil || !strings.Contains(err.Error(), key.ID().String()) {
		t.Errorf("two banks with one key: %v", err)
	}
}

// TestRouterRefresh follows a bank that makes a key and retires another.
func TestRouterRefresh(t *testing.T) {
	old, next := newKey(t), newKey(t)
	current := old
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		if r.URL.Path == wire.PathKeys {
			send(w, wire.TypeJSON, keysJSON(t, current))
			return
		}
		send(w, wire.TypeBinary, make([]byte, len(body)/108))
	})
	r, err := NewRouter(ctx, b.newClient(t, 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	current = next
	if _, errs := r.Return(ctx, [][]byte{recordOf(next)}); errs[0] == nil {
		t.Error("a key that was never announced is routed")
	}
	following, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { r.Follow(following, time.Millisecond, func(err error) { t.Error(err) }) })
	for _, err := r.bankOf(recordOf(next)); err != nil; _, err = r.bankOf(recordOf(next)) {
		runtime.Gosched()
	}
	stop()
	done.Wait()
	if _, errs := r.Return(ctx, [][]byte{recordOf(next), recordOf(old)}); errs[0] != nil || errs[1] == nil {
		t.Errorf("after the refresh: %v", errors.Join(errs...))
	}
}
