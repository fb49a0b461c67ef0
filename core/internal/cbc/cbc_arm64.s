//go:build !purego

#include "textflag.h"

// AES-256 (FIPS 197) with ARMv8's instructions. AESE adds a round key and is then
// SubBytes and ShiftRows, AESMC is MixColumns; AESD and AESIMC are their inverses. So a
// round key is added before its round, and the last one by itself.
//
// Written by hand, since the generator of the other routines knows only amd64.

// V31 is zero where a routine says so.
#define ZERO(v) VEOR v.B16, v.B16, v.B16

// ROUND is a round of Cipher, and INVERSE one of the equivalent inverse cipher.
#define ROUND(key, state) \
	AESE key.B16, state.B16 \
	AESMC state.B16, state.B16

#define INVERSE(key, state) \
	AESD key.B16, state.B16 \
	AESIMC state.B16, state.B16

// CHAIN replaces the words w[i] of key by t + w[0] + ... + w[i]. It uses V3, and V31
// is zero.
#define CHAIN(key, t) \
	VEXT $12, key.B16, V31.B16, V3.B16 \
	VEOR V3.B16, key.B16, key.B16 \
	VEXT $8, key.B16, V31.B16, V3.B16 \
	VEOR V3.B16, key.B16, key.B16 \
	VEOR t.B16, key.B16, key.B16

// DECKEY writes the decryption key of key in front of the one before.
#define DECKEY(key) \
	AESIMC key.B16, V3.B16 \
	SUB $16, R1 \
	VST1 [V3.B16], (R1)

// func expandAES(enc, dec *roundKeys, key *[32]byte)
//
// KeyExpansion (section 5.2). SubWord is AESE on four equal words: its ShiftRows then
// changes nothing.
TEXT ·expandAES(SB), NOSPLIT, $0-24
	MOVD enc+0(FP), R0
	MOVD dec+8(FP), R1
	MOVD key+16(FP), R2
	ADD  $224, R1 // the last of 15
	MOVD $1, R3   // Rcon
	ZERO(V31)

	// RotWord of the last word, in all words.
	VMOVQ $0x0c0f0e0d0c0f0e0d, $0x0c0f0e0d0c0f0e0d, V30

	VLD1   (R2), [V0.B16, V1.B16]
	VST1.P [V0.B16, V1.B16], 32(R0)
	VST1   [V0.B16], (R1)
	DECKEY(V1)

expand:
	VTBL   V30.B16, [V1.B16], V2.B16
	AESE   V31.B16, V2.B16
	VDUP   R3, V4.S4
	VEOR   V4.B16, V2.B16, V2.B16
	CHAIN(V0, V2)
	VST1.P [V0.B16], 16(R0)
	LSL    $1, R3
	CMP    $0x80, R3
	BEQ    expanded
	DECKEY(V0)

	VDUP   V0.S[3], V2.S4
	AESE   V31.B16, V2.B16
	CHAIN(V1, V2)
	VST1.P [V1.B16], 16(R0)
	DECKEY(V1)
	B      expand

expanded:
	SUB  $16, R1
	VST1 [V0.B16], (R1)
	ZERO(V0)
	ZERO(V1)
	ZERO(V2)
	ZERO(V3)
	RET

// LOADKEYS loads the 15 round keys behind R0.
#define LOADKEYS \
	VLD1.P 64(R0), [V16.B16, V17.B16, V18.B16, V19.B16] \
	VLD1.P 64(R0), [V20.B16, V21.B16, V22.B16, V23.B16] \
	VLD1.P 64(R0), [V24.B16, V25.B16, V26.B16, V27.B16] \
	VLD1   (R0), [V28.B16, V29.B16, V30.B16]

#define CLEARKEYS \
	ZERO(V16) \
	ZERO(V17) \
	ZERO(V18) \
	ZERO(V19) \
	ZERO(V20) \
	ZERO(V21) \
	ZERO(V22) \
	ZERO(V23) \
	ZERO(V24) \
	ZERO(V25) \
	ZERO(V26) \
	ZERO(V27) \
	ZERO(V28) \
	ZERO(V29) \
	ZERO(V30)

#define ENCRYPT(state) \
	ROUND(V16, state) \
	ROUND(V17, state) \
	ROUND(V18, state) \
	ROUND(V19, state) \
	ROUND(V20, state) \
	ROUND(V21, state) \
	ROUND(V22, state) \
	ROUND(V23, state) \
	ROUND(V24, state) \
	ROUND(V25, state) \
	ROUND(V26, state) \
	ROUND(V27, state) \
	ROUND(V28, state) \
	AESE V29.B16, state.B16 \
	VEOR V30.B16, state.B16, state.B16

