package hpke

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"ecoin/core/internal/chapoly"
	"ecoin/core/internal/race"
)

// manySender and manyRecipient are what the suites' batches have in common.
type (
	manySender interface {
		Seal(dst []byte, s *Scratch, aad, plaintext []byte) bool
		SealMany(s *ManyScratch, msgs []Message) bool
	}
	manyRecipient interface {
		Open(dst []byte, s *Scratch, aad, sealed []byte) bool
		OpenMany(s *ManyScratch, msgs []Message)
	}
)

// eachMany runs f for each KEM.
func eachMany(t *testing.T, f func(t *testing.T, sender manySender, recipient manyRecipient, encLen int)) {
	t.Helper()
	t.Run("kem=x25519", func(t *testing.T) {
		recipient := NewRecipient(&[32]byte{1, 2, 3}, []byte("info"))
		sender := NewSender((*[32]byte)(recipient.schedule.public[:32]), []byte("info"))
		f(t, sender, recipient, EncLen)
	})
	t.Run("kem=xwing", func(t *testing.T) {
		sender, recipient := newXWingPair(t, bytes.Repeat([]byte{1}, 32), []byte("info"))
		f(t, sender, recipient, XWingEncLen)
	})
}

// newMessages returns n messages with random contents.
func newMessages(rng *rand.ChaCha8, n, encLen int) []Message {
	msgs := make([]Message, n)
	for i := range msgs {
		m := &msgs[i]
		m.AAD, m.Plain, m.Sealed = new([chapoly.AADLen]byte), new([chapoly.PlaintextLen]byte), make([]byte, encLen+chapoly.SealedLen)
		_, _ = rng.Read(m.AAD[:])
		_, _ = rng.Read(m.Plain[:])
	}
	return msgs
}

// TestManyAgainstOne seals in one way and opens in the other, for every size of a batch.
func TestManyAgainstOne(t *testing.T) {
	eachMany(t, func(t *testing.T, sender manySender, recipient manyRecipient, encLen int) {
		rng := rand.NewChaCha8([32]byte{1})
		one, many := new(Scratch), new(ManyScratch)
		for n := range Batch + 1 {
			if testing.Short() && n%16 > 1 {
				continue
			}
			if encLen != EncLen && n > 20 && n%lanes > 1 {
				continue // slow, and nothing new
			}
			msgs := newMessages(rng, n, encLen)
			if !sender.SealMany(many, msgs) {
				t.Fatalf("%d messages do not seal", n)
			}
			for i := range msgs {
				m := &msgs[i]
				got := make([]byte, len(m.Plain))
				if !recipient.Open(got, one, m.AAD[:], m.Sealed) || !bytes.Equal(got, m.Plain[:]) {
					t.Fatalf("message %d of %d, sealed in the batch, does not open alone", i, n)
				}
				if !sender.Seal(m.Sealed, one, m.AAD[:], m.Plain[:]) {
					t.Fatal("does not seal")
				}
			}
			opened := make([]Message, n)
			for i, m := range msgs {
				opened[i] = Message{AAD: m.AAD, Plain: new([chapoly.PlaintextLen]byte), Sealed: m.Sealed}
			}
			recipient.OpenMany(many, opened)
			for i := range opened {
				if !opened[i].OK || *opened[i].Plain != *msgs[i].Plain {
					t.Fatalf("message %d of %d, sealed alone, does not open in the batch", i, n)
				}
			}
			if *many != (ManyScratch{}) {
				t.Fatalf("%d messages: the scratch is not clear", n)
			}
		}
	})
}

// TestManyBadLane spoils one message in each way and looks at all.
func TestManyBadLane(t *testing.T) {
	eachMany(t, func(t *testing.T, sender manySender, recipient manyRecipient, encLen int) {
		rng := rand.NewChaCha8([32]byte{2})
		many := new(ManyScratch)
		const n = 19 // a full group and a small one
		msgs := newMessages(rng, n, encLen)
		if !sender.SealMany(many, msgs) {
			t.Fatal("does not seal")
		}
		spoil := map[string]func(m *Message){
			"tag":        func(m *Message) { m.Sealed[len(m.Sealed)-1] ^= 0x80 },
			"ciphertext": func(m *Message) { m.Sealed[encLen] ^= 1 },
			"first byte": func(m *Message) { m.Sealed[0] ^= 1 },
			"enc":        func(m *Message) { m.Sealed[encLen-32] ^= 1 },
			"low order":  func(m *Message) { clear(m.Sealed[encLen-32 : encLen]) },
			"aad":        func(m *Message) { m.AAD[3] ^= 1 },
		}
		for _, bad := range []int{0, 7, 15, 16, 18} {
			for name, f := range spoil {
				opened := make([]Message, n)
				for i, m := range msgs {
					aad := *m.AAD
					opened[i] = Message{AAD: &aad, Plain: &[chapoly.PlaintextLen]byte{1}, Sealed: bytes.Clone(m.Sealed)}
				}
				f(&opened[bad])
				recipient.OpenMany(many, opened)
				for i := range opened {
					want := *msgs[i].Plain
					if i == bad {
						want = [chapoly.PlaintextLen]byte{}
					}
					if opened[i].OK != (i != bad) || *opened[i].Plain != want {
						t.Errorf("%s of message %d spoiled: message %d opens: %v", name, bad, i, opened[i].OK)
					}
				}
			}
		}
		if *many != (ManyScratch{}) {
			t.Error("the scratch is not clear")
		}
	})
}

