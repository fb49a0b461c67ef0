package hmac256

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// TestRFC4231 is test case 2 of RFC 4231 section 4.3.
func TestRFC4231(t *testing.T) {
	var h HMAC
	var got [Size]byte
	h.SetKey([]byte("Jefe"))
	h.Sum(&got, []byte("what do ya want "), nil, []byte("for nothing?"))
	if hex.EncodeToString(got[:]) != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
		t.Errorf("HMAC %x differs from the RFC", got)
	}
}

// TestAgainstStandardLibrary takes every length of key and message, with one HMAC
// for all: nothing of a longer key or message may stay.
func TestAgainstStandardLibrary(t *testing.T) {
	var h HMAC
	b := make([]byte, MaxMessage)
	for i := range b {
		b[i] = byte(i*37 + 1)
	}
	for keyLen := blockSize; keyLen >= 0; keyLen-- {
		h.SetKey(b[:keyLen])
		want := hmac.New(sha256.New, b[:keyLen])
		for n := MaxMessage; n >= 0; n-- {
			want.Reset()
			want.Write(b[:n])
			var got [Size]byte
			if h.Sum(&got, b[:n/3], b[n/3:n]); !bytes.Equal(got[:], want.Sum(nil)) {
				t.Fatalf("key of %d bytes, message of %d: differs from crypto/hmac", keyLen, n)
			}
		}
	}
}

func TestTooLongPanics(t *testing.T) {
	var h HMAC
	for name, f := range map[string]func(){
		"key":     func() { h.SetKey(make([]byte, blockSize+1)) },
		"message": func() { h.Sum(new([Size]byte), make([]byte, MaxMessage), []byte{0}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
