package keyfile

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	old := syscall.Umask(0) // the widest
	err := Write(path, []byte("content"))
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode() != 0o600 {
		t.Fatalf("%v, %v", fi.Mode(), err)
	}
	if got, err := Read(path); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	only(t, dir, "a.key")
}

// only fails unless dir holds exactly the named files.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("the folder holds %q, want %q", got, names)
	}
}

func TestWriteNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	for name, prepare := range map[string]func() error{
		"file":          func() error { return os.WriteFile(path, []byte("first"), 0o600) },
		"folder":        func() error { return os.Mkdir(path, 0o700) },
		"link to none":  func() error { return os.Symlink("nowhere", path) },
		"read-only one": func() error { return os.WriteFile(path, []byte("first"), 0o400) },
	} {
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		err := Write(path, []byte("second"))
		if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(path); err == nil && string(b) != "first" {
			t.Errorf("%s: overwritten", name)
		}
		only(t, dir, "a.key")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneOfManyWritersWins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	var won atomic.Pointer[string]
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			content := strings.Repeat(string(rune('a'+i)), 1000)
			if err := Write(path, []byte(content)); err == nil {
				if !won.CompareAndSwap(nil, &content) {
					t.Error("two writers won")
				}
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := Read(path)
	if err != nil || won.Load() == nil || string(got) != *won.Load() {
		t.Errorf("the file is not the winner's: %v", err)
	}
	only(t, dir, "a.key")
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, err := range map[string]error{
		"no folder": Write(filepath.Join(dir, "none", "a.key"), []byte("x")),
		"no name":   Write(dir+"/", []byte("x")),
		"empty":     Write(filepath.Join(dir, "a.key"), nil),
		"too long":  Write(filepath.Join(dir, "a.key"), make([]byte, maxSize+1)),
	} {
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	only(t, dir)
}

func TestReadRefusesWideModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	if err := Write(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for mode := range fs.FileMode(0o1000) {
		if mode&0o400 == 0 {
			continue // unreadable, except for root
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if mode&0o077 == 0 {
			if err != nil {
				t.Errorf("mode %04o: %v", mode, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("mode %04o is accepted", mode)
		} else if msg := err.Error(); !strings.Contains(msg, "chmod 600 "+path) || !strings.Contains(msg, fmt.Sprintf("mode %04o", mode)) {
			t.Errorf("mode %04o: the message does not help: %s", mode, msg)
		}
	}
}

func TestReadRefusesWhatIsNotAFile(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "a.key")
	if err := Write(key, []byte("x")); err != nil {
		t.Fatal(err)
	}
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	empty, big := filepath.Join(dir, "empty"), filepath.Join(dir, "big")
	for _, err := range []error{
		os.Symlink(key, link), syscall.Mkfifo(fifo, 0o600),
		os.WriteFile(empty, nil, 0o600), os.WriteFile(big, make([]byte, maxSize+1), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "full"), bytes.Repeat([]byte("x"), maxSize), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := Read(filepath.Join(dir, "full")); err != nil || len(b) != maxSize {
		t.Errorf("the largest file: %d bytes, %v", len(b), err)
	}
	for path, want := range map[string]string{
		link: "symbolic link", dir: "folder", fifo: "regular", empty: "empty", big: "larger",
		filepath.Join(dir, "none"): "no such file",
	} {
		if b, err := Read(path); err == nil || b != nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for path, want := range map[string]string{
		"/etc/ecoin/a.key":  "/etc/ecoin/a.key",
		"/a b/c":            "'/a b/c'",
		"/it's/$HOME/`id`":  `'/it'\''s/$HOME/` + "`id`'",
		"-rf":               "'./-rf'",
		"/new\nline":        "'/new\nline'",
		"/ключ":             "'/ключ'",
		"relative/path.key": "relative/path.key",
	} {
		if got := shellQuote(path); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "issue.key")
	want := [32]byte{1, 2, 3, 31: 32}
	if err := WriteSecret(path, TypeIssueKey, &want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSecret(path, TypeIssueKey); err != nil || got != want {
		t.Errorf("another key comes back: %v", err)
	}
	if want != [32]byte{1, 2, 3, 31: 32} {
		t.Error("writing changed the key")
	}
	if got, err := ReadSecret(path, TypeFingerprintKey); err == nil || got != [32]byte{} || !strings.Contains(err.Error(), TypeFingerprintKey) {
		t.Errorf("an issue key is taken for a fingerprint key: %v", err)
	}
	if _, err := ReadPrivateKey(path); err == nil {
		t.Error("an issue key is taken for a private key")
	}
	priv := filepath.Join(dir, "p.key")
	if err := WritePrivateKey(priv, []byte("pkcs8")); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPrivateKey(priv); err != nil || string(got) != "pkcs8" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Chmod(priv, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivateKey(priv); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a wide private key: %v", err)
	}
}

func TestPEMRefuses(t *testing.T) {
	dir := t.TempDir()
	secret := bytes.Repeat([]byte{0xab}, 32)
	block := func(typ string, h map[string]string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Headers: h, Bytes: b}))
	}
	good := block(TypeIssueKey, nil, secret)
	for name, text := range map[string]string{
		"no-pem":    hex.EncodeToString(secret),
		"short":     block(TypeIssueKey, nil, secret[:31]),
		"long":      block(TypeIssueKey, nil, append(secret[:32:32], 1)),
		"encrypted": block(TypeIssueKey, map[string]string{"Proc-Type": "4,ENCRYPTED"}, secret),
		"two":       good + good,
		"trailing":  good + "x",
		"cut":       good[:len(good)-10],
		"type":      block("PRIVATE KEY", nil, secret),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecret(path, TypeIssueKey)
		if err == nil || got != [32]byte{} {
			t.Errorf("%s: accepted", name)
		} else if msg := err.Error(); !strings.Contains(msg, path) || strings.Contains(msg, "abab") || strings.Contains(msg, "q6ur") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadSecret(f *testing.F) {
	f.Add([]byte("-----BEGIN ECOIN ISSUE KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END ECOIN ISSUE KEY-----\n"))
	f.Add([]byte("x"))
	f.Add([]byte(""))
	path := filepath.Join(f.TempDir(), "k")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := ReadSecret(path, TypeIssueKey)
		if err != nil {
			if key != [32]byte{} {
				t.Fatal("a key with an error")
			}
			return
		}
		again := filepath.Join(t.TempDir(), "k")
		if err := WriteSecret(again, TypeIssueKey, &key); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSecret(again, TypeIssueKey); err != nil || got != key {
			t.Fatalf("not the same key again: %v", err)
		}
	})
}
