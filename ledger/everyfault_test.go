package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"ecoin/core"
)

// faultKinds are all the operations of a file system. Where must is set the work of
// the test has some of them.
var faultKinds = []struct {
	name string
	kind errorfs.OpKind
	must bool
}{
	{"create", errorfs.OpCreate, true},
	{"link", errorfs.OpLink, true},
	{"open", errorfs.OpOpen, true},
	{"open folder", errorfs.OpOpenDir, true},
	{"remove", errorfs.OpRemove, true},
	{"remove all", errorfs.OpRemoveAll, false}, // the clean-up after another failure
	{"rename", errorfs.OpRename, true},
	{"reuse for write", errorfs.OpReuseForWrite, false}, // logs are reused when they come thick and fast
	{"make folder", errorfs.OpMkdirAll, true},
	{"lock", errorfs.OpLock, true},
	{"list", errorfs.OpList, true},
	{"preallocate", errorfs.OpFilePreallocate, false}, // files in memory have no descriptor
	{"stat", errorfs.OpStat, true},
	{"disk usage", errorfs.OpGetDiskUsage, true},
	{"close", errorfs.OpFileClose, false}, // this file system lets every one pass
	{"read", errorfs.OpFileRead, true},
	{"read at", errorfs.OpFileReadAt, true},
	{"write", errorfs.OpFileWrite, true},
	{"write at", errorfs.OpFileWriteAt, false},
	{"stat file", errorfs.OpFileStat, true},
	{"sync", errorfs.OpFileSync, true},
	{"sync data", errorfs.OpFileSyncData, true},
	{"sync range", errorfs.OpFileSyncTo, false},
	{"flush", errorfs.OpFileFlush, false},
}

