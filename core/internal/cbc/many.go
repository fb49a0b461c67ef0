package cbc

import (
	"math"
	"math/bits"
	"unsafe"
)

// A Job is a message for EncryptMany: Encrypt(Dst, Src, IV) under Key, with its rules.
// No two jobs may share memory, except to read it.
type Job struct {
	Key      *[32]byte
	IV       *[BlockSize]byte
	Dst, Src []byte
}

const (
	maxLanes   = 16 // messages at once
	idleBlocks = 16 // that a lane without a message may encrypt in one call
)

// laneKeys is the round keys of all lanes, side by side, as they are used.
type laneKeys [rounds + 1][maxLanes][BlockSize]byte

// A ManyScratch is working memory for EncryptMany, for one call at a time. It is the
// caller's and holds nothing between calls; the zero value works.
type ManyScratch struct {
	keys  laneKeys
	chain [maxLanes][BlockSize]byte // the block before, or the IV
	one   Schedule
	idle  [idleBlocks * BlockSize]byte // what a lane without a message reads and writes
}

// EncryptMany encrypts all jobs, however many and however long. Each lane works on a
// job; the shortest decides how long they run together, and a lane that is done takes
// the next job. Nothing is written if one of the jobs breaks a rule of Encrypt: then
// EncryptMany panics. s is wiped before it returns.
func EncryptMany(s *ManyScratch, jobs []Job) {
	for i := range jobs {
		check(jobs[i].Dst, jobs[i].Src)
	}
	// These are local and assigned here, not by another function: a pointer stored
	// behind a pointer would count as one that escapes, and the caller's buffers
	// with it.
	var (
		dst, src [maxLanes]*byte
		key      [maxLanes]*[32]byte
		left     [maxLanes]int // blocks
	)
	width := laneCount()
	idle := &s.idle[0]
	idleKey := (*[32]byte)(s.idle[:])
	for lane := range maxLanes {
		dst[lane], src[lane], key[lane] = idle, idle, idleKey
	}
	for next := 0; ; {
		busy, last, n := 0, 0, math.MaxInt
		var fresh uint16 // lanes with another key than before
		for lane := range width {
			for ; left[lane] == 0 && next < len(jobs); next++ {
				if j := &jobs[next]; len(j.Src) > 0 {
					dst[lane], src[lane], key[lane] = &j.Dst[0], &j.Src[0], j.Key
					left[lane] = len(j.Src) / BlockSize
					s.chain[lane] = *j.IV
					fresh |= 1 << lane
				}
			}
			if left[lane] > 0 {
				busy, last, n = busy+1, lane, min(n, left[lane])
			}
		}
		if busy <= 1 { // so no job waits
			if busy == 1 {
				s.one.Expand(key[last])
				encrypt(&s.one, dst[last], src[last], n, &s.chain[last])
			}
			break
		}
		if busy < width {
			n = min(n, idleBlocks)
		}
		if fresh != 0 {
			expandLanes(&s.keys, &key, fresh)
		}
		encryptLanes(&s.keys, &s.chain, &dst, &src, n)
		for lane := range width {
			if left[lane] == 0 {
				continue
			}
			if left[lane] -= n; left[lane] == 0 {
				// Not a pointer past the end: the collector may look at it.
				dst[lane], src[lane], key[lane] = idle, idle, idleKey
				continue
			}
			dst[lane] = (*byte)(unsafe.Add(unsafe.Pointer(dst[lane]), n*BlockSize))
			src[lane] = (*byte)(unsafe.Add(unsafe.Pointer(src[lane]), n*BlockSize))
		}
	}
	*s = ManyScratch{}
}

// expandEach expands the keys of the lanes of set, one after the other.
func expandEach(k *laneKeys, key *[maxLanes]*[32]byte, set uint16) {
	for ; set != 0; set &= set - 1 {
		lane := bits.TrailingZeros16(set)
		expandLane(k, lane, key[lane])
	}
}
