package wallet

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"ecoin/core"
)

// testBank issues coins that anybody can compute again, and remembers which.
type testBank struct {
	issued map[core.Coin]bool
	lose   int // this many answers are lost on the way
	asked  int
}

func testCoin(key [16]byte, i int) core.Coin {
	return sha256.Sum256(binary.BigEndian.AppendUint32(key[:], uint32(i)))
}

var errLost = errors.New("the answer was lost")

func (b *testBank) ask(_ context.Context, key [16]byte, n int) ([]core.Coin, error) {
	b.asked++
	if b.issued == nil {
		b.issued = map[core.Coin]bool{}
	}
	coins := make([]core.Coin, n)
	for i := range coins {
		coins[i] = testCoin(key, i)
		b.issued[coins[i]] = true
	}
	if b.lose > 0 {
		b.lose--
		return nil, errLost
	}
	return coins, nil
}

// life is what happened outside of the wallet, which no crash undoes.
type life struct {
	bank  testBank
	given map[core.Coin]bool // Take gave it out
	gone  map[core.Coin]bool // the wallet was told to remove it; it may have
}

func newLife() *life {
	return &life{given: map[core.Coin]bool{}, gone: map[core.Coin]bool{}}
}

func (l *life) take(w *Wallet) (*Held, error) {
	h, err := w.Take()
	if err == nil {
		if l.given[h.Coin] {
			return nil, fmt.Errorf("coin %s was given out twice", h.Name())
		}
		l.given[h.Coin] = true
	}
	return h, err
}

func (l *life) remove(w *Wallet, coins []BadCoin) error {
	for _, c := range coins {
		l.gone[c.Coin] = true
		if err := w.Remove(c.Name); err != nil {
			return err
		}
	}
	return nil
}

// day is a wallet's whole repertoire.
func (l *life) day(f fsys) error {
	ctx := context.Background()
	w, err := open("wallet", f)
	if err != nil {
		return err
	}
	if _, err := w.Withdraw(ctx, l.bank.ask, 3); err != nil {
		return err
	}
	spent, err := l.take(w)
	if err != nil {
		return err
	}
	l.gone[spent.Coin] = true
	if err := spent.Spent(); err != nil {
		return err
	}
	failed, err := l.take(w)
	if err != nil {
		return err
	}
	if err := failed.Failed(); err != nil {
		return err
	}
	l.bank.lose = 1
	if _, err := w.Withdraw(ctx, l.bank.ask, 2); !errors.Is(err, errLost) {
		return err
	}
	if _, err := w.Withdraw(ctx, l.bank.ask, 1); err != nil { // resumes the one before
		return err
	}
	if _, err := l.take(w); err != nil { // and never settles it
		return err
	}
	bad, err := w.Bad("", 10)
	if err != nil {
		return err
	}
	if err := l.remove(w, bad); err != nil {
		return err
	}
	if _, err := w.Retire(); err != nil {
		return err
	}
	if bad, err = w.Bad("", 2); err != nil {
		return err
	}
	return l.remove(w, bad)
}

// check opens the wallet after a crash, completes what was under way, and sees
// that each coin is where it may be.
func (l *life) check(f fsys) error {
	w, err := open("wallet", f)
	if err != nil {
		return err
	}
	l.bank.lose = 0
	if _, err := w.Resume(context.Background(), l.bank.ask); err != nil {
		return err
	}
	if p := w.Problems(); len(p) > 0 {
		return p[0]
	}
	counts := w.Counts()
	if counts.Requests != 0 {
		return fmt.Errorf("%d requests left", counts.Requests)
	}
	at := map[core.Coin]string{}
	bad, err := w.Bad("", 1000)
	if err != nil {
		return err
	}
	if len(bad) != counts.Bad {
		return fmt.Errorf("%d bad coins counted, %d found", counts.Bad, len(bad))
	}
	for _, c := range bad {
		if at[c.Coin] != "" {
			return fmt.Errorf("coin %s is bad twice", c.Name)
		}
		at[c.Coin] = "bad"
	}
	for {
		h, err := w.Take()
		if errors.Is(err, ErrEmpty) {
			break
		}
		if err != nil {
			return err
		}
		switch {
		case l.given[h.Coin]:
			return fmt.Errorf("coin %s came back after it was given out", h.Name())
		case at[h.Coin] != "":
			return fmt.Errorf("coin %s is here twice", h.Name())
		}
		at[h.Coin] = "coins"
		counts.Coins--
	}
	if counts.Coins != 0 {
		return fmt.Errorf("the count of coins is off by %d", counts.Coins)
	}
	for c := range l.bank.issued {
		if at[c] == "" && !l.gone[c] {
			return errors.New("a coin is lost")
		}
		delete(at, c)
	}
	if len(at) > 0 {
		return fmt.Errorf("%d coins that the bank did not issue", len(at))
	}
	return nil
}