// TestEveryFault lets the n-th operation of every kind fail, alone or with those after
// it, while a ledger is opened, works, flushes, compacts, is copied, audited, closed
// and opened again. Each call may end with an error or a temporary failure, or the
// process with Fatal, but no verdict may be wrong, and after a power loss everything
// that was acknowledged must be there. It runs in a child process, because a ledger
// that failed cannot be closed. ECOIN_FAULT_SEED chooses other runs.
func TestEveryFault(t *testing.T) {
	if mode := os.Getenv(faultsEnv); mode != "" {
		everyFaultChild(t, mode == "index")
		return
	}
	for _, mode := range []string{"plain", "index"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // with each other, and not with tests that want load
			cmd := exec.Command(os.Args[0], "-test.run=^TestEveryFault$", "-test.v", "-test.timeout=8m")
			cmd.Env = append(os.Environ(), faultsEnv+"="+mode)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS") {
				t.Errorf("%v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "everyfault_test.go") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

func everyFaultChild(t *testing.T, index bool) {
	seed := envInt(t, "ECOIN_FAULT_SEED", time.Now().UnixNano())
	t.Logf("replay the choices with ECOIN_FAULT_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(uint64(seed), 0))

	calm := newFaultRun(t, rng, index, -1, 0, 0)
	calm.do("no fault")
	if m := calm.metrics; m == nil || m.Flush.Count+int64(m.Ingest.Count) < 5 || m.Compact.Count < 2 && !index {
		t.Error("the work has few flushes and compactions")
	}
	if calm.fatal != nil || calm.failures > 0 || !calm.finished {
		t.Fatalf("without a fault: %+v", calm)
	}
	runs, struck, fatal, failed := 0, 0, 0, 0
	for _, k := range faultKinds {
		total := calm.disk.seen[k.kind].Load()
		if k.must && total == 0 {
			t.Errorf("the work has no operation %q", k.name)
		}
		lengths, stride := []int64{1, 4}, int64(1)
		if raceEnabled || index { // everything is many times slower
			stride = 4
			rng.Shuffle(2, func(i, j int) { lengths[i], lengths[j] = lengths[j], lengths[i] })
			lengths = lengths[:1]
		}
		for _, length := range lengths {
			for n := int64(1); n <= total; n++ {
				if raceEnabled { // one of each kind
					n += rng.Int64N(total)
				} else if !index && k.kind == errorfs.OpFileSyncData { // nearly every sync of the log, for it is what answers wait for
					n += rng.Int64N(stride)
				} else {
					n += rng.Int64N(1 + stride*n)
				}
				n = min(n, total)
				r := newFaultRun(t, rng, index, k.kind, n, length)
				r.do(fmt.Sprintf("seed %d: %s %d, %d times", seed, k.name, n, length))
				runs++
				if r.disk.struck.Load() {
					struck++
				}
				if r.fatal != nil {
					fatal++
				}
				if r.failures > 0 {
					failed++
				}
				if t.Failed() {
					return
				}
				if raceEnabled {
					break
				}
			}
		}
	}
	t.Logf("%d runs, %d met their fault, %d of them ended with Fatal, %d with errors of calls", runs, struck, fatal, failed)
	if struck < runs*2/3 || fatal < runs/20 || failed < runs/20 {
		t.Error("that is too few")
	}
}

// faultDisk fails length operations of a kind from the at-th on.
type faultDisk struct {
	kind       errorfs.OpKind
	at, length int64
	seen       [errorfs.OpFileFlush + 1]atomic.Int64
	struck     atomic.Bool
}

func (d *faultDisk) String() string { return "fail the n-th" }

func (d *faultDisk) MaybeError(op errorfs.Op) error {
	n := d.seen[op.Kind].Add(1)
	if op.Kind != d.kind || n < d.at || n >= d.at+d.length {
		return nil
	}
	d.struck.Store(true)
	return errorfs.ErrInjected
}

// faultRun is one life of a ledger on a disk with a fault, and what its users know.
type faultRun struct {
	t    *testing.T
	name string
	rng  *rand.Rand
	mem  *crashFS
	disk *faultDisk
	o    Options

	second   bool // in its second opening
	finished bool
	failures int   // calls that ended with an error or a temporary failure
	fatal    error // what Fatal was called with
	copied   bool  // a checkpoint is there
	metrics  *pebble.Metrics

	l             *Ledger
	collector, an AccountID

	mu    sync.Mutex // guards the rest; an answer is noted under it
	begun bool       // an account was acknowledged
	im    image
}

func newFaultRun(t *testing.T, rng *rand.Rand, index bool, kind errorfs.OpKind, at, length int64) *faultRun {
	r := &faultRun{
		t: t, rng: rand.New(rand.NewPCG(rng.Uint64(), 1)), mem: newCrashFS(),
		disk: &faultDisk{kind: kind, at: at, length: length},
		im:   image{facts: make(map[core.Fingerprint]fact), salts: make(map[RequestID]core.Salt)},
	}
	r.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40})
	r.im.index = rng.IntN(2) > 0
	r.o = crashOptions(errorfs.Wrap(r.mem, r.disk), index)
	if index {
		r.o.deltaCoins = 50 // so that shards flush in between
	}
	r.o.BallastBytes = 4096
	r.o.CacheBytes = 1 // so that blocks are read from files
	r.o.tune = func(po *pebble.Options) {
		po.MemTableSize = 6 << 10
		// When Open fails, Pebble leaves such goroutines behind, with what they use
		// closed, and they panic. A process would have ended; this one goes on.
		po.DisableTableStats = true
		po.DisableAutomaticCompactions = r.second
	}
	return r
}

// do lives the life, cuts the power, and checks what is left.
func (r *faultRun) do(name string) {
	r.name = name
	fatal := make(chan error, 100)
	r.o.Fatal = func(err error) {
		fatal <- err
		select {} // as if the process had ended
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.live()
	}()
	percent := []int{0, 0, 50, 100}[r.rng.IntN(4)]
	select {
	case <-done:
		r.finished = true
	case r.fatal = <-fatal:
		if !strings.Contains(r.fatal.Error(), "injected") {
			r.t.Errorf("%s: fatal: %v", name, r.fatal)
		}
		time.Sleep(2 * time.Millisecond) // for those who are told more than they should be
	case <-time.After(time.Minute):
		r.t.Fatalf("%s: neither done nor fatal", name)
	}
	r.mu.Lock() // what the others were told until now must be in the image
	defer r.mu.Unlock()
	r.im.fs = r.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(r.rng.Uint64(), 0))})
	if !r.begun {
		// Nothing was acknowledged. A ledger whose folder never was on disk may be
		// torn, but must say so.
		l, err := Open("ledger", crashOptions(r.im.fs, r.im.index))
		if err != nil {
			if r.fatal == nil || !strings.Contains(err.Error(), "ledger: open") {
				r.t.Errorf("%s: nothing was acknowledged: %v", name, err)
			}
			return
		}
		closeLedger(r.t, l)
	}
	r.im.check(r.t, name)
	if r.copied {
		l, err := Open("copy", crashOptions(r.im.fs, r.im.index))
		if err != nil {
			r.t.Errorf("%s: the checkpoint: %v", name, err)
			return
		}
		mustAudit(r.t, l)
		closeLedger(r.t, l)
	}
}

// failed notes a failure that is allowed. It reports whether there was one.
func (r *faultRun) failed(err error) bool {
	if err != nil {
		r.failures++
	}
	return err != nil
}

// wrong reports a verdict that is not true.
func (r *faultRun) wrong(format string, args ...any) {
	r.t.Errorf("%s: %s", r.name, fmt.Sprintf(format, args...))
}

// live opens the ledger twice and works with it.
func (r *faultRun) live() {
	for range 2 {
		if !r.open() {
			return
		}
		if !r.second {
			if !r.begin() {
				r.failed(r.l.Close())
				return
			}
			for range 6 {
				r.work()
			}
			r.ask()
			if err := r.l.Checkpoint("copy"); !r.failed(err) {
				r.copied = true
			}
			r.metrics = r.l.db.Metrics()
		}
		r.work()
		a, err := r.l.Audit(ctx)
		if r.failed(err) || !a.OK() && !r.disk.struck.Load() {
			r.wrong("audit: %v, %v", a.Problems, err)
		}
		r.failed(r.l.Close())
		r.second = true
	}
}

