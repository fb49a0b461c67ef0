package core

import (
	"bytes"
	"slices"
	"testing"
	"unsafe"
)

// TestScratchBytes scans the memory of the scratch. Unlike TestScratchHoldsNoSecrets it
// does not need to know the fields.
func TestScratchBytes(t *testing.T) {
	sec := testSecrets(1)
	t.Run("suite=x25519", func(t *testing.T) {
		key := testX25519()
		private := key.open.(x25519Opener).priv.Bytes()
		scanScratch(t, key, sec, []int{1, 33}, func(record []byte) map[string][]byte {
			enc := record[BoundLen : BoundLen+32]
			dh := twinDH(t, private, enc)
			w := newTwin(dh, enc, key.Public().Bytes(), []byte(headerInfo))
			return map[string][]byte{
				"coin": sec.Coin[:], "IV": sec.IV[:], "private key": private, "Diffie-Hellman result": dh,
				"shared secret": w.sharedSecret, "AEAD key": w.key, "nonce": w.baseNonce,
			}
		})
	})
	t.Run("suite=xwing", func(t *testing.T) {
		key := testXWing()
		seed := key.open.(xwingOpener).seed[:]
		scanScratch(t, key, sec, []int{1, 1100, 1121}, func(record []byte) map[string][]byte {
			enc := record[BoundLen : BoundLen+1120]
			w, ssM, ssX, dkM, dkX := xwingTwinOpens(t, seed, enc, key.Public().Bytes(), []byte(headerInfo))
			return map[string][]byte{
				"coin": sec.Coin[:], "IV": sec.IV[:], "seed": seed, "ML-KEM seed": dkM, "X25519 key": dkX,
				"ML-KEM secret": ssM, "Diffie-Hellman result": ssX, "AEAD key": w.key, "nonce": w.baseNonce,
			}
		})
	})
}

// scanScratch seals and opens headers around sec, one and many, good ones and ones that
// are forged at a byte of the header. After each call it looks for what secrets returns
// of a record: eight bytes of it must not stay.
func scanScratch(t *testing.T, key *PrivateKey, sec *Secrets, forge []int, secrets func(record []byte) map[string][]byte) {
	ring, err := NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	check := func(after string, records ...[]byte) {
		t.Helper()
		for _, record := range records {
			for name, b := range secrets(record) {
				if scratchHolds(&s, b) {
					t.Errorf("after %s the scratch holds the %s", after, name)
				}
			}
		}
	}
	record, err := key.Public().AppendHeader(nil, &s, sec)
	if err != nil {
		t.Fatal(err)
	}
	check("AppendHeader", record)
	var out Secrets
	if err := ring.OpenHeader(&s, record, &out); err != nil || out != *sec {
		t.Fatal(err)
	}
	check("OpenHeader", record)
	for _, i := range append(forge, len(record)-BoundLen-1) {
		forged := flip(record, BoundLen+i)
		if err := ring.OpenHeader(&s, forged, &out); err != ErrOpen {
			t.Fatal(err)
		}
		check("a failed OpenHeader", forged, record)
	}

	batch, err := key.Public().AppendHeaders(nil, &s, slices.Repeat([]Secrets{*sec}, 20))
	if err != nil {
		t.Fatal(err)
	}
	records := slices.Collect(slices.Chunk(batch, key.Public().Suite().RecordLen()))
	check("AppendHeaders", records[0], records[19])
	const bad = 3
	records[bad] = flip(records[bad], BoundLen+forge[len(forge)-1])
	outs, oks := make([]Secrets, len(records)), make([]bool, len(records))
	ring.OpenHeaders(&s, records, outs, oks)
	for i := range oks {
		if oks[i] != (i != bad) {
			t.Fatalf("record %d opens: %v", i, oks[i])
		}
	}
	check("OpenHeaders", records...)
	for i, m := range s.headers.msgs {
		if m.AAD != nil || m.Plain != nil || m.Sealed != nil {
			t.Errorf("the scratch keeps message %d of a batch", i)
		}
	}

	// The scan finds what there is.
	for where, b := range map[string][]byte{"scratch": s.plain[3:], "memory for batches": s.headers.plain[7][3:]} {
		if copy(b, sec.Coin[4:12]); !scratchHolds(&s, sec.Coin[:]) {
			t.Errorf("the scan does not see the %s", where)
		}
		clear(b)
	}
}

// scratchHolds reports whether eight bytes of secret are in s or in its memory for
// batches of headers.
func scratchHolds(s *Scratch, secret []byte) bool {
	memories := [][]byte{unsafe.Slice((*byte)(unsafe.Pointer(s)), unsafe.Sizeof(*s))}
	if b := s.headers; b != nil {
		memories = append(memories, unsafe.Slice((*byte)(unsafe.Pointer(b)), unsafe.Sizeof(*b)))
	}
	for i := range len(secret) - 7 {
		for _, m := range memories {
			if bytes.Contains(m, secret[i:i+8]) {
				return true
			}
		}
	}
	return false
}
