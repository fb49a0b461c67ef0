package codec

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"

	circlhpke "github.com/cloudflare/circl/hpke"
	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"
)

// aad is as long as what a header is bound to.
var aad = []byte("12 bytes aad")

// open checks what a peer opened.
func open(got []byte, err error, want []byte) error {
	if err == nil && !bytes.Equal(got, want) {
		err = errOpen
	}
	return err
}

// stdlib is the obvious use of the standard library for what ours does.
func stdlib() (Impl, error) {
	kem, kdf, aead := hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305()
	key, err := kem.GenerateKey()
	if err != nil {
		return Impl{}, err
	}
	sec := newSecrets(1)[0]
	want := plaintext(&sec)
	seal := func() ([]byte, error) {
		enc, sender, err := hpke.NewSender(key.PublicKey(), kdf, aead, []byte(headerInfo))
		if err != nil {
			return nil, err
		}
		ct, err := sender.Seal(aad, want)
		return append(enc, ct...), err
	}
	header, err := seal()
	if err != nil {
		return Impl{}, err
	}
	payload, sealed := make([]byte, PayloadLen), []byte(nil)
	if sealed, err = sealCBC(nil, sec.Coin[:], sec.IV[:], payload, true); err != nil {
		return Impl{}, err
	}
	var dst []byte
	return Impl{Name: "Go's standard library", Against: both, Note: "crypto/hpke with the same suite; crypto/aes, crypto/cipher and crypto/hmac with the same keys", Jobs: map[string]Job{
		HeaderOpen: {1, func() error {
			r, err := hpke.NewRecipient(header[:32], key, kdf, aead, []byte(headerInfo))
			if err != nil {
				return err
			}
			got, err := r.Open(aad, header[32:])
			return open(got, err, want)
		}},
		HeaderSeal: {1, func() error { _, err := seal(); return err }},
		PayloadOpen: {1, func() (err error) {
			dst, err = openCBC(dst[:0], sec.Coin[:], sec.IV[:], sealed, true)
			return open(dst, err, payload)
		}},
		PayloadSeal: {1, func() (err error) {
			dst, err = sealCBC(dst[:0], sec.Coin[:], sec.IV[:], payload, true)
			return err
		}},
	}}, nil
}

// design2015 is the first proof of concept: RSA for the header, CBC without a MAC.
func design2015() (Impl, error) {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return Impl{}, err
	}
	sec := newSecrets(1)[0]
	want := plaintext(&sec)
	seal := func() ([]byte, error) {
		return rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, want, []byte(headerInfo))
	}
	header, err := seal()
	if err != nil {
		return Impl{}, err
	}
	payload, sealed := make([]byte, PayloadLen), []byte(nil)
	if sealed, err = sealCBC(nil, sec.Coin[:], sec.IV[:], payload, false); err != nil {
		return Impl{}, err
	}
	var dst []byte
	return Impl{Name: "the 2015 design", Against: both, Note: "crypto/rsa, RSAES-OAEP with 3072 bits, as strong as X25519; AES-256-CBC **without any MAC**: its payloads can be altered unseen", Jobs: map[string]Job{
		HeaderOpen: {1, func() error {
			got, err := rsa.DecryptOAEP(sha256.New(), nil, key, header, []byte(headerInfo))
			return open(got, err, want)
		}},
		HeaderSeal: {1, func() error { _, err := seal(); return err }},
		PayloadOpen: {1, func() (err error) {
			dst, err = openCBC(dst[:0], sec.Coin[:], sec.IV[:], sealed, false)
			return open(dst, err, payload)
		}},
		PayloadSeal: {1, func() (err error) {
			dst, err = sealCBC(dst[:0], sec.Coin[:], sec.IV[:], payload, false)
			return err
		}},
	}}, nil
}