// func encryptAES(enc *roundKeys, dst, src *byte, n int, iv *[16]byte)
TEXT ·encryptAES(SB), NOSPLIT, $0-40
	MOVD enc+0(FP), R0
	MOVD dst+8(FP), R1
	MOVD src+16(FP), R2
	MOVD n+24(FP), R3
	MOVD iv+32(FP), R4
	VLD1 (R4), [V0.B16]
	LOADKEYS

encrypt:
	VLD1.P 16(R2), [V1.B16]
	VEOR   V1.B16, V0.B16, V0.B16
	ENCRYPT(V0)
	VST1.P [V0.B16], 16(R1)
	SUB    $1, R3
	CBNZ   R3, encrypt
	ZERO(V1)
	CLEARKEYS
	RET

// func macAES(enc *roundKeys, dst *[16]byte, src *byte, n int)
TEXT ·macAES(SB), NOSPLIT, $0-32
	MOVD enc+0(FP), R0
	MOVD dst+8(FP), R1
	MOVD src+16(FP), R2
	MOVD n+24(FP), R3
	ZERO(V0)
	LOADKEYS

mac:
	VLD1.P 16(R2), [V1.B16]
	VEOR   V1.B16, V0.B16, V0.B16
	ENCRYPT(V0)
	SUB    $1, R3
	CBNZ   R3, mac
	VST1   [V0.B16], (R1)
	ZERO(V0)
	ZERO(V1)
	CLEARKEYS
	RET

#define INVERSE8(key) \
	INVERSE(key, V0) \
	INVERSE(key, V1) \
	INVERSE(key, V2) \
	INVERSE(key, V3) \
	INVERSE(key, V4) \
	INVERSE(key, V5) \
	INVERSE(key, V6) \
	INVERSE(key, V7)

// LAST is the last round, with its key and the ciphertext block before.
#define LAST(state, before) \
	AESD V29.B16, state.B16 \
	VEOR V30.B16, state.B16, state.B16 \
	VEOR before.B16, state.B16, state.B16

// func decryptAES(dec *roundKeys, dst, src *byte, n int, iv *[16]byte)
//
// Eight blocks are under way at once, since they do not wait for each other: V0 to V7,
// with their ciphertext in V8 to V15 and the block before it in V31.
TEXT ·decryptAES(SB), NOSPLIT, $0-40
	MOVD dec+0(FP), R0
	MOVD dst+8(FP), R1
	MOVD src+16(FP), R2
	MOVD n+24(FP), R3
	MOVD iv+32(FP), R4
	VLD1 (R4), [V31.B16]
	LOADKEYS
	SUBS $8, R3
	BLT  rest

decrypt8:
	VLD1.P 64(R2), [V8.B16, V9.B16, V10.B16, V11.B16]
	VLD1.P 64(R2), [V12.B16, V13.B16, V14.B16, V15.B16]
	VMOV   V8.B16, V0.B16
	VMOV   V9.B16, V1.B16
	VMOV   V10.B16, V2.B16
	VMOV   V11.B16, V3.B16
	VMOV   V12.B16, V4.B16
	VMOV   V13.B16, V5.B16
	VMOV   V14.B16, V6.B16
	VMOV   V15.B16, V7.B16
	INVERSE8(V16)
	INVERSE8(V17)
	INVERSE8(V18)
	INVERSE8(V19)
	INVERSE8(V20)
	INVERSE8(V21)
	INVERSE8(V22)
	INVERSE8(V23)
	INVERSE8(V24)
	INVERSE8(V25)
	INVERSE8(V26)
	INVERSE8(V27)
	INVERSE8(V28)
	LAST(V0, V31)
	LAST(V1, V8)
	LAST(V2, V9)
	LAST(V3, V10)
	LAST(V4, V11)
	LAST(V5, V12)
	LAST(V6, V13)
	LAST(V7, V14)
	VMOV   V15.B16, V31.B16
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1)
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R1)
	SUBS   $8, R3
	BGE    decrypt8

rest:
	ADDS $8, R3
	BEQ  decrypted

