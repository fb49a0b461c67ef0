//go:build !purego

package cbc

import "ecoin/core/internal/cpu"

// haveAES is what the processor runs. Tests turn it off.
var haveAES = cpu.AES

// aesLanes is the number of messages that encryptLanesAES takes at once.
const aesLanes = 8

// expandAES sets enc to the round keys of key, and dec to those of the equivalent
// inverse cipher.
//
//go:noescape
func expandAES(enc, dec *roundKeys, key *[32]byte)

// encryptAES encrypts n blocks, at least one.
//
//go:noescape
func encryptAES(enc *roundKeys, dst, src *byte, n int, iv *[BlockSize]byte)

// macAES writes the last block of the encryption of n blocks, at least one, with an IV
// of zeros.
//
//go:noescape
func macAES(enc *roundKeys, dst *[BlockSize]byte, src *byte, n int)

// decryptAES decrypts n blocks, at least one. dst may be src.
//
//go:noescape
func decryptAES(dec *roundKeys, dst, src *byte, n int, iv *[BlockSize]byte)

// encryptLanesAES encrypts n blocks, at least one, in each of the first eight lanes.
// chain is the IVs and then the last blocks of ciphertext.
//
//go:noescape
func encryptLanesAES(k *laneKeys, chain *[maxLanes][BlockSize]byte, dst, src *[maxLanes]*byte, n int)

func expand(k *Schedule, key *[32]byte) {
	if haveAES {
		expandAES(&k.enc, &k.dec, key)
		return
	}
	expandGeneric(k, key)
}

func encrypt(k *Schedule, dst, src *byte, n int, iv *[BlockSize]byte) {
	if haveAES {
		encryptAES(&k.enc, dst, src, n, iv)
		return
	}
	encryptGeneric(k, dst, src, n, iv)
}

func decrypt(k *Schedule, dst, src *byte, n int, iv *[BlockSize]byte) {
	if haveAES {
		decryptAES(&k.dec, dst, src, n, iv)
		return
	}
	decryptGeneric(k, dst, src, n, iv)
}

func mac(k *Schedule, dst *[BlockSize]byte, msg *MACMessage) {
	if haveAES {
		macAES(&k.enc, dst, &msg[0], len(msg)/BlockSize)
		return
	}
	macGeneric(k, dst, msg)
}

func laneCount() int {
	if haveAES {
		return aesLanes
	}
	return genericLanes
}

func expandLanes(k *laneKeys, key *[maxLanes]*[32]byte, set uint16) { expandEach(k, key, set) }

func expandLane(k *laneKeys, lane int, key *[32]byte) {
	if !haveAES {
		expandLaneGeneric(k, lane, key)
		return
	}
	var one Schedule
	expandAES(&one.enc, &one.dec, key)
	for r := range one.enc {
		k[r][lane] = one.enc[r]
	}
	one.Wipe()
}

func encryptLanes(k *laneKeys, chain *[maxLanes][BlockSize]byte, dst, src *[maxLanes]*byte, n int) {
	if haveAES {
		encryptLanesAES(k, chain, dst, src, n)
		return
	}
	encryptLanesGeneric(k, chain, dst, src, n)
}
