package chapoly

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	//lint:ignore SA1019 An oracle; no newer package has Poly1305 alone.
	xpoly1305 "golang.org/x/crypto/poly1305"

	"ecoin/core/internal/vectors"
)

// generalBlock is chachaBlock for keys and nonces as bytes.
func generalBlock(key *[32]byte, counter uint32, nonce *[12]byte) (out [64]byte) {
	var k [8]uint32
	var n [3]uint32
	var words [16]uint32
	for i := range k {
		k[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	for i := range n {
		n[i] = binary.LittleEndian.Uint32(nonce[4*i:])
	}
	chachaBlock(&words, &k, counter, &n)
	for i, v := range words {
		binary.LittleEndian.PutUint32(out[4*i:], v)
	}
	return out
}

// generalTag is Poly1305 of any length out of type poly1305.
func generalTag(key *[32]byte, msg []byte) []byte {
	var words [8]uint32
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	var p poly1305
	p.start(&words)
	for len(msg) > 0 {
		var block [17]byte
		n := copy(block[:16], msg)
		block[n] = 1
		p.block(binary.LittleEndian.Uint64(block[:]), binary.LittleEndian.Uint64(block[8:]), uint64(block[16]))
		msg = msg[n:]
	}
	lo, hi := p.sum()
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, lo), hi)
}

// generalSeal is RFC 8439 section 2.8 for any length, out of this package's parts.
func generalSeal(key *[32]byte, nonce *[12]byte, msg, aad []byte) []byte {
	sealed := bytes.Clone(msg)
	for i := range sealed {
		block := generalBlock(key, uint32(1+i/64), nonce)
		sealed[i] ^= block[i%64]
	}
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&15)...) }
	covered := append(pad(bytes.Clone(aad)), pad(bytes.Clone(sealed))...)
	covered = binary.LittleEndian.AppendUint64(covered, uint64(len(aad)))
	covered = binary.LittleEndian.AppendUint64(covered, uint64(len(msg)))
	block := generalBlock(key, 0, nonce)
	return append(sealed, generalTag((*[32]byte)(block[:]), covered)...)
}

