package wallet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecoin/core"
)

// childEnv names the wallet that a test process started by TestKill works on.
const childEnv = "ECOIN_TEST_WALLET"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, spendForever(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// spendForever uses a wallet until it is killed, and says on standard output what
// it is about to do.
func spendForever(dir string) error {
	w, err := Open(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	ask := func(ctx context.Context, key [16]byte, n int) ([]core.Coin, error) {
		fmt.Printf("ask %x %d\n", key, n)
		var b testBank
		return b.ask(ctx, key, n)
	}
	for {
		if _, err := w.Withdraw(ctx, ask, 1+rand.IntN(6)); err != nil {
			return err
		}
		for {
			h, err := w.Take()
			if errors.Is(err, ErrEmpty) {
				break
			}
			if err != nil {
				return err
			}
			fmt.Printf("take %s\n", h.Name())
			if rand.IntN(2) == 0 {
				err = h.Failed()
			} else {
				fmt.Printf("gone %s\n", h.Name())
				err = h.Spent()
			}
			if err != nil {
				return err
			}
		}
		bad, err := w.Bad("", rand.IntN(4))
		if err != nil {
			return err
		}
		for _, c := range bad {
			fmt.Printf("gone %s\n", c.Name)
			if err := w.Remove(c.Name); err != nil {
				return err
			}
		}
	}
}

// A real process is killed at some moment in the middle of its work, again and again.
func TestKill(t *testing.T) {
	dir := t.TempDir() + "/wallet"
	l := newLife()
	l.bank.issued = map[core.Coin]bool{}
	for round := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		lines.Scan() // it has begun
		kill := time.AfterFunc(time.Duration(1+rand.IntN(80))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		n := 0
		for more := true; more; more = lines.Scan() {
			n++
			l.told(t, lines.Text())
		}
		kill.Stop()
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process ended by itself: %v", err)
		}
		f, err := openOS(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.check(f); err != nil {
			t.Fatalf("round %d, killed after %d steps: %v", round, n, err)
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d coins issued, %d given out, %d removed", len(l.bank.issued), len(l.given), len(l.gone))
	if len(l.given) == 0 || len(l.gone) == 0 {
		t.Error("the test saw no work")
	}
}

// told takes note of one line of the process.
func (l *life) told(t *testing.T, line string) {
	verb, what, _ := strings.Cut(line, " ")
	if verb == "ask" {
		digits, count, _ := strings.Cut(what, " ")
		key, ok := parseKey(digits)
		var n int
		if _, err := fmt.Sscan(count, &n); err != nil || !ok {
			t.Fatalf("line %q", line)
		}
		for i := range n {
			l.bank.issued[testCoin(key, i)] = true
		}
		return
	}
	key, i, ok := parseCoinName(what)
	if !ok {
		t.Fatalf("line %q", line)
	}
	coin := testCoin(key, i)
	switch {
	case verb == "gone":
		l.gone[coin] = true
	case l.given[coin]:
		t.Fatalf("coin %s was given out twice", what)
	default:
		l.given[coin] = true
	}
}
