//go:build linux

package ledger

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ecoin/core"
)

const (
	fullEnv    = "ECOIN_LEDGER_FULL_DISK"  // folder of the child's disk
	fullMode   = "ECOIN_LEDGER_FULL_MODE"  // work, or open
	fullAcks   = "ECOIN_LEDGER_FULL_ACKS"  // file of what it was told
	fullIndex  = "ECOIN_LEDGER_FULL_INDEX" // "true" with an index
	fullDisk32 = 32 << 20                  // bytes of the disk: a log cannot be preallocated on it, so it grows write by write
)

// TestFullDisk fills a real, small disk under a ledger that works, in a child process,
// twice: first the ballast is given up and redeems go on, then the process stops, at a
// write that found no space. Started again on the full disk it opens, waits for space or
// stops and asks for a restart; once space was given back it opens, audits, and everything
// that was acknowledged is there.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(fullEnv); dir != "" {
		fullDiskChild(t, dir)
		return
	}
	// Not parallel: it would take the processors from tests that want load.
	for _, index := range []bool{false, true} {
		if raceEnabled && !index { // everything is many times slower
			continue
		}
		t.Run(fmt.Sprintf("index=%v", index), func(t *testing.T) { testFullDisk(t, index) })
	}
}

func testFullDisk(t *testing.T, index bool) {
	disk := mountTmpfs(t, fullDisk32)
	acks := filepath.Join(t.TempDir(), "acks")
	start := func(mode string) (*exec.Cmd, *output) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v", "-test.timeout=3m")
		cmd.Env = append(os.Environ(), fullEnv+"="+disk, fullMode+"="+mode, fullAcks+"="+acks, fmt.Sprint(fullIndex, "=", index))
		out := new(output)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, out
	}
	cmd, out := start("work")
	wants := []string{"the ballast is given up", "redeems went on without the ballast", "withdrawals are refused without the ballast", "no space left on device"}
	var exit *exec.ExitError
	switch waits, err := waitOrWaiting(cmd, out, index); {
	case out.says("WRONG"):
		t.Fatalf("%v:\n%s", err, out)
	case waits:
		wants = append(wants, "tables could not be written, trying again")
	case errors.As(err, &exit) && exit.ExitCode() == 1: // the log found no space
		wants = append(wants, "durability is in doubt")
	default:
		t.Fatalf("%v, want exit code 1:\n%s", err, out)
	}
	for _, want := range wants {
		if !out.says(want) {
			t.Errorf("the child did not say %q:\n%s", want, out)
		}
	}
	cmd, out = start("open")
	eventually(t, "the start on a full disk to go on or to fail", func() bool {
		return out.says("opened") || out.says("no space left on device")
	})
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if errors.As(err, &exit) && exit.ExitCode() == 1 && out.says("restart when the disk is well") {
		// The write that found no space was Pebble's of its own list of files, which it
		// cannot try again: the process stops and says what to do.
		cmd, out = start("open")
		err = cmd.Wait()
	}
	if err != nil || !out.says("opened") {
		t.Fatalf("start on the full disk, with space given back: %v\n%s", err, out)
	}

	o := fullDiskOptions(index)
	l := open(t, filepath.Join(disk, "ledger"), o)
	mustAudit(t, l)
	if n := l.Stats().BallastBytes; n != o.BallastBytes {
		t.Errorf("with space again, the ballast has %d bytes", n)
	}
	lines := readAcks(t, acks)
	redeemed, live := make(map[core.Fingerprint]bool), make(map[core.Fingerprint]bool)
	var acc AccountID
	for _, a := range lines {
		switch a.what {
		case "account":
			acc = AccountID(a.bytes)
		case "withdrew":
			for _, fp := range testMint(nil, (*core.Salt)(a.bytes), fullCoins) {
				live[fp] = true
			}
		case "redeemed":
			for len(a.bytes) > 0 {
				fp := core.Fingerprint(a.bytes)
				redeemed[fp], a.bytes = true, a.bytes[16:]
				delete(live, fp)
			}
		}
	}
	check := func(fps map[core.Fingerprint]bool, want ...core.Status) {
		t.Helper()
		var list []core.Fingerprint
		for fp := range fps {
			if list = append(list, fp); len(list) == MaxCall {
				break
			}
		}
		out, err := redeemAll(l, acc, list, core.Digest{1})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out {
			if s != want[0] && s != want[len(want)-1] {
				t.Fatalf("a coin is %v, want %v", s, want)
			}
		}
	}
	check(redeemed, core.StatusRedeemedBefore)
	check(live, core.StatusOK, core.StatusRedeemedBefore) // the last redeems had no answer
	mustAudit(t, l)
	t.Logf("%d coins acknowledged as redeemed, %d as live", len(redeemed), len(live))
	if len(redeemed) < 5*fullRedeem || len(live) == 0 {
		t.Error("that is too few to show anything")
	}
	closeLedger(t, l)
}

