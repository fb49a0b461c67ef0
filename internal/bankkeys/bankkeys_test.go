package bankkeys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecoin/core"
)

// create makes a key folder and returns its path.
func create(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := Create(dir, core.SuiteX25519, []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCreateAndOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if exists, err := Exists(dir); exists || err != nil {
		t.Fatalf("Exists before Create: %v, %v", exists, err)
	}
	// What a crash in the middle of an earlier Create left behind.
	if err := os.MkdirAll(dir+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir+".new", issueFile), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	paths, err := Create(dir, core.SuiteX25519, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) != 5 {
		t.Errorf("Create made %v, want 5 files", paths)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, keySuffix) && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	if _, err := os.Stat(dir + ".new"); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
	if exists, err := Exists(dir); !exists || err != nil {
		t.Errorf("Exists after Create: %v, %v", exists, err)
	}
	if _, err := Create(dir, core.SuiteX25519, nil); err == nil {
		t.Error("Create replaced keys that are in use")
	}

	first, err := Open(dir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	var salt core.Salt
	if first.Mint.AppendCoins(nil, &salt, 1)[0] != again.Mint.AppendCoins(nil, &salt, 1)[0] {
		t.Error("the same folder makes other coins when it is opened again")
	}
	other, err := Open(create(t), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if first.Mint.AppendCoins(nil, &salt, 1)[0] == other.Mint.AppendCoins(nil, &salt, 1)[0] {
		t.Error("two banks make the same coins")
	}
	if first.TLS.Pin == other.TLS.Pin {
		t.Error("two banks have the same TLS key")
	}
}

// An operator, or a container, may have made the folder; and shells complete names
// with a slash.
func TestCreateInEmptyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	must(t, os.Mkdir(dir, 0o755))
	if _, err := Create(dir+"/", core.SuiteX25519, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder's mode is %v, %v", info.Mode(), err)
	}
	if _, err := Open(dir, "", ""); err != nil {
		t.Error(err)
	}
}

// A refused Create changes nothing and leaves no keys lying about.
func TestCreateRefuses(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"folder in use": func(path string) error {
			return errors.Join(os.Mkdir(path, 0o755), os.WriteFile(filepath.Join(path, "x"), nil, 0o600))
		},
		"file": func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "keys")
		must(t, prepare(dir))
		if _, err := Create(dir, core.SuiteX25519, nil); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
			t.Errorf("%s: the parent folder holds %v, %v", name, entries, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, issueFile)); err == nil {
			t.Errorf("%s: keys were made in it", name)
		}
	}
}

func TestHeaderKeys(t *testing.T) {
	for _, suite := range []core.Suite{core.SuiteX25519, core.SuiteXWing, core.SuiteRSA3072} {
		t.Run("suite="+suite.String(), func(t *testing.T) { testHeaderKeys(t, suite) })
	}
}

func testHeaderKeys(t *testing.T, suite core.Suite) {
	dir := create(t)
	path, public, err := AddHeaderKey(dir, suite)
	if err != nil {
		t.Fatal(err)
	}
	if name := "header-" + suite.String() + "-" + public.ID().String() + ".key"; filepath.Base(path) != name {
		t.Errorf("the file is %s, want %s", path, name)
	}
	ring, err := OpenRing(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys := ring.Public()
	if len(keys) != 2 || keys[0].ID() != public.ID() && keys[1].ID() != public.ID() {
		t.Fatalf("the ring holds %d keys, want the first one and the new one", len(keys))
	}
	// The newest file is first, whatever the names say.
	for i, age := range []time.Duration{0, 48 * time.Hour} {
		changed := time.Now().Add(-age)
		must(t, os.Chtimes(path, changed, changed))
		ring, err := OpenRing(dir)
		must(t, err)
		if first := ring.Public()[0].ID() == public.ID(); first != (i == 0) {
			t.Errorf("a key file changed %v ago is first: %v", age, first)
		}
	}

	renamed := strings.Replace(path, public.ID().String(), "0000000000000000", 1)
	if err := os.Rename(path, renamed); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRing(dir); err == nil || !strings.Contains(err.Error(), public.ID().String()) {
		t.Errorf("a key under another key's name: %v", err)
	}
	// Retiring: the file is moved away.
	if err := os.Remove(renamed); err != nil {
		t.Fatal(err)
	}
	if ring, err := OpenRing(dir); err != nil || len(ring.Public()) != 1 {
		t.Errorf("after the second key was retired: %v", err)
	}
}

// TestOpenRefuses damages one file at a time. No error may quote a file's content.
func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		says   string
	}{
		{"issue key missing", remove(issueFile), issueFile},
		{"fingerprint key missing", remove(fingerprintFile), fingerprintFile},
		{"certificate missing", remove("tls.crt"), "tls.crt"},
		{"issue key readable by others", chmod(issueFile, 0o644), "chmod 600"},
		{"TLS key readable by others", chmod("tls.key", 0o640), "chmod 600"},
		{"issue key cut", cut(issueFile), issueFile},
		{"keys exchanged", func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, issueFile), filepath.Join(dir, "x")))
			must(t, os.Rename(filepath.Join(dir, fingerprintFile), filepath.Join(dir, issueFile)))
			must(t, os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, fingerprintFile)))
		}, "FINGERPRINT"},
		{"no header key", func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, headerPrefix+"*"))
			must(t, err)
			for _, name := range names {
				must(t, os.Remove(name))
			}
		}, "ecoin keys new"},
		{"header key cut", func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, headerPrefix+"*"))
			must(t, err)
			cut(filepath.Base(names[0]))(t, dir)
		}, headerPrefix},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := create(t)
			secret, err := os.ReadFile(filepath.Join(dir, issueFile))
			must(t, err)
			body := strings.Split(string(secret), "\n")[1]
			c.damage(t, dir)
			_, err = Open(dir, "", "")
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want one that says %q", err, c.says)
			}
			if strings.Contains(err.Error(), body[:8]) {
				t.Error("the error quotes the key")
			}
		})
	}
	t.Run("one of two missing is no new bank", func(t *testing.T) {
		dir := create(t)
		remove(issueFile)(t, dir)
		if exists, err := Exists(dir); err == nil || !strings.Contains(err.Error(), "restore") {
			t.Errorf("Exists = %v, %v", exists, err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, name))) }
}

func chmod(name string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, name), mode)) }
}

func cut(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, name), 40)) }
}