// open opens the ledger. One fault may stop it, but not for good.
func (r *faultRun) open() bool {
	for range 6 {
		l, err := Open("ledger", r.o)
		if err == nil {
			r.l = l
			return true
		}
		r.failed(err)
		if !strings.Contains(err.Error(), "ledger:") || !strings.Contains(err.Error(), "injected") {
			r.wrong("Open: %v", err)
			return false
		}
	}
	r.wrong("the ledger does not open any more")
	return false
}

// again calls f until it succeeds, a few times.
func (r *faultRun) again(f func() error) bool {
	for range 6 {
		if !r.failed(f()) {
			return true
		}
	}
	return false
}

func (r *faultRun) begin() bool {
	pin, pin2 := Pin(fresh()), Pin(fresh())
	add := func(id *AccountID, pin Pin) func() error {
		return func() error {
			a, err := r.l.AddAccount(ctx, "somebody "+pin.String(), RoleCollector, pin)
			if errors.Is(err, ErrAccountExists) { // an earlier try got further than it said
				a.Client, err = r.l.ClientByPin(ctx, pin)
			}
			*id = a.ID
			if err == nil {
				r.mu.Lock()
				r.begun = true
				r.mu.Unlock()
			}
			return err
		}
	}
	granted := false
	return r.again(add(&r.collector, pin)) && r.again(add(&r.an, pin2)) && r.again(func() error {
		if granted { // never twice, whatever was answered
			return nil
		}
		granted = true
		_, err := r.l.Grant(ctx, r.collector, 1<<20)
		return err
	})
}

func (r *faultRun) note(fps []core.Fingerprint, change func(*fact)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fp := range fps {
		f := r.im.facts[fp]
		change(&f)
		r.im.facts[fp] = f
	}
}

// work withdraws, redeems, returns and refunds.
func (r *faultRun) work() {
	const n = 24
	id, salt, d := freshRequest(), freshSalt(), core.Digest(freshRequest())
	if !r.again(func() error {
		got, err := r.l.Withdraw(ctx, r.collector, id, salt, n)
		if err == nil && got != salt {
			r.wrong("another salt")
		}
		return err
	}) {
		return
	}
	fps := testMint(nil, &salt, n)
	r.note(fps, func(f *fact) { f.acc, f.digest = r.an, d })
	r.mu.Lock()
	r.im.salts[id] = salt
	r.mu.Unlock()

	step := func(what string, fps []core.Fingerprint, of func(*fact) *progress, verdicts []core.Status, call func() ([]core.Status, error)) bool {
		r.note(fps, func(f *fact) { *of(f) = asked })
		ok := r.again(func() error {
			out, err := call()
			if err != nil {
				return err
			}
			for _, s := range out {
				if s == core.StatusTemporary {
					return errTemporary
				}
				if s != verdicts[0] && s != verdicts[len(verdicts)-1] {
					r.wrong("%s: %v", what, s)
				}
			}
			return nil
		})
		if ok {
			r.note(fps, func(f *fact) { *of(f) = acknowledged })
		}
		return ok
	}
	if step("redeem", fps[:16], func(f *fact) *progress { return &f.redeem }, []core.Status{core.StatusOK, core.StatusRedeemedBefore},
		func() ([]core.Status, error) { return redeemAll(r.l, r.an, fps[:16], d) }) {
		r.rival(fps[:16])
		step("return", fps[:4], func(f *fact) *progress { return &f.giveBack }, []core.Status{core.StatusOK},
			func() ([]core.Status, error) { return returnAll(r.l, r.an, fps[:4], d) })
	}
	step("refund", fps[20:], func(f *fact) *progress { return &f.refund }, []core.Status{core.StatusOK}, func() ([]core.Status, error) {
		refunds, out := make([]Refund, 4), make([]core.Status, 4)
		err := r.l.Refund(ctx, r.collector, fps[20:], refunds)
		for i := range out {
			out[i] = refunds[i].Status
		}
		return out, err
	})
}

var errTemporary = errors.New("temporary failure")

// rival asks for coins that are redeemed.
func (r *faultRun) rival(fps []core.Fingerprint) {
	out, err := redeemAll(r.l, r.collector, fps, core.Digest{0xff})
	if r.failed(err) {
		return
	}
	for _, s := range out {
		if s == core.StatusTemporary {
			r.failed(errTemporary)
		} else if s != core.StatusRedeemed {
			r.wrong("a rival's redeem: %v", s)
		}
	}
}

// ask repeats every redeem that was acknowledged and not returned, which are in tables
// by now.
func (r *faultRun) ask() {
	r.mu.Lock()
	var list []core.Fingerprint
	for fp, f := range r.im.facts {
		if f.redeem == acknowledged && f.giveBack == idle {
			list = append(list, fp)
		}
	}
	r.mu.Unlock()
	for _, fp := range list {
		out, err := redeemAll(r.l, r.an, []core.Fingerprint{fp}, r.im.facts[fp].digest)
		if r.failed(err) {
			continue
		}
		if out[0] == core.StatusTemporary {
			r.failed(errTemporary)
		} else if out[0] != core.StatusRedeemedBefore {
			r.wrong("repeat of a redeem: %v", out[0])
		}
	}
}
