package core

import (
	"bytes"
	"testing"

	"ecoin/core/internal/vectors"
)

// TestWycheproofOAEP holds Project Wycheproof's vectors of RSAES-OAEP with SHA-256 and
// MGF1-SHA-256 at 3072 bits, through the keys and the decryption of SuiteRSA3072. What
// they encrypt has any length, so the length of a header's content is not looked at.
func TestWycheproofOAEP(t *testing.T) {
	if testing.Short() {
		t.Skip("no assembly of ours")
	}
	var v struct {
		NumberOfTests int
		TestGroups    []struct {
			PrivateKeyPkcs8 string
			Tests           []struct {
				TcID                   int
				Msg, Ct, Label, Result string
			}
		}
	}
	vectors.Wycheproof(t, "rsa_oaep_3072_sha256_mgf1sha256_test.json", &v)
	results := map[string]int{}
	for _, g := range v.TestGroups {
		key, err := ParsePrivateKey(vectors.Hex(t, g.PrivateKeyPkcs8))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Tests {
			results[c.Result]++
			got, ok := key.open.(rsaOpener).decrypt(vectors.Hex(t, c.Ct), vectors.Hex(t, c.Label))
			if want := c.Result != "invalid"; ok != want || ok && !bytes.Equal(got, vectors.Hex(t, c.Msg)) {
				t.Errorf("case %d: opens %v, want %v, or to something else", c.TcID, ok, want)
			}
		}
	}
	if v.NumberOfTests != 37 || results["valid"] != 18 || results["invalid"] != 19 {
		t.Errorf("%d vectors, %v; want 37, 18 of them valid", v.NumberOfTests, results)
	}
}
