package hpke

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"ecoin/core/internal/race"
	"ecoin/core/internal/vectors"
	"ecoin/core/internal/x25519"
)

func key(t testing.TB, s string) *[32]byte { return (*[32]byte)(vectors.Hex(t, s)) }

func mustBe(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if hex.EncodeToString(got) != want {
		t.Errorf("%s %x differs from the RFC", what, got)
	}
}

// TestRFC9180 holds appendix A.2.1 of the RFC.
func TestRFC9180(t *testing.T) {
	var v struct {
		Info, SkEm, PkEm, SkRm, PkRm, Key, Pt string
		BaseNonce                             string `json:"base_nonce"`
		Encryptions                           []struct {
			Seq     uint64
			Aad, Ct string
		}
	}
	vectors.File(t, "../../testdata/rfc9180-a2.json", &v)
	if len(v.Encryptions) != 6 || v.Encryptions[0].Seq != 0 {
		t.Fatalf("%d encryptions, want 6, the first with sequence number 0", len(v.Encryptions))
	}
	sender := NewSender(key(t, v.PkRm), vectors.Hex(t, v.Info))
	recipient := NewRecipient(key(t, v.SkRm), vectors.Hex(t, v.Info))

	// The key schedule, from either side.
	for _, side := range []struct {
		schedule        *schedule
		private, public string
	}{{&sender.schedule, v.SkEm, v.PkRm}, {&recipient.schedule, v.SkRm, v.PkEm}} {
		var s Scratch
		if !x25519.Multiply(&s.dh, key(t, side.private), key(t, side.public)) {
			t.Fatal("the shared secret is zero")
		}
		side.schedule.run(&s, key(t, v.PkEm))
		mustBe(t, "key", s.aead.key[:], v.Key)
		mustBe(t, "base nonce", s.aead.nonce[:], v.BaseNonce)
	}

	// The AEAD, with every sequence number of the appendix.
	for _, e := range v.Encryptions {
		a := aead{key: *key(t, v.Key), nonce: [12]byte(vectors.Hex(t, v.BaseNonce))}
		low := a.nonce[4:]
		binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^e.Seq)
		pt := vectors.Hex(t, v.Pt)
		ct := make([]byte, len(pt)+TagLen)
		a.seal(ct, pt, vectors.Hex(t, e.Aad))
		mustBe(t, "ciphertext", ct, e.Ct)
	}

	// The whole, as far as we offer it: the first message of a context.
	first := v.Encryptions[0]
	var s Scratch
	s.ephemeral = *key(t, v.SkEm)
	pt := vectors.Hex(t, v.Pt)
	sealed := make([]byte, EncLen+len(pt)+TagLen)
	if !sender.seal(sealed, &s, vectors.Hex(t, first.Aad), pt) {
		t.Fatal("does not seal")
	}
	mustBe(t, "message", sealed, v.PkEm+first.Ct)
	got := make([]byte, len(pt))
	if !recipient.Open(got, &s, vectors.Hex(t, first.Aad), sealed) || !bytes.Equal(got, pt) {
		t.Error("does not open")
	}
}

func TestLowOrder(t *testing.T) {
	var s Scratch
	recipient := NewRecipient(&[32]byte{1}, nil)
	for _, u := range [][32]byte{{}, {1}, {31: 0x80}} {
		sealed := append(u[:], make([]byte, 48+TagLen)...)
		if recipient.Open(make([]byte, 48), &s, nil, sealed) {
			t.Errorf("enc %x opens", u)
		}
		dst := make([]byte, EncLen+TagLen)
		if NewSender(&u, nil).Seal(dst, &s, nil, nil) || !bytes.Equal(dst, make([]byte, len(dst))) {
			t.Errorf("seals for the key %x, or leaves something in dst", u)
		}
		if s != (Scratch{}) {
			t.Error("the scratch is not clear")
		}
	}
}

