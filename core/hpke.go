package core

import (
	"slices"

	"ecoin/core/internal/hpke"
)

// An hpkeSealer is the sealer of a suite of HPKE.
type hpkeSealer struct {
	sender interface {
		Seal(dst []byte, s *hpke.Scratch, aad, plaintext []byte) bool
		SealMany(s *hpke.ManyScratch, msgs []hpke.Message) bool
	}
	headerLen int
	lowOrder  error // of a sender that cannot seal
}

func (k *hpkeSealer) appendHeader(dst []byte, s *Scratch, bound []byte) ([]byte, error) {
	start := len(dst)
	out := slices.Grow(dst, k.headerLen)[:start+k.headerLen]
	if !k.sender.Seal(out[start:], &s.hpke, bound, s.plain[:]) {
		return dst, k.lowOrder
	}
	return out, nil
}

func (k *hpkeSealer) sealHeaders(s *hpke.ManyScratch, msgs []hpke.Message) error {
	if !k.sender.SealMany(s, msgs) {
		return k.lowOrder
	}
	return nil
}

// An hpkeOpener is the opener of such a suite, but for the marshaling of its key.
type hpkeOpener struct {
	recipient interface {
		Open(dst []byte, s *hpke.Scratch, aad, sealed []byte) bool
		OpenMany(s *hpke.ManyScratch, msgs []hpke.Message)
	}
}

func (k hpkeOpener) openHeader(s *Scratch, bound, header []byte) bool {
	return k.recipient.Open(s.plain[:], &s.hpke, bound, header)
}

func (k hpkeOpener) openHeaders(s *hpke.ManyScratch, msgs []hpke.Message) {
	k.recipient.OpenMany(s, msgs)
}
