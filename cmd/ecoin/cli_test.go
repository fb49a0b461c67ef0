package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommandLine checks what a person meets who types something wrong, and
// where a value comes from when several places give it.
func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string // on standard error
	}{
		{"no command", nil, 2, "expected one of"},
		{"unknown command", []string{"bonk"}, 2, "bonk"},
		{"unknown flag", []string{"bank", "--colour", "red"}, 2, "--colour"},
		{"role missing", []string{"trust", "add", "x", "--cert", "x.crt"}, 2, "--role"},
		{"role unknown", []string{"trust", "add", "x", "--cert", "x.crt", "--role", "king"}, 2, "king"},
		{"key and pin both", []string{"trust", "add", "x", "--cert", "x", "--pin", "00", "--role", "analyst"}, 2, "pin"},
		{"no bank at the socket", []string{"trust", "list", "--dir", dir}, 1, "admin.sock"},
		{"certificate missing", []string{"trust", "add", "x", "--cert", filepath.Join(dir, "none.crt"), "--role", "analyst"}, 1, "none.crt"},
		{"audit of no bank", []string{"audit", "--dir", filepath.Join(dir, "nothing")}, 1, "not the folder of a bank"},
		{"settings not JSON", []string{"--config", file("a.json", "level: 1"), "keys", "list"}, 2, "a.json"},
		{"settings misspelt", []string{"--config", file("b.json", `{"bank":{"lisen":"x"}}`), "keys", "list"}, 2, "lisen"},
		{"settings of nobody", []string{"--config", file("c.json", `{"speed":9}`), "keys", "list"}, 2, "speed"},
		{"settings file missing", []string{"--config", filepath.Join(dir, "no.json"), "keys", "list"}, 2, "no.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, err := ecoin(t, c.args...)
			if code != c.code || !strings.Contains(err, c.says) {
				t.Errorf("exit code %d, want %d; standard error lacks %q:\n%s%s", code, c.code, c.says, out, err)
			}
		})
	}
}

// TestSettingsPrecedence: command line before environment before section before
// top level of the settings file before default.
func TestSettingsPrecedence(t *testing.T) {
	dir := t.TempDir()
	settings := filepath.Join(dir, "ecoin.json")
	content, err := json.Marshal(map[string]any{
		"dir":       filepath.Join(dir, "top"),
		"keys":      map[string]any{"dir": filepath.Join(dir, "section")},
		"log-level": "warn",
		"host":      []string{"example.org", "10.1.2.3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, content, 0o600); err != nil {
		t.Fatal(err)
	}
	made := func(where string) {
		t.Helper()
		if _, err := os.Stat(filepath.Join(dir, where, "cam.crt")); err != nil {
			t.Errorf("the value from %q was not used: %v", where, err)
		}
		if err := os.RemoveAll(filepath.Join(dir, where)); err != nil {
			t.Fatal(err)
		}
	}
	mustEcoin(t, "--config", settings, "keys", "client", "cam")
	made("section")
	t.Setenv("ECOIN_CONFIG", settings)
	mustEcoin(t, "keys", "client", "cam")
	made("section")
	t.Setenv("ECOIN_DIR", filepath.Join(dir, "environment"))
	mustEcoin(t, "keys", "client", "cam")
	made("environment")
	mustEcoin(t, "keys", "client", "cam", "--dir", filepath.Join(dir, "line"))
	made("line")
}

// TestNewBank follows a first start: what is made, with which modes, what is
// said, and what is refused when a part of it is gone.
func TestNewBank(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	b := newBank(t)
	out := b.outText()
	for _, says := range []string{"issue.key", "fingerprint.key", "tls.crt", "header-x25519-", "ecoin keys client", "ecoin trust add", "Back up"} {
		if !strings.Contains(out, says) {
			t.Errorf("the first start does not say %q:\n%s", says, out)
		}
	}
	keys, err := os.ReadDir(filepath.Join(b.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range keys {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Name(), ".key") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(filepath.Join(b.dir, "admin.sock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("admin socket: %v, %v", info, err)
	}
	b.terminate()

	issue := filepath.Join(b.dir, "keys", "issue.key")
	refused := func(what, says string) {
		t.Helper()
		p := startProc(t, "bank", "--dir", b.dir, "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0")
		if code := p.ends(); code != 1 || !strings.Contains(p.logText(), says) {
			t.Errorf("%s: exit code %d; standard error lacks %q:\n%s", what, code, says, p.logText())
		}
	}
	if err := os.Chmod(issue, 0o640); err != nil {
		t.Fatal(err)
	}
	refused("a key that others can read", "chmod 600")
	if err := os.Chmod(issue, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(issue, issue+".away"); err != nil {
		t.Fatal(err)
	}
	refused("the issue key is gone", "issue.key")
	if err := os.Rename(filepath.Join(b.dir, "keys"), filepath.Join(b.dir, "keys.away")); err != nil {
		t.Fatal(err)
	}
	refused("all keys are gone", "restore them")

	other := newBank(t)
	other.terminate()
	if err := os.Rename(filepath.Join(other.dir, "keys"), filepath.Join(b.dir, "keys")); err != nil {
		t.Fatal(err)
	}
	refused("keys of another bank", "other keys")
}

// TestPrintable: a result is written by a stranger and shown on a terminal.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"mean 3.5 °C\n\tok":          "mean 3.5 °C\n\tok",
		"\x1b[31mred\x1b[0m\a":       "\ufffd[31mred\ufffd[0m\ufffd",
		"bell\x00 \xff\u202e \u0085": "bell\ufffd \ufffd\ufffd \ufffd",
	} {
		if got := printable([]byte(in)); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}
