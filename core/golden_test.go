package core

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ecoin/core/internal/vectors"
)

// The values of golden.txt come from the openssl command alone (golden.sh).

func TestGoldenMint(t *testing.T) {
	g := golden(t)
	m := NewMint((*[32]byte)(g["issue_key"]), (*[32]byte)(g["fingerprint_key"]))
	salt := (*Salt)(g["salt"])
	coins := m.AppendCoins(nil, salt, 3)
	fps := m.AppendFingerprints(nil, salt, 3)
	if len(coins) != 3 || len(fps) != 3 {
		t.Fatalf("%d coins and %d fingerprints, want 3 and 3", len(coins), len(fps))
	}
	for i := range coins {
		if !bytes.Equal(coins[i][:], g["coins"][32*i:32*i+32]) {
			t.Errorf("coin %d differs from ChaCha20 of openssl", i)
		}
		if !bytes.Equal(fps[i][:], g["fingerprints"][16*i:16*i+16]) {
			t.Errorf("fingerprint %d differs from AES-256-CBC-MAC of openssl", i)
		}
		if m.Fingerprint(&coins[i]) != fps[i] {
			t.Errorf("Fingerprint of coin %d differs from AppendFingerprints", i)
		}
	}
}

func TestGoldenKeyIDs(t *testing.T) {
	g := golden(t)
	if id := testRSA().Public().ID(); !bytes.Equal(id[:], g["rsa_key_id"]) {
		t.Errorf("rsa3072 key id %v, want %x", id, g["rsa_key_id"])
	}
	if b := testRSA().Public().Bytes(); !bytes.Equal(b, g["rsa_public_key"]) {
		t.Error("rsa3072 public key is not the DER that openssl writes")
	}
	x, err := ParsePublicKey(SuiteX25519, vectors.Hex(t, readRFC9180(t).PkRm))
	if err != nil {
		t.Fatal(err)
	}
	if id := x.ID(); !bytes.Equal(id[:], g["x25519_key_id"]) {
		t.Errorf("x25519 key id %v, want %x", id, g["x25519_key_id"])
	}
}

func TestGoldenMessages(t *testing.T) {
	g := golden(t)
	ring, err := NewKeyring(testRSA())
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	var sec Secrets
	record := g["rsa_record"]
	if err := ring.OpenHeader(&s, record, &sec); err != nil {
		t.Fatalf("header sealed by openssl: %v", err)
	}
	if !bytes.Equal(sec.Coin[:], g["coin"]) || !bytes.Equal(sec.IV[:], g["iv"]) {
		t.Fatal("header sealed by openssl opened to other secrets")
	}
	if d := RecordDigest(record); !bytes.Equal(d[:], g["rsa_record_digest"]) {
		t.Errorf("record digest %v, want %x", d, g["rsa_record_digest"])
	}

	msg, err := AppendRequest(nil, &s, record, &sec, g["request_plaintext"])
	if err != nil || !bytes.Equal(msg, g["request"]) {
		t.Errorf("request differs from the one made with openssl (%v)", err)
	}
	req := mustParse(t, g["request"])
	if got := req.AppendRecord(nil); !bytes.Equal(got, record) {
		t.Error("AppendRecord gives another record")
	}
	if got, err := req.Open(nil, &s, &sec); err != nil || !bytes.Equal(got, g["request_plaintext"]) {
		t.Errorf("request made with openssl does not open: %v", err)
	}
	name, body, err := CutOperation(g["request_plaintext"])
	if err != nil || string(name) != "summary" || string(body) != "time,temperature\n0,20.5\n60,20.75\n" {
		t.Errorf("operation: name %q, body %q, %v", name, body, err)
	}
	got, err := OpenReply(nil, &s, testRSA().Public(), &sec, g["reply"])
	if err != nil || !bytes.Equal(got, g["reply_plaintext"]) {
		t.Errorf("reply made with openssl does not open: %v", err)
	}
	if st, body, err := CutResult(got); err != nil || st != ReplyOK || string(body) != "temperature mean 20.625" {
		t.Errorf("result: status %d, body %q, %v", st, body, err)
	}
}

// TestRSAHeaderIsPlainOAEP opens our header with crypto/rsa and nothing of ours.
func TestRSAHeaderIsPlainOAEP(t *testing.T) {
	key, sec := testRSA(), testSecrets(1)
	record := mustRecord(t, key.Public(), sec)
	label := append([]byte("ecoin/v1 header"), record[:12]...)
	plain, err := rsa.DecryptOAEP(sha256.New(), nil, key.open.(rsaOpener).key, record[12:], label)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(plain, append(sec.Coin[:], sec.IV[:]...)) {
		t.Error("header content is not coin | IV")
	}
}

// TestOpenSSLDecryptsRequest holds the promise that the payload of a request is
// what "openssl enc -d -aes-256-cbc -K coin -iv IV" takes.
func TestOpenSSLDecryptsRequest(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("ECOIN_NO_SKIP") != "" {
		t.Fatal("the openssl command is not installed, and ECOIN_NO_SKIP is set")
	}
	if err != nil {
		t.Skip("the openssl command is not installed")
	}
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		for _, n := range []int{0, 1, 15, 16, 17, 4096} {
			sec, plaintext := testSecrets(byte(n)), bytes.Repeat([]byte("r"), n)
			msg := mustRequest(t, key.Public(), sec, plaintext)
			file := filepath.Join(t.TempDir(), "ciphertext")
			if err := os.WriteFile(file, msg[PrefixLen+key.Public().Suite().HeaderLen():len(msg)-TagLen], 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := exec.Command(openssl, "enc", "-d", "-aes-256-cbc",
				"-K", hex.EncodeToString(sec.Coin[:]), "-iv", hex.EncodeToString(sec.IV[:]), "-in", file).Output()
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%d bytes: openssl got %d bytes, %v", n, len(got), err)
			}
		}
	})
}