// TestEphemeralsDiffer: no two messages share an ephemeral key.
func TestEphemeralsDiffer(t *testing.T) {
	eachMany(t, func(t *testing.T, sender manySender, _ manyRecipient, encLen int) {
		seen := map[string]bool{}
		many := new(ManyScratch)
		for range 3 {
			msgs := newMessages(rand.NewChaCha8([32]byte{}), 20, encLen)
			sender.SealMany(many, msgs)
			for i := range msgs {
				point := string(msgs[i].Sealed[encLen-32 : encLen])
				if seen[point] {
					t.Fatal("an ephemeral key was used twice")
				}
				seen[point] = true
			}
		}
	})
}

func TestManyLowOrder(t *testing.T) {
	many := new(ManyScratch)
	msgs := newMessages(rand.NewChaCha8([32]byte{}), 3, EncLen)
	for _, u := range [][32]byte{{}, {1}} {
		weak := NewSender(&u, nil)
		if weak.SealMany(many, msgs) || weak.Prepare(many, make([]Prepared, 2)) {
			t.Errorf("seals for the key %x", u)
		}
	}
	if *many != (ManyScratch{}) {
		t.Error("the scratch is not clear")
	}
}

func TestPrepared(t *testing.T) {
	recipient := NewRecipient(&[32]byte{1, 2, 3}, []byte("info"))
	sender := NewSender((*[32]byte)(recipient.schedule.public[:32]), []byte("info"))
	one, many := new(Scratch), new(ManyScratch)
	prepared := make([]Prepared, 33) // the last alone
	if !sender.Prepare(many, prepared) || *many != (ManyScratch{}) {
		t.Fatal("does not prepare, or leaves something in the scratch")
	}
	for i := range prepared {
		plain, aad := bytes.Repeat([]byte{byte(i)}, 48), bytes.Repeat([]byte{1}, 12)
		sealed, got := make([]byte, EncLen+48+TagLen), make([]byte, 48)
		prepared[i].Seal(sealed, one, aad, plain)
		if prepared[i] != (Prepared{}) || *one != (Scratch{}) {
			t.Fatal("something is left after use")
		}
		if !recipient.Open(got, one, aad, sealed) || !bytes.Equal(got, plain) {
			t.Fatal("does not open")
		}
	}
}

// TestPreparedTwice: what is left of a used key seals nothing.
func TestPreparedTwice(t *testing.T) {
	sender := NewSender((*[32]byte)(NewRecipient(&[32]byte{1}, nil).schedule.public[:32]), nil)
	prepared := make([]Prepared, 1)
	if !sender.Prepare(new(ManyScratch), prepared) {
		t.Fatal("does not prepare")
	}
	sealed := make([]byte, EncLen+TagLen)
	prepared[0].Seal(sealed, new(Scratch), nil, nil)
	before := bytes.Clone(sealed)
	defer func() {
		if recover() == nil || !bytes.Equal(sealed, before) {
			t.Error("a used key seals")
		}
	}()
	prepared[0].Seal(sealed, new(Scratch), nil, nil)
}

func TestManyAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	recipient := NewRecipient(&[32]byte{1, 2, 3}, []byte("info"))
	sender := NewSender((*[32]byte)(recipient.schedule.public[:32]), []byte("info"))
	one, many := new(Scratch), new(ManyScratch)
	prepared := make([]Prepared, 16)
	if !sender.Prepare(many, prepared) {
		t.Fatal("does not prepare")
	}
	for _, n := range []int{1, 8, 64} {
		msgs := newMessages(rand.NewChaCha8([32]byte{}), n, EncLen)
		for name, f := range map[string]func(){
			"seal":    func() { sender.SealMany(many, msgs) },
			"open":    func() { recipient.OpenMany(many, msgs) },
			"prepare": func() { sender.Prepare(many, prepared) },
			"from the pool": func() {
				p := prepared[0]
				p.Seal(msgs[0].Sealed, one, msgs[0].AAD[:], msgs[0].Plain[:])
			},
		} {
			if allocs := testing.AllocsPerRun(3, f); allocs != 0 {
				t.Errorf("%s, %d messages: %v allocations", name, n, allocs)
			}
		}
	}
}

// TestKnownSharedSecret is the attack that RFC 9180 section 7.1.4 is about: with an enc
// of low order the Diffie-Hellman result is zero whatever the private key is, so that
// anybody can seal. Such a message must not open, alone or in a batch of any size.
func TestKnownSharedSecret(t *testing.T) {
	recipient := NewRecipient(&[32]byte{1, 2, 3}, []byte("info"))
	for _, enc := range [][32]byte{{}, {1}, {31: 0x80}, {0: 0xed, 31: 0x7f}} {
		if enc[0] == 0xed {
			for i := 1; i < 31; i++ {
				enc[i] = 0xff
			}
		}
		var s Scratch // whose dh is zero
		recipient.schedule.run(&s, &enc)
		sealed := append(enc[:], make([]byte, chapoly.SealedLen)...)
		aad, plain := [chapoly.AADLen]byte{1}, [chapoly.PlaintextLen]byte{2}
		s.aead.seal(sealed[EncLen:], plain[:], aad[:])

		got := make([]byte, chapoly.PlaintextLen)
		if recipient.Open(got, new(Scratch), aad[:], sealed) {
			t.Errorf("enc %x: opens", enc)
		}
		for _, n := range []int{1, 2, 5, 16, 20} {
			msgs := make([]Message, n)
			for i := range msgs {
				msgs[i] = Message{AAD: &aad, Plain: new([chapoly.PlaintextLen]byte), Sealed: sealed}
			}
			recipient.OpenMany(new(ManyScratch), msgs)
			for i := range msgs {
				if msgs[i].OK || *msgs[i].Plain != [chapoly.PlaintextLen]byte{} {
					t.Errorf("enc %x: message %d of %d opens", enc, i, n)
				}
			}
		}
	}
}
