package wallet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"ecoin/core"
)

// newWallet returns a wallet of n coins and its folder.
func newWallet(t testing.TB, n int) (*Wallet, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deep", "wallet")
	w := reopen(t, dir)
	if n > 0 {
		var b testBank
		if _, err := w.Withdraw(context.Background(), b.ask, n); err != nil {
			t.Fatal(err)
		}
	}
	return w, dir
}

func reopen(t testing.TB, dir string) *Wallet {
	t.Helper()
	w, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func take(t testing.TB, w *Wallet) *Held {
	t.Helper()
	h, err := w.Take()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

func ls(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestLifeOfACoin(t *testing.T) {
	w, dir := newWallet(t, 3)
	files := ls(t, filepath.Join(dir, coinsDir))
	if len(files) != 3 || len(ls(t, filepath.Join(dir, withdrawDir))) != 0 {
		t.Fatalf("files %q", files)
	}
	h := take(t, w)
	b, err := os.ReadFile(filepath.Join(dir, pendingDir, h.Name()))
	if err != nil || !bytes.Equal(b, h.Coin[:]) {
		t.Fatalf("the pending file does not hold the coin (%v)", err)
	}
	if info, err := os.Stat(filepath.Join(dir, pendingDir, h.Name())); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if strings.Contains(h.Name(), fmt.Sprintf("%x", b[:4])) {
		t.Error("the file's name shows the coin")
	}
	if err := h.Spent(); err != nil {
		t.Fatal(err)
	}
	if h.Coin != (core.Coin{}) {
		t.Error("the spent coin is still in memory")
	}
	h = take(t, w)
	if err := h.Failed(); err != nil {
		t.Fatal(err)
	}
	if h.Coin != (core.Coin{}) {
		t.Error("the failed coin is still in memory")
	}
	if got, want := w.Counts(), (Counts{Coins: 1, Bad: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	bad, err := w.Bad("", 10)
	if err != nil || len(bad) != 1 || bad[0].Name != h.Name() {
		t.Fatalf("bad coins %v, %v", bad, err)
	}
	if more, err := w.Bad(bad[0].Name, 10); err != nil || len(more) != 0 {
		t.Errorf("behind the last: %v, %v", more, err)
	}
	if err := w.Remove(bad[0].Name); err != nil {
		t.Fatal(err)
	}
	take(t, w) // held when the wallet closes
	if _, err := w.Take(); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty: %v", err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Take(); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if got, want := reopen(t, dir).Counts(), (Counts{Bad: 1, Recovered: 1}); got != want {
		t.Errorf("counts after reopening %+v, want %+v", got, want)
	}
}

func TestSettledOnce(t *testing.T) {
	w, _ := newWallet(t, 1)
	h := take(t, w)
	if err := h.Spent(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a coin could be settled twice")
		}
	}()
	_ = h.Failed()
}

func TestHeldPrintsNoCoin(t *testing.T) {
	w, _ := newWallet(t, 1)
	h := take(t, w)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("taken", "coin", h, "value", *h)
	bad := BadCoin{h.name, h.Coin}
	fmt.Fprintf(&log, "%v %+v %#v %x %s %v %+v %x", h, h, h, h, h, *h, bad, bad)
	for _, form := range []string{"%x", "%v", "%d", "%s"} {
		if text := strings.Trim(fmt.Sprintf(form, h.Coin[:8]), "[]"); strings.Contains(log.String(), text) {
			t.Errorf("%q shows the coin", log.String())
		}
	}
}

func TestTakeInParallel(t *testing.T) {
	const coins, goroutines = 60, 8
	w, dir := newWallet(t, coins)
	var mu sync.Mutex
	seen := map[core.Coin]bool{}
	var g sync.WaitGroup
	for range goroutines {
		g.Go(func() {
			for i := 0; ; i++ {
				h, err := w.Take()
				if errors.Is(err, ErrEmpty) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[h.Coin] {
					t.Error("one coin twice")
				}
				seen[h.Coin] = true
				mu.Unlock()
				if i%2 == 0 {
					err = h.Spent()
				} else {
					err = h.Failed()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	if len(seen) != coins || len(ls(t, filepath.Join(dir, badDir))) != w.Counts().Bad {
		t.Errorf("%d coins taken, %d bad", len(seen), w.Counts().Bad)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	w, dir := newWallet(t, 1)
	_, err := Open(dir)
	wantError(t, err, dir, "in use")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	reopen(t, dir)
}

func TestRetire(t *testing.T) {
	w, dir := newWallet(t, 4)
	if err := take(t, w).Failed(); err != nil {
		t.Fatal(err)
	}
	n, err := w.Retire()
	if err != nil || n != 3 {
		t.Fatalf("retired %d, %v", n, err)
	}
	if got, want := w.Counts(), (Counts{Bad: 4}); got != want || len(ls(t, filepath.Join(dir, badDir))) != 4 {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if _, err := w.Take(); !errors.Is(err, ErrEmpty) {
		t.Errorf("a retired coin can be taken: %v", err)
	}
}

// Each of these wallets is refused as a whole, with what to do, and unchanged.
func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name   string
		damage func(dir, coin string) error
		want   []string
	}{
		{"wallet open to others", func(dir, _ string) error { return os.Chmod(dir, 0o750) }, []string{"mode 0750", "run chmod 700 WALLET"}},
		{"folder open to others", func(dir, _ string) error { return os.Chmod(dir+"/coins", 0o701) }, []string{"run chmod 700 WALLET/coins"}},
		{"read-only folder", func(dir, _ string) error { return os.Chmod(dir+"/bad", 0o500) }, []string{"read-only", "run chmod 700 WALLET/bad"}},
		{"read-only wallet", func(dir, _ string) error { return os.Chmod(dir, 0o500) }, []string{"read-only", "run chmod 700 WALLET"}},
		{"coin open to others", func(_, coin string) error { return os.Chmod(coin, 0o640) }, []string{"mode 0640", "run chmod 600 WALLET/coins/*"}},
		{"file in place of a folder", func(dir, _ string) error {
			return errors.Join(os.Remove(dir+"/bad"), os.WriteFile(dir+"/bad", nil, 0o600))
		}, []string{"WALLET/bad", "must be a folder"}},
		{"link in place of a folder", func(dir, _ string) error {
			return errors.Join(os.Remove(dir+"/bad"), os.Symlink("coins", dir+"/bad"))
		}, []string{"WALLET/bad", "must be a folder"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, dir := newWallet(t, 1)
			w.Close()
			coin := filepath.Join(dir, coinsDir, ls(t, dir+"/coins")[0])
			if err := tt.damage(dir, coin); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			for i := range tt.want {
				tt.want[i] = strings.ReplaceAll(tt.want[i], "WALLET", dir)
			}
			wantError(t, err, tt.want...)
			if err := os.Chmod(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(coin); err != nil || len(b) != 32 {
				t.Errorf("the coin is gone: %v", err)
			}
		})
	}
}

func TestOpenRefusesWhatIsNoWallet(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/thesis.txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	wantError(t, err, dir, "not a wallet", "new or empty folder")
	if names := ls(t, dir); len(names) != 1 {
		t.Errorf("the folder was changed: %q", names)
	}
	_, err = Open(dir + "/thesis.txt")
	wantError(t, err, "thesis.txt")
}

// Each of these files is left alone and reported, and the other coins work.
func TestOddFiles(t *testing.T) {
	const good = "00000000000000000000000000000000-00000" // sorts before what a withdrawal makes
	tests := []struct {
		name, path string
		make       func(path string) error
		want       string
	}{
		{"half-written coin", "coins/" + good, func(p string) error { return os.WriteFile(p, make([]byte, 17), 0o600) }, "17 bytes and a coin has 32"},
		{"long coin", "coins/" + good, func(p string) error { return os.WriteFile(p, make([]byte, 33), 0o600) }, "33 bytes"},
		{"empty coin", "pending/" + good, func(p string) error { return os.WriteFile(p, nil, 0o600) }, "0 bytes"},
		{"bad coin cut short", "bad/" + good, func(p string) error { return os.WriteFile(p, make([]byte, 1), 0o600) }, "1 bytes"},
		{"unreadable coin", "coins/" + good, func(p string) error {
			return errors.Join(os.WriteFile(p, make([]byte, 32), 0o600), os.Chmod(p, 0o200))
		}, "run chmod 600"},
		{"foreign file", "coins/README", func(p string) error { return os.WriteFile(p, make([]byte, 32), 0o644) }, "move it out"},
		{"foreign folder", "coins/old", func(p string) error { return os.Mkdir(p, 0o755) }, "move it out"},
		{"folder called like a coin", "coins/" + good, func(p string) error { return os.Mkdir(p, 0o700) }, "no plain file"},
		{"link called like a coin", "coins/" + good, func(p string) error { return os.Symlink("/dev/zero", p) }, "no plain file"},
		{"pipe called like a coin", "pending/" + good, func(p string) error { return syscall.Mkfifo(p, 0o600) }, "no plain file"},
		{"foreign file in the wallet", "notes", func(p string) error { return os.WriteFile(p, nil, 0o600) }, "move it out"},
		{"foreign file among withdrawals", "withdraw/x", func(p string) error { return os.WriteFile(p, nil, 0o600) }, "move it out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, dir := newWallet(t, 2)
			w.Close()
			path := filepath.Join(dir, tt.path)
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			w = reopen(t, dir)
			p := w.Problems()
			if len(p) != 1 || p[0].Path != path || !strings.Contains(p[0].Text, tt.want) {
				t.Errorf("problems %v, want one of %s with %q", p, path, tt.want)
			}
			for range 2 {
				if err := take(t, w).Spent(); err != nil {
					t.Error(err)
				}
			}
			if _, err := w.Take(); !errors.Is(err, ErrEmpty) || !strings.Contains(err.Error(), "1 files need attention") {
				t.Errorf("empty: %v", err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("the file was not left alone: %v", err)
			}
			if got := w.Counts(); got != (Counts{}) {
				t.Errorf("counts %+v", got)
			}
		})
	}
}

func TestCoinDamagedWhileOpen(t *testing.T) {
	w, dir := newWallet(t, 3)
	names := ls(t, dir+"/coins")
	if err := os.Truncate(filepath.Join(dir, coinsDir, names[0]), 5); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, coinsDir, names[1])); err != nil {
		t.Fatal(err)
	}
	if h := take(t, w); h.Name() != names[2] {
		t.Errorf("took %s, want the sound coin %s", h.Name(), names[2])
	}
	if p := w.Problems(); len(p) != 2 || !strings.Contains(p[0].Text, "5 bytes") || !strings.Contains(p[1].Text, "vanished") {
		t.Errorf("problems %v", p)
	}
}

// On a full or read-only disk nothing is lost, and the error says what to do.
func TestDiskErrors(t *testing.T) {
	m := newMemFS()
	w, err := open("/w", m)
	if err != nil {
		t.Fatal(err)
	}
	var b testBank
	ctx := context.Background()
	if _, err := w.Withdraw(ctx, b.ask, 2); err != nil {
		t.Fatal(err)
	}
	m.fail = func(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: syscall.EROFS} }
	_, err = w.Take()
	wantError(t, err, "/w/coins/", "read-only", "mount it writable")
	if !errors.Is(err, syscall.EROFS) {
		t.Errorf("%v does not wrap its cause", err)
	}
	m.fail = func(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrPermission} }
	_, err = w.Take()
	wantError(t, err, "as the owner of the wallet")

	asked := b.asked
	m.fail = func(op, name string) error {
		if op == "write" {
			return &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
		}
		return nil
	}
	_, err = w.Withdraw(ctx, b.ask, 2)
	wantError(t, err, "/w/withdraw/", "free some space")
	if b.asked != asked {
		t.Error("the bank was asked before the request was on disk")
	}
	writes := 0
	m.fail = func(op, name string) error { // the request fits, and one coin
		if op == "write" {
			if writes++; writes > 2 {
				return &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
			}
		}
		return nil
	}
	_, err = w.Withdraw(ctx, b.ask, 2)
	wantError(t, err, ".part/", "free some space")
	m.fail = nil
	if n, err := w.Resume(ctx, b.ask); err != nil || n != 2 {
		t.Fatalf("once there is space: %d coins, %v", n, err)
	}
	if got, want := w.Counts(), (Counts{Coins: 4}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	l := newLife()
	l.bank = b
	if err := l.check(m); err != nil {
		t.Error(err)
	}
}

// After a sync has failed nobody knows what is on disk: the wallet gives out nothing
// until it is opened again.
func TestFailedSyncStops(t *testing.T) {
	for _, folder := range []string{pendingDir, coinsDir} {
		m := newMemFS()
		w, err := open("/w", m)
		if err != nil {
			t.Fatal(err)
		}
		l := newLife()
		if _, err := w.Withdraw(context.Background(), l.bank.ask, 2); err != nil {
			t.Fatal(err)
		}
		m.fail = func(op, name string) error {
			if op == "syncDir" && name == folder {
				return &fs.PathError{Op: op, Path: name, Err: syscall.EIO}
			}
			return nil
		}
		_, err = w.Take()
		wantError(t, err, "sync /w/"+folder)
		m.fail = nil
		_, err = w.Take()
		wantError(t, err, "check it, then start again")
		_, err = w.Withdraw(context.Background(), l.bank.ask, 1)
		wantError(t, err, "check it, then start again")
		if err := l.check(m); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkTakeAndSpend(b *testing.B) {
	w, _ := newWallet(b, 0)
	fill := func() {
		var bank testBank
		if _, err := w.Withdraw(context.Background(), bank.ask, 500); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		h, err := w.Take()
		if errors.Is(err, ErrEmpty) {
			b.StopTimer()
			fill()
			b.StartTimer()
			h, err = w.Take()
		}
		if err == nil {
			err = h.Spent()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWithdraw(b *testing.B) {
	const coins = 100
	w, _ := newWallet(b, 0)
	var bank testBank
	for b.Loop() {
		if _, err := w.Withdraw(context.Background(), bank.ask, coins); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*coins/b.Elapsed().Seconds(), "coins/s")
}
