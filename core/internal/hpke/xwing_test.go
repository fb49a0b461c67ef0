package hpke

import (
	"bytes"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"math/rand/v2"
	"testing"

	"ecoin/core/internal/race"
	"ecoin/core/internal/vectors"
	"ecoin/core/internal/xwing"
)

// newXWingPair returns both sides of one key.
func newXWingPair(t testing.TB, seed, info []byte) (*XWingSender, *XWingRecipient) {
	t.Helper()
	private := xwing.NewPrivateKey((*[xwing.SeedLen]byte)(seed))
	public, err := xwing.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return NewXWingSender(public, info), NewXWingRecipient(private, info)
}

// TestXWingVector holds the vector of Go's source that has the suite's algorithms.
func TestXWingVector(t *testing.T) {
	var file struct {
		Suite struct {
			Info, IkmE, SkRm, PkRm, Enc, Key string
			SharedSecret                     string `json:"shared_secret"`
			BaseNonce                        string `json:"base_nonce"`
			Encryptions                      []struct{ Nonce, Aad, Pt, Ct string }
		}
	}
	vectors.File(t, "../../testdata/xwing.json", &file)
	v := &file.Suite
	if len(v.Encryptions) != 10 || v.Encryptions[0].Nonce != v.BaseNonce {
		t.Fatalf("%d encryptions, want 10, the first with the base nonce", len(v.Encryptions))
	}
	sender, recipient := newXWingPair(t, vectors.Hex(t, v.SkRm), vectors.Hex(t, v.Info))

	// The key schedule, from either side.
	for _, schedule := range []*keySchedule{&sender.schedule, &recipient.schedule} {
		s := Scratch{dh: *key(t, v.SharedSecret)}
		schedule.runShared(&s)
		mustBe(t, "key", s.aead.key[:], v.Key)
		mustBe(t, "base nonce", s.aead.nonce[:], v.BaseNonce)
	}

	// The AEAD, with every nonce of the vector.
	for _, e := range v.Encryptions {
		a := aead{key: *key(t, v.Key), nonce: [12]byte(vectors.Hex(t, e.Nonce))}
		pt := vectors.Hex(t, e.Pt)
		ct := make([]byte, len(pt)+TagLen)
		a.seal(ct, pt, vectors.Hex(t, e.Aad))
		mustBe(t, "ciphertext", ct, e.Ct)
	}

	// The whole, as far as we offer it: the first message of a context.
	first := v.Encryptions[0]
	pt, aad, random := vectors.Hex(t, first.Pt), vectors.Hex(t, first.Aad), vectors.Hex(t, v.IkmE)
	sealed := make([]byte, XWingEncLen+len(pt)+TagLen)
	s := Scratch{ephemeral: [32]byte(random[32:])}
	ek, err := mlkem.NewEncapsulationKey768(vectors.Hex(t, v.PkRm)[:mlkem.EncapsulationKeySize768])
	if err != nil {
		t.Fatal(err)
	}
	ss, ct, err := mlkemtest.Encapsulate768(ek, random[:32])
	if err != nil {
		t.Fatal(err)
	}
	copy(s.xwing[:], ss)
	copy(sealed, ct)
	if !sender.seal(sealed, &s, aad, pt) {
		t.Fatal("does not seal")
	}
	mustBe(t, "message", sealed, v.Enc+first.Ct)
	got := make([]byte, len(pt))
	if !recipient.Open(got, &s, aad, sealed) || !bytes.Equal(got, pt) {
		t.Error("does not open")
	}
}

// TestXWingAllocations also looks whether the scratch is clear after each call. All
// allocations are crypto/mlkem's.
func TestXWingAllocations(t *testing.T) {
	var s Scratch
	sender, recipient := newXWingPair(t, make([]byte, 32), []byte("info"))
	aad, pt := make([]byte, 12), make([]byte, 48)
	sealed := make([]byte, XWingEncLen+len(pt)+TagLen)
	good := make([]byte, len(sealed))
	sender.Seal(good, &s, aad, pt)
	forged, pq, low := bytes.Clone(good), bytes.Clone(good), bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	pq[0] ^= 1
	clear(low[XWingEncLen-32 : XWingEncLen])

	dk, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	_, ct := dk.EncapsulationKey().Encapsulate()
	encapsulate := testing.AllocsPerRun(20, func() { dk.EncapsulationKey().Encapsulate() })
	decapsulate := testing.AllocsPerRun(20, func() { _, _ = dk.Decapsulate(ct) })

	for name, c := range map[string]struct {
		want float64
		f    func() bool
	}{
		"seal":           {encapsulate, func() bool { return sender.Seal(sealed, &s, aad, pt) }},
		"open":           {decapsulate, func() bool { return recipient.Open(pt, &s, aad, good) }},
		"open forged":    {decapsulate, func() bool { return !recipient.Open(pt, &s, aad, forged) }},
		"open other ct":  {decapsulate, func() bool { return !recipient.Open(pt, &s, aad, pq) }},
		"open low order": {0, func() bool { return !recipient.Open(pt, &s, aad, low) }},
	} {
		ok := true
		n := testing.AllocsPerRun(20, func() { ok = ok && c.f() })
		if !ok || s != (Scratch{}) {
			t.Errorf("%s: outcome as expected: %v, scratch clear: %v", name, ok, s == Scratch{})
		}
		if n > c.want && !race.Enabled { // the race detector allocates
			t.Errorf("%s: %v allocations, crypto/mlkem makes %v", name, n, c.want)
		}
	}
}

// FuzzXWingAgainstStandardLibrary is FuzzAgainstStandardLibrary for X-Wing.
func FuzzXWingAgainstStandardLibrary(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, 32), []byte("info"), []byte("aad"), []byte("plaintext"), uint16(0), byte(0))
	f.Add(bytes.Repeat([]byte{0xff}, 32), []byte{}, []byte{}, []byte{}, uint16(1119), byte(0x80))
	f.Add(make([]byte, 32), make([]byte, 5000), make([]byte, 12), make([]byte, 48), uint16(1183), byte(1))
	f.Add(bytes.Repeat([]byte{7}, 32), []byte("i"), make([]byte, 16), make([]byte, 64), uint16(500), byte(0xff))
	f.Add(bytes.Repeat([]byte{8}, 32), []byte("i"), make([]byte, 16), make([]byte, 64), uint16(1100), byte(1))
	f.Fuzz(func(t *testing.T, seed, info, aad, pt []byte, at uint16, flip byte) {
		if len(seed) != 32 {
			return
		}
		std, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
		if err != nil {
			t.Fatal(err)
		}
		sender, recipient := newXWingPair(t, seed, info)
		againstStandardLibrary(t, std, sender, recipient, XWingEncLen, info, aad, pt, at, flip)
	})
}

// TestXWingManyClears looks at the scratch after each half of a round trip, for a batch
// that goes one by one and for one that fills the lanes.
func TestXWingManyClears(t *testing.T) {
	sender, recipient := newXWingPair(t, make([]byte, 32), nil)
	many := new(ManyScratch)
	for _, n := range []int{1, lanes} {
		msgs := newMessages(rand.NewChaCha8([32]byte{}), n, XWingEncLen)
		if !sender.SealMany(many, msgs) || *many != (ManyScratch{}) {
			t.Errorf("%d messages: SealMany leaves something in the scratch", n)
		}
		msgs[0].Sealed[0] ^= 1
		if recipient.OpenMany(many, msgs); *many != (ManyScratch{}) || msgs[0].OK {
			t.Errorf("%d messages: OpenMany leaves something in the scratch", n)
		}
	}
}
