package clients

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecoin/core"
	"ecoin/internal/identity"
)

const pin = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func read(t *testing.T, text string) (Truststore, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "accounts.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(file)
}

func TestRead(t *testing.T) {
	got, err := read(t, "name,role,pin,credit\na,analyst,"+pin+",0\nb,collector,"+strings.Replace(pin, "00", "ff", 1)+",5\n")
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, a := range got {
		if a.Name == "b" && (a.Number != 1 || a.Role != "collector" || a.ID() != "00000000000000000000000000000002") {
			t.Errorf("%+v, %s", a, a.ID())
		}
	}
	for name, text := range map[string]string{
		"empty": "", "header alone": "name,role,pin,credit\n", "no pin": "name,role,pin,credit\na,analyst,00,0\n", "not hex": "name,role,pin,credit\na,analyst," + pin[1:] + "x,0\n",
		"columns": "name,role\na,analyst\n", "ragged": "name,role,pin,credit\na\n",
	} {
		if _, err := read(t, text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there")
	}
}

func FuzzRead(f *testing.F) {
	f.Add("name,role,pin,credit\na,analyst," + pin + ",0\n")
	f.Add("\"")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := read(t, text); err == nil && len(got) == 0 {
			t.Error("no accounts, and no error")
		}
	})
}

// TestConfig lets in whoever has an account, and nobody else.
func TestConfig(t *testing.T) {
	server, err := identity.Create(t.TempDir(), "bank", []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	known, err := identity.Create(t.TempDir(), "known", nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := identity.Create(t.TempDir(), "stranger", nil)
	if err != nil {
		t.Fatal(err)
	}
	store := Truststore{known.Pin: &Account{Name: "known"}}
	config := store.Config(server)
	state := func(id *identity.Identity) tls.ConnectionState {
		return tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{id.Certificate.Leaf}}
	}
	mine := state(known)
	if err := config.VerifyConnection(mine); err != nil || store.Of(&mine).Name != "known" {
		t.Errorf("a client with an account: %v", err)
	}
	if err := config.VerifyConnection(state(stranger)); err == nil {
		t.Error("a stranger is let in")
	}
	if config.ClientAuth != tls.RequireAnyClientCert || config.MinVersion != tls.VersionTLS13 {
		t.Error("clients need no certificate")
	}
}

func TestKeys(t *testing.T) {
	key, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	k := Keys(key.Public(), "https://127.0.0.1:1").Keys
	if len(k) != 1 || k[0].Suite != "x25519" || k[0].KeyID != key.Public().ID().String() || k[0].URL != "https://127.0.0.1:1" {
		t.Errorf("%+v", k)
	}
}