func mustDie(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, errDied) {
		t.Fatalf("the process should have died, not: %v", err)
	}
}

// steps returns how many file operations a day has.
func steps(t *testing.T) int {
	t.Helper()
	m := newMemFS()
	if err := newLife().day(m); err != nil {
		t.Fatal(err)
	}
	if m.ops < 80 {
		t.Fatalf("a day has only %d steps", m.ops)
	}
	return m.ops
}

// The power fails before every single file operation; of what was not synced,
// nothing, all, or any part survives.
func TestPowerFailureAtEveryStep(t *testing.T) {
	picks := map[string]func(*rand.Rand) func(int) int{
		"nothing": func(*rand.Rand) func(int) int { return func(int) int { return 0 } },
		"all":     func(*rand.Rand) func(int) int { return func(n int) int { return n - 1 } },
		"some":    func(r *rand.Rand) func(int) int { return r.IntN },
	}
	n := steps(t)
	for name, pick := range picks {
		for k := 1; k <= n; k++ {
			for seed := range uint64(25) {
				if name != "some" && seed > 0 {
					break
				}
				m, l := newMemFS(), newLife()
				m.stop = k
				mustDie(t, l.day(m))
				if err := l.check(m.crash(pick(rand.New(rand.NewPCG(seed, uint64(k)))))); err != nil {
					t.Fatalf("step %d, unsynced changes that survive: %s, seed %d: %v", k, name, seed, err)
				}
			}
		}
	}
}

// The power fails, and again before every step of the recovery.
func TestPowerFailureInRecovery(t *testing.T) {
	n := steps(t)
	for k := 1; k <= n; k++ {
		r := rand.New(rand.NewPCG(1, uint64(k)))
		m, l := newMemFS(), newLife()
		m.stop = k
		mustDie(t, l.day(m))
		first := m.crash(r.IntN)
		for k2 := 1; ; k2++ {
			m2 := first.crash(func(n int) int { return n - 1 }) // a copy: all of it is durable
			m2.stop = k2
			w, err := open("wallet", m2)
			if err == nil {
				_, err = w.Resume(context.Background(), l.bank.ask)
			}
			if err == nil {
				break // the recovery has fewer steps
			}
			mustDie(t, err)
			if err := l.check(m2.crash(r.IntN)); err != nil {
				t.Fatalf("step %d, then step %d of the recovery: %v", k, k2, err)
			}
		}
	}
}

// stopFS lets the process die on a real file system. All it did is there afterwards,
// as it is after kill -9, so that syncs, which take time, can be left out.
type stopFS struct {
	*osFS
	ops, stop int
}

func (s *stopFS) step() error {
	if s.ops++; s.ops >= s.stop {
		return errDied
	}
	return nil
}

func (s *stopFS) mkdir(name string) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.osFS.mkdir(name)
}

func (s *stopFS) create(name string) (file, error) {
	if err := s.step(); err != nil {
		return nil, err
	}
	f, err := s.osFS.create(name)
	return &stopFile{f, s}, err
}

func (s *stopFS) rename(from, to string) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.osFS.rename(from, to)
}

func (s *stopFS) remove(name string) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.osFS.remove(name)
}

func (s *stopFS) syncDir(string) error  { return s.step() }
func (s *stopFS) syncFile(string) error { return s.step() }

type stopFile struct {
	file
	s *stopFS
}

func (f *stopFile) Write(b []byte) (int, error) {
	if err := f.s.step(); err != nil {
		_, _ = f.file.Write(b[:len(b)/2])
		return 0, err
	}
	return f.file.Write(b)
}

func (f *stopFile) Sync() error { return f.s.step() }

func TestDeathAtEveryStep(t *testing.T) {
	top := t.TempDir()
	n := steps(t)
	for k := 1; k <= n; k++ {
		dir := filepath.Join(top, fmt.Sprint(k))
		f, err := openOS(dir)
		if err != nil {
			t.Fatal(err)
		}
		l := newLife()
		mustDie(t, l.day(&stopFS{osFS: f, stop: k}))
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		if f, err = openOS(dir); err != nil {
			t.Fatal(err)
		}
		if err := l.check(&stopFS{osFS: f, stop: 1 << 30}); err != nil {
			t.Fatalf("step %d: %v", k, err)
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if info, ierr := d.Info(); err != nil || ierr != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: mode %v, %v %v", path, info.Mode(), err, ierr)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}
