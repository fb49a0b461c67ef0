package cbc

import "crypto/subtle"

// genericLanes is the number of messages that encryptLanesGeneric takes at once.
const genericLanes = 4

// slicedKeys is the round keys of four blocks.
type slicedKeys [rounds + 1]planes

func (s *slicedKeys) load(k *roundKeys) {
	for r := range s {
		s[r].load(&k[r], &k[r], &k[r], &k[r])
	}
}

// encrypt is Cipher (FIPS 197 section 5.1) on four blocks.
func (s *slicedKeys) encrypt(q *planes) {
	q.addRoundKey(&s[0])
	for r := 1; r < rounds; r++ {
		q.subBytes()
		q.shiftRows()
		q.mixColumns()
		q.addRoundKey(&s[r])
	}
	q.subBytes()
	q.shiftRows()
	q.addRoundKey(&s[rounds])
}

// decrypt is InvCipher (section 5.3), which uses the keys of encrypt.
func (s *slicedKeys) decrypt(q *planes) {
	q.addRoundKey(&s[rounds])
	for r := rounds - 1; r > 0; r-- {
		q.invShiftRows()
		q.invSubBytes()
		q.addRoundKey(&s[r])
		q.invMixColumns()
	}
	q.invShiftRows()
	q.invSubBytes()
	q.addRoundKey(&s[0])
}

func encryptGeneric(k *Schedule, dst, src *byte, n int, iv *[BlockSize]byte) {
	var keys slicedKeys
	keys.load(&k.enc)
	to, from := bytesOf(dst, n), bytesOf(src, n)
	var q planes
	var rest [BlockSize]byte // one block at a time: three quarters go to waste
	c := *iv
	for i := 0; i < len(from); i += BlockSize {
		subtle.XORBytes(c[:], c[:], from[i:])
		q.load(&c, &rest, &rest, &rest)
		keys.encrypt(&q)
		q.store(&c, &rest, &rest, &rest)
		copy(to[i:], c[:])
	}
	clear(keys[:])
	clear(rest[:])
}

func decryptGeneric(k *Schedule, dst, src *byte, n int, iv *[BlockSize]byte) {
	var keys slicedKeys
	keys.load(&k.enc)
	to, from := bytesOf(dst, n), bytesOf(src, n)
	var q planes
	var c, p [4][BlockSize]byte
	last := *iv
	for len(from) > 0 {
		m := 0 // blocks
		for ; m < len(c) && m*BlockSize < len(from); m++ {
			copy(c[m][:], from[m*BlockSize:])
		}
		q.load(&c[0], &c[1], &c[2], &c[3])
		keys.decrypt(&q)
		q.store(&p[0], &p[1], &p[2], &p[3])
		for i := range m {
			subtle.XORBytes(to[i*BlockSize:], p[i][:], last[:])
			last = c[i]
		}
		to, from = to[m*BlockSize:], from[m*BlockSize:]
	}
	clear(keys[:])
	clear(p[:])
}

func macGeneric(k *Schedule, dst *[BlockSize]byte, msg *MACMessage) {
	var sealed MACMessage
	encryptGeneric(k, &sealed[0], &msg[0], len(msg)/BlockSize, new([BlockSize]byte))
	*dst = [BlockSize]byte(sealed[BlockSize:])
}

// encryptLanesGeneric encrypts n blocks in each of the first four lanes.
func encryptLanesGeneric(k *laneKeys, chain *[maxLanes][BlockSize]byte, dst, src *[maxLanes]*byte, n int) {
	var keys slicedKeys
	for r := range keys {
		keys[r].load(&k[r][0], &k[r][1], &k[r][2], &k[r][3])
	}
	var q planes
	for i := 0; i < n*BlockSize; i += BlockSize {
		for lane := range genericLanes {
			subtle.XORBytes(chain[lane][:], chain[lane][:], bytesOf(src[lane], n)[i:])
		}
		q.load(&chain[0], &chain[1], &chain[2], &chain[3])
		keys.encrypt(&q)
		q.store(&chain[0], &chain[1], &chain[2], &chain[3])
		for lane := range genericLanes {
			copy(bytesOf(dst[lane], n)[i:], chain[lane][:])
		}
	}
	clear(keys[:])
}