// TestAllocations also looks whether the scratch is clear after each call.
func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	var s Scratch
	recipient := NewRecipient(&[32]byte{1}, []byte("info"))
	sender := NewSender((*[32]byte)(recipient.schedule.public[:32]), []byte("info"))
	aad, pt := make([]byte, 12), make([]byte, 48)
	good := make([]byte, EncLen+len(pt)+TagLen)
	sender.Seal(good, &s, aad, pt)
	forged := bytes.Clone(good)
	forged[40] ^= 1
	low := make([]byte, len(good))
	weak, sealed := NewSender(new([32]byte), nil), make([]byte, len(good))
	for name, f := range map[string]func() bool{
		"seal":           func() bool { return sender.Seal(sealed, &s, aad, pt) },
		"open":           func() bool { return recipient.Open(pt, &s, aad, good) },
		"seal low order": func() bool { return !weak.Seal(sealed, &s, aad, pt) },
		"open low order": func() bool { return !recipient.Open(pt, &s, aad, low) },
		"open forged":    func() bool { return !recipient.Open(pt, &s, aad, forged) },
	} {
		ok := true
		n := testing.AllocsPerRun(20, func() { ok = ok && f() })
		if n != 0 || !ok || s != (Scratch{}) {
			t.Errorf("%s: %v allocations, outcome as expected: %v, scratch clear: %v", name, n, ok, s == Scratch{})
		}
	}
}

// FuzzAgainstStandardLibrary compares with crypto/hpke: what one seals the other
// opens, and what one refuses so does the other.
func FuzzAgainstStandardLibrary(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, 32), []byte("info"), []byte("aad"), []byte("plaintext"), uint16(0), byte(0))
	f.Add(bytes.Repeat([]byte{0xff}, 32), []byte{}, []byte{}, []byte{}, uint16(31), byte(0x80))
	f.Add(make([]byte, 32), make([]byte, 5000), make([]byte, 12), make([]byte, 48), uint16(95), byte(1))
	f.Add(bytes.Repeat([]byte{7}, 32), []byte("i"), make([]byte, 16), make([]byte, 64), uint16(33), byte(0xff))
	f.Fuzz(func(t *testing.T, private, info, aad, pt []byte, at uint16, flip byte) {
		if len(private) != 32 {
			return
		}
		std, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		sender, recipient := NewSender((*[32]byte)(std.PublicKey().Bytes()), info), NewRecipient((*[32]byte)(private), info)
		againstStandardLibrary(t, std, sender, recipient, EncLen, info, aad, pt, at, flip)
	})
}

// againstStandardLibrary takes one key in both libraries. What crypto/hpke seals is
// changed by flip at byte at, once it was opened as it is.
func againstStandardLibrary(t *testing.T, std hpke.PrivateKey, sender manySender, recipient manyRecipient, encLen int,
	info, aad, pt []byte, at uint16, flip byte,
) {
	kdf, aeadID := hpke.HKDFSHA256(), hpke.ChaCha20Poly1305()
	stdOpen := func(sealed []byte) ([]byte, error) {
		r, err := hpke.NewRecipient(sealed[:encLen], std, kdf, aeadID, info)
		if err != nil {
			return nil, err
		}
		return r.Open(aad, sealed[encLen:])
	}
	var s Scratch
	ours := make([]byte, encLen+len(pt)+TagLen)
	if !sender.Seal(ours, &s, aad, pt) {
		t.Fatal("does not seal")
	}
	if got, err := stdOpen(ours); err != nil || !bytes.Equal(got, pt) {
		t.Errorf("crypto/hpke opens ours to %x (%v), want %x", got, err, pt)
	}

	enc, stdSender, err := hpke.NewSender(std.PublicKey(), kdf, aeadID, info)
	if err != nil {
		t.Fatal(err)
	}
	ct, err := stdSender.Seal(aad, pt)
	if err != nil {
		t.Fatal(err)
	}
	theirs := append(enc, ct...)
	got := make([]byte, len(pt))
	if !recipient.Open(got, &s, aad, theirs) || !bytes.Equal(got, pt) {
		t.Errorf("what crypto/hpke seals opens to %x, want %x", got, pt)
	}

	// The top bit of an X25519 point changes the key through what is hashed, not through
	// the point.
	theirs[int(at)%len(theirs)] ^= flip
	want, err := stdOpen(theirs)
	clear(got)
	if ok := recipient.Open(got, &s, aad, theirs); ok != (err == nil) || ok && !bytes.Equal(got, want) {
		t.Errorf("changed by %#x at %d: opens %v, crypto/hpke says %v", flip, at, ok, err)
	} else if !ok && !bytes.Equal(got, make([]byte, len(got))) {
		t.Error("a failed Open leaves something in dst")
	}
	if s != (Scratch{}) {
		t.Error("the scratch is not clear")
	}
}
