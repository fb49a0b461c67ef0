package chapoly

import "encoding/binary"

// oneLane is memory for one message at a time.
type oneLane struct {
	key   [8]uint32
	nonce [3]uint32
	block [16]uint32 // of key stream
	mac   poly1305
}

// sealGeneric is Seal in plain Go.
func sealGeneric(o *oneLane, k *Keys, m *Messages, n int) {
	for lane := range n {
		o.load(k, lane)
		o.start()
		ciphertext := (*[PlaintextLen]byte)(m.Sealed[lane][:])
		o.decrypt(ciphertext, m.Plain[lane], ^uint32(0))
		lo, hi := o.tag(m.AAD[lane], ciphertext)
		binary.LittleEndian.PutUint64(m.Sealed[lane][PlaintextLen:], lo)
		binary.LittleEndian.PutUint64(m.Sealed[lane][PlaintextLen+8:], hi)
	}
}

// openGeneric is Open in plain Go.
func openGeneric(o *oneLane, k *Keys, m *Messages, n int) (opened uint16) {
	for lane := range n {
		o.load(k, lane)
		o.start()
		ciphertext := (*[PlaintextLen]byte)(m.Sealed[lane][:])
		lo, hi := o.tag(m.AAD[lane], ciphertext)
		lo ^= binary.LittleEndian.Uint64(m.Sealed[lane][PlaintextLen:])
		hi ^= binary.LittleEndian.Uint64(m.Sealed[lane][PlaintextLen+8:])
		differ := lo | hi
		right := 1 ^ uint32((differ|-differ)>>63) // 1 if differ is 0
		o.decrypt(m.Plain[lane], ciphertext, -right)
		opened |= uint16(right) << lane
	}
	return opened
}

// load takes the key and nonce of one lane.
func (o *oneLane) load(k *Keys, lane int) {
	for i := range o.key {
		o.key[i] = k.Key[i][lane]
	}
	for i := range o.nonce {
		o.nonce[i] = k.Nonce[i][lane]
	}
}

// start makes the Poly1305 key from block 0 (RFC 8439 section 2.6).
func (o *oneLane) start() {
	chachaBlock(&o.block, &o.key, 0, &o.nonce)
	o.mac.start((*[8]uint32)(o.block[:]))
}

// tag returns the MAC of associated data and ciphertext (RFC 8439 section 2.8).
func (o *oneLane) tag(aad *[AADLen]byte, ciphertext *[PlaintextLen]byte) (lo, hi uint64) {
	le := binary.LittleEndian
	o.mac.block(le.Uint64(aad[:]), uint64(le.Uint32(aad[8:])), 1)
	for i := 0; i < PlaintextLen; i += 16 {
		o.mac.block(le.Uint64(ciphertext[i:]), le.Uint64(ciphertext[i+8:]), 1)
	}
	o.mac.block(AADLen, PlaintextLen, 1)
	return o.mac.sum()
}

// decrypt sets dst to mask AND (src XOR block 1 of the key stream).
func (o *oneLane) decrypt(dst, src *[PlaintextLen]byte, mask uint32) {
	chachaBlock(&o.block, &o.key, 1, &o.nonce)
	le := binary.LittleEndian
	for i := range PlaintextLen / 4 {
		le.PutUint32(dst[4*i:], mask&(o.block[i]^le.Uint32(src[4*i:])))
	}
}