// circl is Cloudflare's HPKE, with the same suite.
func circl() (Impl, error) {
	suite := circlhpke.NewSuite(circlhpke.KEM_X25519_HKDF_SHA256, circlhpke.KDF_HKDF_SHA256, circlhpke.AEAD_ChaCha20Poly1305)
	public, private, err := circlhpke.KEM_X25519_HKDF_SHA256.Scheme().GenerateKeyPair()
	if err != nil {
		return Impl{}, err
	}
	sender, err := suite.NewSender(public, []byte(headerInfo))
	if err != nil {
		return Impl{}, err
	}
	receiver, err := suite.NewReceiver(private, []byte(headerInfo))
	if err != nil {
		return Impl{}, err
	}
	sec := newSecrets(1)[0]
	want := plaintext(&sec)
	seal := func() (enc, ct []byte, err error) {
		enc, sealer, err := sender.Setup(rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		ct, err = sealer.Seal(want, aad)
		return enc, ct, err
	}
	enc, ct, err := seal()
	if err != nil {
		return Impl{}, err
	}
	return Impl{Name: "circl", Against: both, Note: "github.com/cloudflare/circl/hpke with the same suite; it has no payloads", Jobs: map[string]Job{
		HeaderOpen: {1, func() error {
			opener, err := receiver.Setup(enc)
			if err != nil {
				return err
			}
			got, err := opener.Open(ct, aad)
			return open(got, err, want)
		}},
		HeaderSeal: {1, func() error { _, _, err := seal(); return err }},
	}}, nil
}

// naclBox is the sealed box of NaCl, and its secretbox for payloads.
func naclBox() (Impl, error) {
	public, private, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return Impl{}, err
	}
	sec := newSecrets(1)[0]
	want := plaintext(&sec)
	header, err := box.SealAnonymous(nil, want, public, rand.Reader)
	if err != nil {
		return Impl{}, err
	}
	var nonce [24]byte
	copy(nonce[:], sec.IV[:])
	payload := make([]byte, PayloadLen)
	sealed := secretbox.Seal(nil, payload, &nonce, (*[32]byte)(&sec.Coin))
	var dst []byte
	opened := func(got []byte, ok bool, want []byte) error {
		if !ok {
			return errOpen
		}
		return open(got, nil, want)
	}
	return Impl{Name: "NaCl box", Against: both, Note: "golang.org/x/crypto/nacl: a sealed box (box.SealAnonymous) has a fresh X25519 key like ours, but no key schedule, and binds the header to no context; payloads are secretbox, XSalsa20-Poly1305 under the coin, which OpenSSL cannot open", Jobs: map[string]Job{
		HeaderOpen: {1, func() error {
			got, ok := box.OpenAnonymous(dst[:0], header, public, private)
			return opened(got, ok, want)
		}},
		HeaderSeal: {1, func() error { _, err := box.SealAnonymous(dst[:0], want, public, rand.Reader); return err }},
		PayloadOpen: {1, func() error {
			got, ok := secretbox.Open(dst[:0], sealed, &nonce, (*[32]byte)(&sec.Coin))
			dst = got
			return opened(got, ok, payload)
		}},
		PayloadSeal: {1, func() error { dst = secretbox.Seal(dst[:0], payload, &nonce, (*[32]byte)(&sec.Coin)); return nil }},
	}}, nil
}

// sealCBC appends a payload under a fresh key, padded by PKCS#7, with a MAC or without.
func sealCBC(dst, key, iv, payload []byte, mac bool) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return dst, err
	}
	pad := aes.BlockSize - len(payload)%aes.BlockSize
	dst = append(dst, payload...)
	dst = append(dst, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(dst, dst)
	if !mac {
		return dst, nil
	}
	tag, err := tagOf(key, iv, dst)
	return append(dst, tag...), err
}

// openCBC undoes sealCBC.
func openCBC(dst, key, iv, sealed []byte, mac bool) ([]byte, error) {
	if mac {
		end := len(sealed) - sha256.Size
		tag, err := tagOf(key, iv, sealed[:end])
		if err != nil {
			return dst, err
		}
		if subtle.ConstantTimeCompare(tag, sealed[end:]) != 1 {
			return dst, errOpen
		}
		sealed = sealed[:end]
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return dst, err
	}
	dst = append(dst, sealed...)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(dst, dst)
	pad := int(dst[len(dst)-1])
	if pad < 1 || pad > aes.BlockSize {
		return dst, errOpen
	}
	return dst[:len(dst)-pad], nil
}

// tagOf is the tag of a payload under its coin, as docs/PROTOCOL.md has it.
func tagOf(coin, iv, sealed []byte) ([]byte, error) {
	key, err := hkdf.Expand(sha256.New, coin, "ecoin/v1 mac\x10\x01"+string(iv), 32)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	h.Write(sealed)
	return h.Sum(nil), nil
}
