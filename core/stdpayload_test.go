package core

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// stdTag is the MAC of a request with the standard library.
func stdTag(sec *Secrets, suite Suite, kind byte, authenticated []byte) []byte {
	h := hmac.New(sha256.New, sec.Coin[:])
	h.Write([]byte(macInfo))
	h.Write([]byte{byte(suite), kind})
	h.Write(sec.IV[:])
	h.Write([]byte{1})
	h = hmac.New(sha256.New, h.Sum(nil))
	h.Write(authenticated)
	return h.Sum(nil)
}

// stdAppendRequest is AppendRequest with the standard library, for good inputs.
func stdAppendRequest(t testing.TB, dst, record []byte, sec *Secrets, plaintext []byte) []byte {
	start := len(dst)
	n := len(plaintext)/16*16 + 16
	dst = append(dst, record[:BoundLen]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = append(dst, record[BoundLen:]...)
	at := len(dst)
	dst = append(dst, plaintext...)
	for range n - len(plaintext) {
		dst = append(dst, byte(n-len(plaintext)))
	}
	block, err := aes.NewCipher(sec.Coin[:])
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCEncrypter(block, sec.IV[:]).CryptBlocks(dst[at:], dst[at:])
	return append(dst, stdTag(sec, Suite(record[1]), KindRequest, dst[start:])...)
}

// stdOpenRequest is Request.Open with the standard library.
func stdOpenRequest(t testing.TB, dst []byte, r *Request, sec *Secrets) ([]byte, bool) {
	n := len(r.msg) - TagLen
	if !hmac.Equal(stdTag(sec, r.Suite, KindRequest, r.msg[:n]), r.msg[n:]) {
		return dst, false
	}
	block, err := aes.NewCipher(sec.Coin[:])
	if err != nil {
		t.Fatal(err)
	}
	start := len(dst)
	dst = append(dst, r.ciphertext()...)
	cipher.NewCBCDecrypter(block, sec.IV[:]).CryptBlocks(dst[start:], dst[start:])
	pad := paddingLen(dst[start:])
	return dst[:len(dst)-pad], pad > 0
}

// TestPayloadAgainstStandardLibrary holds both to each other, for every length around a
// few blocks.
func TestPayloadAgainstStandardLibrary(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		sec := testSecrets(3)
		record := mustRecord(t, key.Public(), sec)
		for n := range 200 {
			plaintext := bytes.Repeat([]byte{byte(n)}, n)
			msg := mustRequestFrom(t, record, sec, plaintext)
			if !bytes.Equal(msg, stdAppendRequest(t, nil, record, sec, plaintext)) {
				t.Fatalf("%d bytes: seals to something else", n)
			}
			got, ok := stdOpenRequest(t, nil, mustParse(t, msg), sec)
			if !ok || !bytes.Equal(got, plaintext) {
				t.Fatalf("%d bytes: opens to something else", n)
			}
		}
	})
}
