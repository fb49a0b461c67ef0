// Package sha2 is the compression function of SHA-256 (FIPS 180-4 section 6.2.2),
// for one message and for sixteen at once: what HMAC needs to start from saved
// states and to serve a batch. Padding is the caller's. Start with [Init], [Block]
// and [BlockLanes].
//
// Time and memory addresses depend on the number of blocks only. Nothing here
// allocates or keeps an argument. States are as secret as what went into them; the
// caller clears them.
package sha2

// BlockSize is the length of a block in bytes.
const BlockSize = 64

// A State is the eight words of a hash value H.
type State [8]uint32

// Init returns the initial hash value (FIPS 180-4 section 5.3.3).
func Init() State {
	return State{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}
}

// Native reports whether Block uses instructions made for SHA-256. Without them the
// standard library's vector code for one message is faster.
func Native() bool { return haveSHANI }

// Block compresses p, whose length is a multiple of BlockSize, into st. Any other
// length panics.
func Block(st *State, p []byte) {
	if len(p)%BlockSize != 0 {
		panic("sha2: not a whole number of blocks")
	}
	block(st, p)
}
