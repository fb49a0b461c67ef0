//go:build amd64 && !purego

package cbc

import (
	"math/bits"

	"ecoin/core/internal/cpu"
)

// What the processor runs. Tests turn it off.
var (
	haveAESNI = cpu.AESNI
	haveVAES  = cpu.VAES // not without haveAESNI
)

// minExpandLanes is the number of keys from which expanding those of all lanes takes
// less time than one after the other.
const minExpandLanes = 3

func expand(k *Schedule, key *[32]byte) {
	if haveAESNI {
		expandAESNI((*[15][16]byte)(&k.enc), (*[15][16]byte)(&k.dec), key)
		return
	}
	expandGeneric(k, key)
}

func encrypt(k *Schedule, dst, src *byte, n int, iv *[BlockSize]byte) {
	if haveAESNI {
		encryptAESNI((*[15][16]byte)(&k.enc), dst, src, n, iv)
		return
	}
	encryptGeneric(k, dst, src, n, iv)
}

func decrypt(k *Schedule, dst, src *byte, n int, iv *[BlockSize]byte) {
	switch {
	case haveVAES:
		decryptVAES((*[15][16]byte)(&k.dec), dst, src, n, iv)
	case haveAESNI:
		decryptAESNI((*[15][16]byte)(&k.dec), dst, src, n, iv)
	default:
		decryptGeneric(k, dst, src, n, iv)
	}
}

func mac(k *Schedule, dst *[BlockSize]byte, msg *MACMessage) {
	if haveAESNI {
		macAESNI((*[15][16]byte)(&k.enc), dst, &msg[0], len(msg)/BlockSize)
		return
	}
	macGeneric(k, dst, msg)
}

func laneCount() int {
	switch {
	case haveVAES:
		return maxLanes
	case haveAESNI:
		return 8
	}
	return genericLanes
}

// expandLanes expands at least the keys of the lanes of set. Those of the others stay
// what they are, since key has them too.
func expandLanes(k *laneKeys, key *[maxLanes]*[32]byte, set uint16) {
	many := bits.OnesCount16(set) >= minExpandLanes
	switch {
	case many && haveVAES:
		expandLanesVAES((*[15][16][16]byte)(k), key)
	case many && haveAESNI:
		expandLanesAESNI((*[15][16][16]byte)(k), key)
	default:
		expandEach(k, key, set)
	}
}

func expandLane(k *laneKeys, lane int, key *[32]byte) {
	if haveAESNI {
		expandLaneAESNI(&k[0][lane], key)
		return
	}
	expandLaneGeneric(k, lane, key)
}

func encryptLanes(k *laneKeys, chain *[maxLanes][BlockSize]byte, dst, src *[maxLanes]*byte, n int) {
	switch {
	case haveVAES:
		encryptLanesVAES((*[15][16][16]byte)(k), chain, dst, src, n)
	case haveAESNI:
		encryptLanesAESNI((*[15][16][16]byte)(k), chain, dst, src, n)
	default:
		encryptLanesGeneric(k, chain, dst, src, n)
	}
}
