package core

import (
	"testing"
	"unsafe"
)

func TestHeaderPool(t *testing.T) {
	key := testX25519()
	ring, err := NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	const size = 70 // more than one batch
	pool, err := NewHeaderPool(key.Public(), size)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(pool.ready))), size*unsafe.Sizeof(pool.ready[:1][0]))
	enc := map[[32]byte]bool{}
	for round := range 2 {
		if err := pool.Fill(&s); err != nil || pool.Len() != size {
			t.Fatalf("%d keys ready (%v), want %d", pool.Len(), err, size)
		}
		for i := range size + 2 { // the last two find the pool empty
			dst, array := dstWithRoom(SuiteX25519.RecordLen())
			record, err := pool.AppendHeader(dst, &s, testSecrets(byte(i)))
			if err != nil || &record[0] != &array[0] || string(record[:2]) != "ab" {
				t.Fatalf("record %d: %v, or appended somewhere else", i, err)
			}
			record = record[2:]
			var got Secrets
			if err := ring.OpenHeader(&s, record, &got); err != nil || got != *testSecrets(byte(i)) {
				t.Fatalf("round %d, record %d does not open: %v", round, i, err)
			}
			e := [32]byte(record[BoundLen:])
			if enc[e] {
				t.Fatal("an ephemeral key served twice")
			}
			enc[e] = true
			if want := max(0, size-1-i); pool.Len() != want {
				t.Fatalf("%d keys left, want %d", pool.Len(), want)
			}
		}
		for _, b := range memory {
			if b != 0 {
				t.Fatal("a used key is still in the pool's memory")
			}
		}
	}
	if err := pool.Fill(&s); err != nil {
		t.Fatal(err)
	}
	pool.Wipe()
	for _, b := range memory {
		if b != 0 || pool.Len() != 0 {
			t.Fatal("Wipe leaves something")
		}
	}
}

func TestNewHeaderPoolRefuses(t *testing.T) {
	for name, f := range map[string]func() (*HeaderPool, error){
		"rsa3072":   func() (*HeaderPool, error) { return NewHeaderPool(testRSA().Public(), 1) },
		"xwing":     func() (*HeaderPool, error) { return NewHeaderPool(testXWing().Public(), 1) },
		"no room":   func() (*HeaderPool, error) { return NewHeaderPool(testX25519().Public(), 0) },
		"too large": func() (*HeaderPool, error) { return NewHeaderPool(testX25519().Public(), MaxPool+1) },
	} {
		if p, err := f(); err == nil || p != nil {
			t.Errorf("%s: no error", name)
		}
	}
}
