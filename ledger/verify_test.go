package ledger

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// verifyWorld is a ledger in memory with coins in tables and in its log, and with a
// withdrawal under way, of which nobody works.
func verifyWorld(t *testing.T) *vfs.MemFS {
	mem := vfs.NewMem()
	l := open(t, "ledger", testOptions(mem))
	acc := addAccount(t, l, 10_000)
	fps := withdraw(t, l, acc, 3_000)
	mustRedeem(t, l, acc, fps[:1_000], core.Digest{1}, core.StatusOK)
	if err := l.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	mustRedeem(t, l, acc, fps[1_000:1_100], core.Digest{1}, core.StatusOK)
	release, err := l.debit(&pendingWithdrawal{account: acc, id: freshRequest(),
		withdrawal: withdrawal{state: withdrawalPending, count: 300, salt: freshSalt()}})
	if err != nil {
		t.Fatal(err)
	}
	release()
	closeLedger(t, l)
	return mem
}

// files returns everything in a folder.
func files(t *testing.T, fs vfs.FS, dir string) map[string]string {
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, name := range names {
		if info, err := fs.Stat(fs.PathJoin(dir, name)); err == nil && info.IsDir() {
			continue
		}
		all[name] = string(readFile(t, fs, fs.PathJoin(dir, name)))
	}
	return all
}

func TestVerify(t *testing.T) {
	mem := verifyWorld(t)
	before := files(t, mem, "ledger")
	for name, mint := range map[string]func([]core.Fingerprint, *core.Salt, int) []core.Fingerprint{"with keys": testMint, "without keys": nil} {
		steps := make(map[string]bool)
		v, err := Verify(ctx, "ledger", VerifyOptions{Mint: mint, FS: mem, Logger: quietLog, Progress: func(step string, done, total int64) {
			steps[step] = true
			if done < 0 || done > total {
				t.Errorf("%s: step %s at %d of %d", name, step, done, total)
			}
		}})
		if err != nil || len(v.Problems) > 0 {
			t.Fatalf("%s: %v, %q", name, err, v.Problems)
		}
		if v.Tables < 1 || v.Bytes < 10_000 || v.Audit.Live != 1_900 || v.Audit.Pending != 300 || v.Shards != 4 || v.Format != formatVersion || len(v.Keys) != 32 {
			t.Errorf("%s: %+v", name, v)
		}
		if !steps["blocks"] || !steps["copy"] || !steps["records"] {
			t.Errorf("%s: steps %v", name, steps)
		}
	}
	if after := files(t, mem, "ledger"); !maps.Equal(before, after) {
		t.Error("Verify changed the ledger")
	}
	if _, err := mem.Stat("ledger.verify"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
	l := open(t, "ledger", testOptions(mem))
	if a := mustAudit(t, l); a.Pending != 0 || a.Live != 2_200 {
		t.Errorf("opened afterwards: %+v", a)
	}
	closeLedger(t, l)
}

// Whatever is damaged is reported, and its file named.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	mem := verifyWorld(t)
	log := ""
	for name, content := range files(t, mem, "ledger") {
		if strings.HasSuffix(name, ".log") && len(content) > 0 {
			log = name
		}
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		// Every part of a table: first block, coins, filter, index, properties, footer.
		for _, at := range []int{10, len(content) / 4, len(content) / 2, len(content) * 19 / 20, len(content) - 500, len(content) - 100, len(content) - 5} {
			image := copyFS(t, mem)
			b := []byte(content)
			b[at] ^= 4
			writeFile(t, image, image.PathJoin("ledger", name), b)
			v, err := Verify(ctx, "ledger", VerifyOptions{Mint: testMint, FS: image, Logger: quietLog})
			if err != nil || !slices.ContainsFunc(v.Problems, func(p string) bool { return strings.HasPrefix(p, "file "+name+": ") && !strings.Contains(p, "\n") }) {
				t.Errorf("%s flipped at %d of %d: %v, %q", name, at, len(content), err, v.Problems)
			}
		}
	}
	if log == "" {
		t.Fatal("no log")
	}
	for name, harm := range map[string]func(vfs.FS){
		"a coin too many": func(fs vfs.FS) {
			l := open(t, "ledger", testOptions(fs))
			fp := core.Fingerprint{1}
			if err := l.db.Set(appendLiveKey(nil, &fp), nil, nil); err != nil {
				t.Fatal(err)
			}
			closeLedger(t, l)
		},
		"a table gone": func(fs vfs.FS) {
			names, _, _, err := tablesOf(fs, "ledger")
			if err == nil {
				err = fs.Remove(fs.PathJoin("ledger", names[0]))
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		image := copyFS(t, mem)
		harm(image)
		for _, mint := range []func([]core.Fingerprint, *core.Salt, int) []core.Fingerprint{testMint, nil} {
			if v, err := Verify(ctx, "ledger", VerifyOptions{Mint: mint, FS: image, Logger: quietLog}); err != nil || len(v.Problems) == 0 {
				t.Errorf("%s: %v, %+v", name, err, v)
			}
		}
	}
	keys := core.NewMint(&[32]byte{7}, &[32]byte{8})
	if v, err := Verify(ctx, "ledger", VerifyOptions{Mint: keys.AppendFingerprints, FS: mem, Logger: quietLog}); err != nil ||
		len(v.Problems) != 1 || !strings.Contains(v.Problems[0], "created with other keys") {
		t.Errorf("other keys: %v, %q", err, v.Problems)
	}
}

// What cannot be verified is refused, and a checkpoint is left as it is.
func TestVerifyRefuses(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(vfs.Default)
	l := open(t, filepath.Join(dir, "ledger"), o)
	addAccount(t, l, 10)
	verify := func(ctx context.Context, name string, scratch string) error {
		_, err := Verify(ctx, filepath.Join(dir, name), VerifyOptions{Mint: testMint, Logger: quietLog, Scratch: scratch})
		return err
	}
	if err := verify(ctx, "ledger", ""); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("an open ledger: %v", err)
	}
	if err := verify(ctx, "nothing", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := verify(ctx, "empty", ""); err == nil || !strings.Contains(err.Error(), "holds no ledger") {
		t.Errorf("an empty folder: %v", err)
	}
	if err := l.Checkpoint(filepath.Join(dir, "copy")); err != nil {
		t.Fatal(err)
	}
	if err := verify(ctx, "copy", filepath.Join(dir, "empty")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a scratch folder that exists: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "empty")); err != nil {
		t.Errorf("the folder in the way: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := verify(ended, "copy", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
	before := files(t, vfs.Default, filepath.Join(dir, "copy"))
	if err := verify(ctx, "copy", ""); err != nil {
		t.Error(err)
	}
	if after := files(t, vfs.Default, filepath.Join(dir, "copy")); !maps.Equal(before, after) {
		t.Error("Verify changed the checkpoint")
	}
	if d, err := Describe(filepath.Join(dir, "copy")); err != nil || d.Shards != 4 || len(d.Keys) != 32 {
		t.Errorf("description: %+v, %v", d, err)
	}
	if _, err := Describe(filepath.Join(dir, "empty")); err == nil {
		t.Error("an empty folder has a description")
	}
}
