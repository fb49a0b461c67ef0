// Package host runs what a load is sent to, when the load brings it along: a bank, and
// for whole operations a director and analysts, each a process of its own on
// loopback, in a folder that is removed again. Start with [StartBank].
package host

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"ecoin/client"
	"ecoin/internal/identity"
	"ecoin/internal/subprocess"
)

// Options configures [StartBank].
type Options struct {
	Exe   string   // the ecoin binary
	Dir   string   // on the disk that the ledger is to be on; a folder is made in it
	Suite string   // of the bank's first key
	Args  []string // more flags of the bank
}

// Bank is a bank that can be killed and started again. It is safe for concurrent use.
type Bank struct {
	o     Options
	dir   string
	api   string // host:port, the same for good
	admin *client.Admin

	mu     sync.Mutex
	proc   *subprocess.Process // nil while it is down
	usage  *process.Process
	before time.Duration // CPU time of the processes before
	last   time.Duration // of this process, when it was last asked
	memory int64         // resident at most, of those times it was asked
	others []*subprocess.Process
}

const (
	anyPort = "127.0.0.1:0"

	startTime = 2 * time.Minute // to open a ledger that was killed
	stopTime  = time.Minute
)

// StartBank starts a new bank and returns when it serves.
func StartBank(ctx context.Context, o Options) (*Bank, error) {
	dir, err := os.MkdirTemp(o.Dir, "ecoin-load-")
	if err != nil {
		return nil, err
	}
	b := &Bank{o: o, dir: dir, api: anyPort}
	b.admin = client.NewAdmin(filepath.Join(dir, "bank", "admin.sock"))
	if err := b.Start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

// Start starts the bank again after a [Bank.Kill], in place: the same folder, the same
// address. It returns when the bank serves.
func (b *Bank) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc != nil {
		return errors.New("host: the bank runs already")
	}
	args := append([]string{"bank", "--dir", filepath.Join(b.dir, "bank"), "--listen", b.api, "--health", "127.0.0.1:0",
		"--suite", b.o.Suite, "--ballast=-1", "--max-conns", "100000", "--max-conns-per-address", "100000"}, b.o.Args...)
	p, err := subprocess.Start("bank", nil, b.o.Exe, args...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	attrs, err := p.WaitFor(ctx, "listening")
	if err != nil {
		_ = p.Kill() // if it has not ended by itself
		return fmt.Errorf("host: is %s the ecoin binary? %w", b.o.Exe, err)
	}
	if b.api == anyPort {
		b.api = fmt.Sprint(attrs["api"]) // before anybody else has b
	}
	b.proc = p
	b.usage, err = process.NewProcess(int32(p.PID))
	if err != nil {
		return fmt.Errorf("host: look at the bank's process: %w", err)
	}
	return nil
}

// Kill ends the bank's process without mercy, kill -9.
func (b *Bank) Kill() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc == nil {
		return errors.New("host: the bank is down already")
	}
	b.look()
	b.before, b.last = b.before+b.last, 0
	err := b.proc.Kill()
	b.proc, b.usage = nil, nil
	return err
}

// Pause stops the bank's process where it stands, SIGSTOP.
func (b *Bank) Pause() error { return b.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (b *Bank) Resume() error { return b.signal(syscall.SIGCONT) }

func (b *Bank) signal(s syscall.Signal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc == nil {
		return errors.New("host: the bank is down")
	}
	return b.proc.Signal(s)
}

// look reads what the process has used. b.mu is held.
func (b *Bank) look() {
	if b.usage == nil {
		return
	}
	if t, err := b.usage.Times(); err == nil {
		b.last = time.Duration((t.User + t.System) * float64(time.Second))
	}
	if m, err := b.usage.MemoryInfo(); err == nil {
		b.memory = max(b.memory, int64(m.RSS))
	}
}

// Usage returns the CPU time that the bank has used so far, in all its processes, and the
// most memory that it was seen to have.
func (b *Bank) Usage() (cpu time.Duration, memory int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	return b.before + b.last, b.memory
}

// Memory returns the resident memory of the bank's process now, in bytes.
func (b *Bank) Memory() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.usage == nil {
		return 0
	}
	m, err := b.usage.MemoryInfo()
	if err != nil {
		return 0
	}
	return int64(m.RSS)
}

// API returns the bank's address, host:port.
func (b *Bank) API() string { return b.api }

// Admin returns a client of the bank's admin socket.
func (b *Bank) Admin() *client.Admin { return b.admin }

// Certificate returns the bank's certificate, PEM.
func (b *Bank) Certificate() ([]byte, error) { return os.ReadFile(b.certificate()) }

func (b *Bank) certificate() string { return filepath.Join(b.dir, "bank", "keys", "tls.crt") }

// Roots returns it as the roots of a client.
func (b *Bank) Roots() (*x509.CertPool, error) { return identity.ReadRoots(b.certificate()) }

// Stop ends everything, the youngest process first, and removes the folder.
func (b *Bank) Stop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for i := len(b.others) - 1; i >= 0; i-- {
		errs = append(errs, b.others[i].Stop(stopTime))
	}
	b.others = nil
	if b.proc != nil {
		_ = b.proc.Signal(syscall.SIGCONT) // a load that ended early may have left it paused
		errs = append(errs, b.proc.Stop(stopTime))
		b.proc = nil
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}
