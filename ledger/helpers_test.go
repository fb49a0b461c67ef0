package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"ecoin/core"
)

func TestMain(m *testing.M) {
	if os.Getenv(faultsEnv) != "" || os.Getenv("ECOIN_LEDGER_FULL_DISK") != "" {
		os.Exit(m.Run()) // the children of TestFaults and TestFullDisk leave stuck goroutines behind on purpose
	}
	flag.Parse()
	if raceEnabled { // everything is many times slower; -rapid.checks still has its way
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
		if !given {
			if err := flag.Set("rapid.checks", "5"); err != nil {
				panic(err)
			}
		}
	}
	// A pebble.Open that fails leaves this goroutine behind, whatever its caller does.
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { loaded.remove(); os.Exit(code) }),
		goleak.IgnoreTopFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"))
}

var quietLog = slog.New(slog.NewTextHandler(io.Discard, nil))

func testMint(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint {
	var b [36]byte
	copy(b[:], salt[:])
	for i := range n {
		binary.BigEndian.PutUint32(b[32:], uint32(i))
		sum := sha256.Sum256(b[:])
		dst = append(dst, core.Fingerprint(sum[:16]))
	}
	return dst
}

// testOptions are for a small ledger on fs. A fatal error panics.
func testOptions(fs vfs.FS) Options {
	return Options{
		Mint: testMint, Shards: 4, FS: fs, Logger: quietLog, CacheBytes: 1 << 20, MinFreeBytes: 1, BallastBytes: -1,
		Fatal: func(err error) { panic(err) },
	}
}

// open opens a ledger that is closed when the test ends, if it is not before.
func open(t testing.TB, dir string, o Options) *Ledger {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

func closeLedger(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

var ctx = context.Background()

// fresh returns 32 bytes that no other call in this process returned.
var fresh = func() func() [32]byte {
	var mu sync.Mutex
	n := 0
	return func() [32]byte {
		mu.Lock()
		defer mu.Unlock()
		n++
		return sha256.Sum256(fmt.Appendf(nil, "fresh %d", n))
	}
}()

func freshSalt() core.Salt { return core.Salt(fresh()) }

func freshRequest() RequestID { b := fresh(); return RequestID(b[:16]) }

func addAccount(t testing.TB, l *Ledger, credit int64) AccountID {
	t.Helper()
	pin := Pin(fresh())
	a, err := l.AddAccount(ctx, "somebody "+pin.String(), RoleCollector, pin)
	if err == nil && credit > 0 {
		a, err = l.Grant(ctx, a.ID, credit)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func withdraw(t testing.TB, l *Ledger, acc AccountID, n int) []core.Fingerprint {
	t.Helper()
	salt, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), n)
	if err != nil {
		t.Fatalf("Withdraw: %v", err)
	}
	return testMint(nil, &salt, n)
}

func redeemAll(l *Ledger, acc AccountID, fps []core.Fingerprint, d core.Digest) ([]core.Status, error) {
	coins, out := make([]Redemption, len(fps)), make([]core.Status, len(fps))
	for i := range fps {
		coins[i] = Redemption{Fingerprint: fps[i], Digest: d}
	}
	return out, l.Redeem(ctx, acc, coins, out)
}

func returnAll(l *Ledger, acc AccountID, fps []core.Fingerprint, d core.Digest) ([]core.Status, error) {
	coins, out := make([]Redemption, len(fps)), make([]core.Status, len(fps))
	for i := range fps {
		coins[i] = Redemption{Fingerprint: fps[i], Digest: d}
	}
	return out, l.Return(ctx, acc, coins, out)
}

func mustRedeem(t testing.TB, l *Ledger, acc AccountID, fps []core.Fingerprint, d core.Digest, want core.Status) {
	t.Helper()
	out, err := redeemAll(l, acc, fps, d)
	if err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	for i, s := range out {
		if s != want {
			t.Fatalf("coin %d: %v, want %v", i, s, want)
		}
	}
}

func mustAudit(t testing.TB, l *Ledger) Audit {
	t.Helper()
	a, err := l.Audit(ctx)
	if err != nil {
		t.Fatalf("Audit: %v", err)
	}
	for _, p := range a.Problems {
		t.Errorf("audit: %s", p)
	}
	return a
}

// eventually waits for something that happens in another goroutine.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}
