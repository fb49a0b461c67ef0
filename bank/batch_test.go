package bank

import (
	"testing"
	"unsafe"

	"bytes"

	"ecoin/core"
	"ecoin/ledger"
)

// TestReleaseWipes looks at a batch's memory after release, and at that of the worker
// which opened it: no coin, IV or fingerprint may be left for the next call.
func TestReleaseWipes(t *testing.T) {
	w := newWorld(t)
	coins := w.coins(t, 5)
	var body []byte
	for i, c := range coins {
		body = append(body, record(t, w.key, c, byte(i+1))...)
	}
	b := newBatch()
	if err := b.parse(body); err != nil {
		t.Fatal(err)
	}
	worker := &openBatchMemory{pieces: []piece{{b, 0, 3}, {b, 3, 5}}}
	worker.open(w.ring, w.mint)
	b.found()
	b.withdrawn = append(b.withdrawn, coins...)
	b.fingerprints = append(b.fingerprints, w.mint.Fingerprint(&coins[0]))
	secrets, redemptions, withdrawn, fingerprints := b.secrets, b.coins, b.withdrawn, b.fingerprints
	for i, c := range coins {
		if secrets[i].Coin != c || redemptions[i].Fingerprint != w.mint.Fingerprint(&c) {
			t.Fatalf("coin %d: the batch does not hold what it should wipe", i)
		}
		memory := unsafe.Slice((*byte)(unsafe.Pointer(worker)), unsafe.Sizeof(*worker))
		if bytes.Contains(memory, c[:8]) {
			t.Errorf("coin %d is still in the worker's memory", i)
		}
	}
	b.wipe()
	for i := range coins {
		if secrets[i] != (core.Secrets{}) || redemptions[i] != (ledger.Redemption{}) || withdrawn[i] != (core.Coin{}) {
			t.Errorf("coin %d is still in the batch", i)
		}
	}
	if fingerprints[0] != (core.Fingerprint{}) {
		t.Error("a fingerprint is still in the batch")
	}
}

// TestFoundKeepsOrder leaves out what did not open, wherever it stands, and nothing of
// it stays behind.
func TestFoundKeepsOrder(t *testing.T) {
	for mask := range 1 << 4 {
		w := newBatch()
		var want []ledger.Redemption
		w.coins = w.coins[:0]
		w.ok = w.ok[:0]
		for i := range 4 {
			r := ledger.Redemption{Fingerprint: core.Fingerprint{byte(i + 1)}}
			w.coins, w.ok = append(w.coins, r), append(w.ok, mask>>i&1 == 1)
			if mask>>i&1 == 1 {
				want = append(want, r)
			}
		}
		all := w.coins
		w.found()
		if len(w.coins) != len(want) || len(w.status) != len(want) {
			t.Fatalf("%04b: %d coins, %d statuses", mask, len(w.coins), len(w.status))
		}
		for i := range all {
			switch {
			case i < len(want) && (all[i] != want[i] || w.status[i] != core.StatusTemporary):
				t.Errorf("%04b: coin %d is %v, %v", mask, i, all[i], w.status[i])
			case i >= len(want) && all[i] != ledger.Redemption{}:
				t.Errorf("%04b: coin %d stays", mask, i)
			}
		}
	}
}