// waitOrWaiting returns how the child ended. With an index a shard may have no room for
// more before its tables are written, and its calls wait for space instead, for ever here:
// such a child is killed, as is one that is slow, and waits returned. What it acknowledged
// must be kept all the same.
func waitOrWaiting(cmd *exec.Cmd, out *output, index bool) (waits bool, err error) {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var full time.Time // when that was first seen
	for {
		select {
		case err := <-ended:
			return false, err
		case <-time.After(100 * time.Millisecond):
		}
		switch {
		case !index || !out.says("withdrawals are refused without the ballast"):
		case full.IsZero():
			full = time.Now()
		case time.Since(full) > 20*time.Second && out.says("tables could not be written"):
			_ = cmd.Process.Kill()
			<-ended
			return true, nil
		}
	}
}

const (
	fullCoins  = 1000 // of a withdrawal
	fullRedeem = 200
)

func fullDiskOptions(index bool) Options {
	o := testOptions(nil)
	o.FS, o.Fatal, o.Logger = nil, nil, slog.New(slog.NewTextHandler(os.Stdout, nil))
	o.MinFreeBytes, o.BallastBytes = 4<<20, 3<<20
	if index {
		o.IndexBytes, o.deltaCoins, o.logSegment = 64<<20, 4000, 1<<20
	}
	return o
}

// fullDiskChild works until it is stopped. It prints WRONG where it meets what must
// not be.
func fullDiskChild(t *testing.T, disk string) {
	acks, err := os.OpenFile(os.Getenv(fullAcks), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ack := func(what string, b []byte) { // one write, which outlives the process
		if _, err := fmt.Fprintf(acks, "%s %x\n", what, b); err != nil {
			t.Error(err)
		}
	}
	l, err := Open(filepath.Join(disk, "ledger"), fullDiskOptions(os.Getenv(fullIndex) == "true"))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(fullMode) == "open" {
		mustAudit(t, l)
		closeLedger(t, l)
		fmt.Println("opened")
		return
	}
	acc := addAccount(t, l, 1<<40)
	ack("account", acc[:])

	// Work until the guard refuses withdrawals, with a flush now and then.
	fill(t, disk, 5<<20)
	var fps []core.Fingerprint
	redeem := func(n int) {
		var g sync.WaitGroup
		for range 4 {
			part := fps[:n/4]
			fps = fps[n/4:]
			g.Go(func() {
				out, err := redeemAll(l, acc, part, core.Digest{1})
				if err != nil {
					fmt.Println("WRONG redeem:", err)
					return
				}
				var b []byte
				for i, s := range out {
					if s != core.StatusOK {
						fmt.Println("WRONG status of a live coin:", s)
					}
					b = append(b, part[i][:]...)
				}
				ack("redeemed", b)
			})
		}
		g.Wait()
	}
	for round := 0; ; round++ {
		salt := freshSalt()
		_, err := l.Withdraw(ctx, acc, freshRequest(), salt, fullCoins)
		if errors.Is(err, ErrLowDisk) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ack("withdrew", salt[:])
		fps = append(fps, testMint(nil, &salt, fullCoins)...)
		if round%10 == 9 {
			redeem(fullRedeem)
			if err := l.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Somebody else takes the rest.
	fill(t, disk, 0)
	for l.Stats().BallastBytes > 0 {
		redeem(fullRedeem)
	}
	for range 10 {
		redeem(fullRedeem)
	}
	fmt.Println("redeems went on without the ballast")
	if _, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 1); !errors.Is(err, ErrLowDisk) {
		fmt.Println("WRONG withdrawal without the ballast:", err)
	}
	fmt.Println("withdrawals are refused without the ballast")
	fill(t, disk, 0)
	for len(fps) > fullRedeem {
		redeem(fullRedeem)
	}
	t.Fatal("WRONG the disk is full, and everything was redeemed")
}

// fill leaves at most so many bytes of the disk.
func fill(t *testing.T, disk string, leave int) {
	f, err := os.OpenFile(filepath.Join(disk, "filler"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		var st syscall.Statfs_t
		if err := syscall.Statfs(disk, &st); err != nil {
			t.Fatal(err)
		}
		if int(st.Bavail)*int(st.Bsize) <= leave && leave > 0 {
			return
		}
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

type acknowledgement struct {
	what  string
	bytes []byte
}

func readAcks(t *testing.T, path string) (list []acknowledgement) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(bytes.NewReader(b)); ; {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return list
		}
		what, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, acknowledgement{what, value})
	}
}

// output is what a child wrote so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) says(what string) bool { return strings.Contains(o.String(), what) }
