package chapoly

import (
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// An implementation is one way to do what Seal and Open do.
type implementation struct {
	name string
	seal func(*Scratch, *Keys, *Messages, int)
	open func(*Scratch, *Keys, *Messages, int) uint16
}

// implementations has all that this machine can run; a file for assembly adds to it.
var implementations = []implementation{
	{"exported", Seal, Open},
	{
		"generic",
		func(s *Scratch, k *Keys, m *Messages, n int) { sealGeneric(&s.work().one, k, m, n) },
		func(s *Scratch, k *Keys, m *Messages, n int) uint16 { return openGeneric(&s.work().one, k, m, n) },
	},
}

func eachImplementation(t *testing.T, f func(*testing.T, implementation)) {
	for _, impl := range implementations {
		t.Run("impl="+impl.name, func(t *testing.T) { f(t, impl) })
	}
}

// A batch is sixteen messages in the forms that this package and others take.
type batch struct {
	key    [Lanes][32]byte
	nonce  [Lanes][12]byte
	aad    [Lanes][AADLen]byte
	plain  [Lanes][PlaintextLen]byte
	sealed [Lanes][SealedLen]byte // by chacha20poly1305
}

// newBatch takes its bytes from source.
func newBatch(t testing.TB, source func([]byte)) *batch {
	b := new(batch)
	for lane := range Lanes {
		for _, p := range [][]byte{b.key[lane][:], b.nonce[lane][:], b.aad[lane][:], b.plain[lane][:]} {
			source(p)
		}
		b.aead(t, lane).Seal(b.sealed[lane][:0], b.nonce[lane][:], b.plain[lane][:], b.aad[lane][:])
	}
	return b
}

// random returns a source for newBatch that repeats itself in each run.
func random(seed byte) func([]byte) {
	r := rand.NewChaCha8([32]byte{seed})
	return func(p []byte) { _, _ = r.Read(p) }
}

func (b *batch) aead(t testing.TB, lane int) cipher.AEAD {
	a, err := chacha20poly1305.New(b.key[lane][:])
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// keys returns the keys and nonces word-major.
func (b *batch) keys() *Keys {
	k := new(Keys)
	for lane := range Lanes {
		for i := range k.Key {
			k.Key[i][lane] = binary.LittleEndian.Uint32(b.key[lane][4*i:])
		}
		for i := range k.Nonce {
			k.Nonce[i][lane] = binary.LittleEndian.Uint32(b.nonce[lane][4*i:])
		}
	}
	return k
}

// output has room for all that Seal and Open write, filled with something else.
type output struct {
	plain  [Lanes][PlaintextLen]byte
	sealed [Lanes][SealedLen]byte
}

const filler = 0xa5

func newOutput() *output {
	o := new(output)
	for lane := range Lanes {
		for i := range o.plain[lane] {
			o.plain[lane][i] = filler
		}
		for i := range o.sealed[lane] {
			o.sealed[lane][i] = filler
		}
	}
	return o
}

// toSeal returns the first n messages, for Seal to write o.sealed.
func (b *batch) toSeal(o *output, n int) *Messages {
	m := new(Messages)
	for lane := range n {
		m.AAD[lane], m.Plain[lane], m.Sealed[lane] = &b.aad[lane], &b.plain[lane], &o.sealed[lane]
	}
	return m
}

// toOpen returns the first n messages, for Open to write o.plain.
func (b *batch) toOpen(o *output, n int) *Messages {
	m := new(Messages)
	for lane := range n {
		m.AAD[lane], m.Plain[lane], m.Sealed[lane] = &b.aad[lane], &o.plain[lane], &b.sealed[lane]
	}
	return m
}