// TestRFC8439ChaCha20 holds sections 2.3.2 (a block), 2.4.2 (encryption) and 2.6.2 (a
// Poly1305 key).
func TestRFC8439ChaCha20(t *testing.T) {
	key := [32]byte(vectors.Hex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	got := generalBlock(&key, 1, (*[12]byte)(vectors.Hex(t, "000000090000004a00000000")))
	if want := vectors.Hex(t, "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"+
		"d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"); !bytes.Equal(got[:], want) {
		t.Errorf("2.3.2: %x, want %x", got, want)
	}
	key262 := [32]byte(vectors.Hex(t, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"))
	got = generalBlock(&key262, 0, (*[12]byte)(vectors.Hex(t, "000000000001020304050607")))
	if want := vectors.Hex(t, "8ad5a08b905f81cc815040274ab29471a833b637e3fd0da508dbb8e2fdd1a646"); !bytes.Equal(got[:32], want) {
		t.Errorf("2.6.2: %x, want %x", got[:32], want)
	}

	// The first 48 bytes of 2.4.2, in every lane and through every implementation.
	b := newBatch(t, func(p []byte) {
		switch len(p) {
		case 32:
			copy(p, key[:])
		case 12:
			copy(p, vectors.Hex(t, "000000000000004a00000000"))
		default:
			copy(p, "Ladies and Gentlemen of the class of '99: If I could")
		}
	})
	want := vectors.Hex(t, "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"+
		"f91b65c5524733ab8f593dabcd62b357")
	eachImplementation(t, func(t *testing.T, impl implementation) {
		o := newOutput()
		impl.seal(new(Scratch), b.keys(), b.toSeal(o, Lanes), Lanes)
		for lane := range Lanes {
			if !bytes.Equal(o.sealed[lane][:PlaintextLen], want) {
				t.Errorf("2.4.2 in lane %d: %x, want %x", lane, o.sealed[lane], want)
			}
		}
	})
}

// polyVectors are RFC 8439 section 2.5.2 and, of appendix A.3, those that provoke
// carries and reductions: 7 to 11.
var polyVectors = []struct{ name, key, msg, tag string }{
	{"2.5.2",
		"85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
		"43727970746f6772617068696320466f72756d2052657365617263682047726f7570",
		"a8061dc1305136c6c22b8baf0c0127a9"},
	{"A.3 7: not fully reduced", two + zeros, ones, three},
	{"A.3 8: adding s overflows", two + ones, two, three},
	{"A.3 9: carry into a limb of ones", one + zeros, ones + "f0ffffffffffffffffffffffffffffff" + "11000000000000000000000000000000",
		"05000000000000000000000000000000"},
	{"A.3 10: exactly 2^130 - 5", one + zeros, ones + "fbfefefefefefefefefefefefefefefe" + strings.Repeat("01", 16), zeros},
	{"A.3 11: exactly 2^130 - 6", two + zeros, "fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff"},
	{"131 bits, then more", "01000000000000000400000000000000" + zeros,
		"e33594d7505e43b90000000000000000" + "3394d7505e4379cd0100000000000000" + zeros + one,
		"14000000000000005500000000000000"},
	{"131 bits", "01000000000000000400000000000000" + zeros,
		"e33594d7505e43b90000000000000000" + "3394d7505e4379cd0100000000000000" + zeros,
		"13000000000000000000000000000000"},
}

const (
	zeros = "00000000000000000000000000000000"
	one   = "01000000000000000000000000000000"
	two   = "02000000000000000000000000000000"
	three = "03000000000000000000000000000000"
	ones  = "ffffffffffffffffffffffffffffffff"
)

func TestPoly1305Vectors(t *testing.T) {
	for _, v := range polyVectors {
		key, msg := [32]byte(vectors.Hex(t, v.key)), vectors.Hex(t, v.msg)
		var oracle [16]byte
		xpoly1305.Sum(&oracle, msg, &key)
		got, want := generalTag(&key, msg), vectors.Hex(t, v.tag)
		if !bytes.Equal(got, want) || !bytes.Equal(oracle[:], want) {
			t.Errorf("%s: %x, x/crypto %x, want %x", v.name, got, oracle, want)
		}
	}
}

// TestWycheproof holds Project Wycheproof's vectors. None has the lengths of a
// header, so they go through the parts of the generic implementation.
func TestWycheproof(t *testing.T) {
	var v struct {
		TestGroups []struct {
			IvSize int
			Tests  []struct {
				TcID                               int
				Key, Iv, Aad, Msg, Ct, Tag, Result string
			}
		}
	}
	vectors.Wycheproof(t, "chacha20_poly1305_test.json", &v)
	valid, invalid, fit := 0, 0, 0
	for _, g := range v.TestGroups {
		if g.IvSize != 96 {
			continue
		}
		for _, c := range g.Tests {
			aad, ct := vectors.Hex(t, c.Aad), vectors.Hex(t, c.Ct)
			if len(aad) == AADLen && len(ct) == PlaintextLen {
				fit++
			}
			key, nonce := [32]byte(vectors.Hex(t, c.Key)), [12]byte(vectors.Hex(t, c.Iv))
			// Sealing twice is opening: the same key stream, then the tag of ct.
			msg := generalSeal(&key, &nonce, ct, nil)[:len(ct)]
			same := bytes.Equal(generalSeal(&key, &nonce, msg, aad), append(ct, vectors.Hex(t, c.Tag)...))
			switch c.Result {
			case "valid":
				valid++
				if !same || !bytes.Equal(msg, vectors.Hex(t, c.Msg)) {
					t.Errorf("case %d differs", c.TcID)
				}
			case "invalid":
				invalid++
				if same {
					t.Errorf("case %d has the right tag", c.TcID)
				}
			}
		}
	}
	if valid != 256 || invalid != 60 || fit != 0 {
		t.Errorf("%d valid and %d invalid vectors, %d of a header's lengths; want 256, 60 and 0", valid, invalid, fit)
	}
}