decrypt1:
	VLD1.P 16(R2), [V8.B16]
	VMOV   V8.B16, V0.B16
	INVERSE(V16, V0)
	INVERSE(V17, V0)
	INVERSE(V18, V0)
	INVERSE(V19, V0)
	INVERSE(V20, V0)
	INVERSE(V21, V0)
	INVERSE(V22, V0)
	INVERSE(V23, V0)
	INVERSE(V24, V0)
	INVERSE(V25, V0)
	INVERSE(V26, V0)
	INVERSE(V27, V0)
	INVERSE(V28, V0)
	LAST(V0, V31)
	VMOV   V8.B16, V31.B16
	VST1.P [V0.B16], 16(R1)
	SUB    $1, R3
	CBNZ   R3, decrypt1

decrypted:
	ZERO(V0)
	ZERO(V1)
	ZERO(V2)
	ZERO(V3)
	ZERO(V4)
	ZERO(V5)
	ZERO(V6)
	ZERO(V7)
	CLEARKEYS
	RET

// LANE adds the next block of a lane, whose pointer is at R3, to its state.
#define LANE(state) \
	MOVD.P 8(R3), R6 \
	ADD    R5, R6 \
	VLD1   (R6), [V24.B16] \
	VEOR   V24.B16, state.B16, state.B16

// OUT writes the state of a lane behind its pointer, which is at R2.
#define OUT(state) \
	MOVD.P 8(R2), R6 \
	ADD    R5, R6 \
	VST1   [state.B16], (R6)

// LANEKEYS loads the eight keys of a round and moves R7 to the next round, sixteen keys
// further on.
#define LANEKEYS \
	VLD1.P 64(R7), [V16.B16, V17.B16, V18.B16, V19.B16] \
	VLD1   (R7), [V20.B16, V21.B16, V22.B16, V23.B16] \
	ADD    $192, R7

// func encryptLanesAES(k *laneKeys, chain *[16][16]byte, dst, src *[16]*byte, n int)
//
// The states are V0 to V7. What one waits for, the others use. A block of every lane is
// read before one is written, so dst may be src.
TEXT ·encryptLanesAES(SB), NOSPLIT, $0-40
	MOVD   k+0(FP), R0
	MOVD   chain+8(FP), R1
	MOVD   n+32(FP), R4
	MOVD   ZR, R5 // from each pointer
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1   (R1), [V4.B16, V5.B16, V6.B16, V7.B16]
	SUB    $64, R1

blocks:
	MOVD dst+16(FP), R2
	MOVD src+24(FP), R3
	LANE(V0)
	LANE(V1)
	LANE(V2)
	LANE(V3)
	LANE(V4)
	LANE(V5)
	LANE(V6)
	LANE(V7)
	MOVD R0, R7
	MOVD $13, R8

rounds:
	LANEKEYS
	ROUND(V16, V0)
	ROUND(V17, V1)
	ROUND(V18, V2)
	ROUND(V19, V3)
	ROUND(V20, V4)
	ROUND(V21, V5)
	ROUND(V22, V6)
	ROUND(V23, V7)
	SUB  $1, R8
	CBNZ R8, rounds

	LANEKEYS
	AESE V16.B16, V0.B16
	AESE V17.B16, V1.B16
	AESE V18.B16, V2.B16
	AESE V19.B16, V3.B16
	AESE V20.B16, V4.B16
	AESE V21.B16, V5.B16
	AESE V22.B16, V6.B16
	AESE V23.B16, V7.B16
	LANEKEYS
	VEOR V16.B16, V0.B16, V0.B16
	VEOR V17.B16, V1.B16, V1.B16
	VEOR V18.B16, V2.B16, V2.B16
	VEOR V19.B16, V3.B16, V3.B16
	VEOR V20.B16, V4.B16, V4.B16
	VEOR V21.B16, V5.B16, V5.B16
	VEOR V22.B16, V6.B16, V6.B16
	VEOR V23.B16, V7.B16, V7.B16
	OUT(V0)
	OUT(V1)
	OUT(V2)
	OUT(V3)
	OUT(V4)
	OUT(V5)
	OUT(V6)
	OUT(V7)
	ADD  $16, R5
	SUB  $1, R4
	CBNZ R4, blocks

	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1)
	VST1   [V4.B16, V5.B16, V6.B16, V7.B16], (R1)
	ZERO(V24)
	ZERO(V16)
	ZERO(V17)
	ZERO(V18)
	ZERO(V19)
	ZERO(V20)
	ZERO(V21)
	ZERO(V22)
	ZERO(V23)
	RET
