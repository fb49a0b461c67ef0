package hpke

import (
	"crypto/rand"
	"sync"
	"unsafe"

	"ecoin/core/internal/x25519"
)

// An exchanger makes ephemeral keys for one X25519 public key. It does not change and is
// safe for concurrent use.
type exchanger struct {
	public *[32]byte
	table  func() *x25519.Table // made when the first batch comes
}

// newExchanger copies public.
func newExchanger(public *[32]byte) exchanger {
	own := *public
	return exchanger{&own, sync.OnceValue(func() *x25519.Table { return x25519.NewTable(&own) })}
}

// one sets enc to the point and dh to the Diffie-Hellman result of an ephemeral key. It
// reports false, with enc as it was, when the public key is a point of low order.
func (x *exchanger) one(enc, dh, ephemeral *[32]byte) bool {
	if !x25519.Multiply(dh, ephemeral, x.public) {
		return false
	}
	x25519.BaseMultiply(enc, ephemeral)
	return true
}

// many makes n ephemeral keys: points and Diffie-Hellman results in s.enc and s.dh. It
// reports false when the public key is a point of low order.
func (x *exchanger) many(s *ManyScratch, n int) bool {
	s.randomPoints(n)
	if table := x.table(); table != nil {
		table.ExchangeMany(&s.x25519, s.enc[:n], s.dh[:n], s.points[:n])
		return true
	}
	// A key on the twist, which no bank has, or of low order.
	for i := range n {
		if !x.one(&s.enc[i], &s.dh[i], &s.points[i]) {
			return false
		}
	}
	return true
}

// randomPoints sets the first n of s.points to random bytes, in one call.
func (s *ManyScratch) randomPoints(n int) {
	all := (*[unsafe.Sizeof(s.points)]byte)(unsafe.Pointer(&s.points))
	_, _ = rand.Read(all[:n*len(s.points[0])]) // never fails: crypto/rand ends the process instead
}
