//go:build (!amd64 && !arm64) || purego

package cbc

func expand(k *Schedule, key *[32]byte) { expandGeneric(k, key) }

func encrypt(k *Schedule, dst, src *byte, n int, iv *[BlockSize]byte) {
	encryptGeneric(k, dst, src, n, iv)
}

func decrypt(k *Schedule, dst, src *byte, n int, iv *[BlockSize]byte) {
	decryptGeneric(k, dst, src, n, iv)
}

func mac(k *Schedule, dst *[BlockSize]byte, msg *MACMessage) { macGeneric(k, dst, msg) }

func laneCount() int { return genericLanes }

func expandLanes(k *laneKeys, key *[maxLanes]*[32]byte, set uint16) { expandEach(k, key, set) }

func expandLane(k *laneKeys, lane int, key *[32]byte) { expandLaneGeneric(k, lane, key) }

func encryptLanes(k *laneKeys, chain *[maxLanes][BlockSize]byte, dst, src *[maxLanes]*byte, n int) {
	encryptLanesGeneric(k, chain, dst, src, n)
}
