package hpke

import (
	"encoding/binary"

	"ecoin/core/internal/hmac256"
)

// The names of the algorithms in labels (RFC 9180 sections 4.1 and 5.1).
const (
	version = "HPKE-v1"
	kemID   = "KEM\x00\x20"                  // DHKEM(X25519, HKDF-SHA256)
	suiteID = "HPKE\x00\x20\x00\x01\x00\x03" // that KEM, HKDF-SHA256, ChaCha20Poly1305
	xwingID = "HPKE\x64\x7a\x00\x01\x00\x03" // X-Wing and these two
)

// A schedule is what the key schedule of every message to one recipient shares:
// the inputs of its HMACs, as far as they do not depend on the message. HPKE's
// LabeledExtract is one HMAC; its LabeledExpand to at most 32 bytes is one too.
type schedule struct {
	noSalt       hmac256.Key // zeros: HKDF-Extract without a salt (RFC 5869 section 2.2)
	eaePRK       []byte      // before the Diffie-Hellman result
	sharedSecret []byte      // before enc
	public       []byte      // after enc: the recipient's key, and HKDF's counter 1
	keySchedule
}

func newSchedule(public *[32]byte, info []byte) schedule {
	k := schedule{
		eaePRK:       []byte(version + kemID + "eae_prk"),
		sharedSecret: labeledInfo(32, kemID+"shared_secret"),
		public:       append(public[:len(public):len(public)], 1),
		keySchedule:  newKeySchedule(suiteID, info),
	}
	var s hmac256.Scratch
	k.noSalt.Set(&s, nil)
	return k
}

// A keySchedule is KeySchedule (RFC 9180 section 5.1): what follows the KEM.
type keySchedule struct {
	secret    []byte
	key       []byte
	baseNonce []byte
}

func newKeySchedule(suiteID string, info []byte) keySchedule {
	// key_schedule_context: mode_base, and the hashes of no psk_id and of info.
	var s hmac256.Scratch
	var noSalt hmac256.Key
	var hash [hmac256.Size]byte
	context := []byte{0}
	noSalt.Set(&s, nil)
	noSalt.Sum(&s, &hash, []byte(version+suiteID+"psk_id_hash"))
	context = append(context, hash[:]...)
	noSalt.Sum(&s, &hash, []byte(version+suiteID+"info_hash"), info)
	context = append(context, hash[:]...)

	return keySchedule{
		secret:    []byte(version + suiteID + "secret"),
		key:       append(append(labeledInfo(32, suiteID+"key"), context...), 1),
		baseNonce: append(append(labeledInfo(12, suiteID+"base_nonce"), context...), 1),
	}
}

// labeledInfo begins the labeled_info of LabeledExpand to n bytes.
func labeledInfo(n uint16, label string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, n), version+label...)
}

// run sets key and nonce of s.aead from the Diffie-Hellman result s.dh. enc enters
// as it was received: a sender who spells the point in another way gets another
// key.
func (k *schedule) run(s *Scratch, enc *[32]byte) {
	mac, h, out := &s.mac, &s.macKey, &s.dh
	k.noSalt.Sum(mac, out, k.eaePRK, out[:])
	h.Set(mac, out[:])
	h.Sum(mac, out, k.sharedSecret, enc[:], k.public)
	k.runShared(s)
}

// runShared sets key and nonce of s.aead from the KEM's shared secret, which is in
// s.dh. The exporter's secret is not derived.
func (k *keySchedule) runShared(s *Scratch) {
	mac, h, out := &s.mac, &s.macKey, &s.dh
	h.Set(mac, out[:])
	h.Sum(mac, out, k.secret)
	h.Set(mac, out[:])
	h.Sum(mac, &s.aead.key, k.key)
	h.Sum(mac, out, k.baseNonce)
	copy(s.aead.nonce[:], out[:])
}
