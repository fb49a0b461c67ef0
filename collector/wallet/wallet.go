// Package wallet keeps a collector's coins on disk, one coin in a file.
//
// # The guarantee
//
// A process that dies at any point, and a machine that loses power at any point,
// loses no coin, and no coin that [Wallet.Take] gave out is given out again.
// What cannot be known after a crash, whether a coin that was being used reached
// anybody, is not guessed: such a coin becomes bad, and a refund at the bank decides.
//
// Start with [Open]; [Wallet.Withdraw] fills a wallet and [Wallet.Take] empties it.
//
// # Layout
//
//	lock       flocked while a process has the wallet open
//	coins/     coins that can be used
//	pending/   coins that are being used right now
//	bad/       coins of failed operations, for a refund
//	withdraw/  withdrawals under way
//
// A coin's file holds its 32 bytes and nothing else, mode 0600 in folders of mode
// 0700. It is named after the withdrawal that brought it, KEY-INDEX, and keeps its
// name for life; every change of state is a rename, followed by an fsync of the
// folder it went to and of the one it came from. When a power failure leaves a
// coin's name in two folders, the less hopeful one counts.
//
// A withdrawal first writes withdraw/KEY.request, so that a repeated question
// carries the same key and gets the same coins. The answer's coins are written to
// withdraw/KEY.part; once all of them are durable the folder becomes
// withdraw/KEY.ready, the request is removed, and the coins move to coins/. They
// can be taken when that is complete and durable, and the bank is never asked
// again for coins that could have been taken.
//
// Restoring a wallet from an old copy cannot spend a coin twice, because the bank
// redeems it once; operations with such coins fail and a refund tells why.
package wallet

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// MaxWithdraw is the most coins of one withdrawal, as the bank's API has it.
const MaxWithdraw = 10_000

// A Wallet is an open wallet folder. Its methods may be called concurrently.
type Wallet struct {
	dir string
	fs  fsys

	withdrawing sync.Mutex          // held for a whole withdrawal; taken before mu
	finished    map[requestKey]bool // guarded by withdrawing: done but for files that are not coins

	mu        sync.Mutex          // guards the fields below; no file is touched under it
	coins     []string            // names in coins/ that can be taken
	bad       int                 // files in bad/
	requests  int                 // withdrawals under way
	recovered int                 // coins found in pending/ by Open
	problems  map[string]*Problem // by path
	broken    error               // a sync failed: the disk's state is unknown until the wallet is opened anew
	closed    bool
}

// Counts says what a wallet holds.
type Counts struct {
	Coins     int // can be taken
	Bad       int // wait for a refund
	Requests  int // withdrawals under way, for Resume
	Recovered int // of the bad ones: found half used by Open, after a crash
}

// Open opens the wallet at dir, and makes an empty one where nothing is. It takes
// the wallet's lock, finishes what a crash left unfinished as far as that needs no
// bank, and turns coins that were being used into bad ones.
//
// Folders or coins that other users may read are refused with the chmod to run, a
// wallet that is open elsewhere, and a folder that holds something else. Files that
// are not the wallet's, or are damaged, stay where they are and do not stop the
// other coins: see Problems. The caller closes the wallet.
func Open(dir string) (*Wallet, error) {
	f, err := openOS(dir)
	if err != nil {
		return nil, err
	}
	w, err := open(dir, f)
	if err != nil {
		_ = f.close() // err says more
		return nil, err
	}
	return w, nil
}

// Close gives the wallet's folder and lock back, after a withdrawal that is going on
// has ended. A coin that is still held becomes bad at the next Open.
func (w *Wallet) Close() error {
	w.withdrawing.Lock() // lets a withdrawal finish
	defer w.withdrawing.Unlock()
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if closed {
		return nil
	}
	return w.fs.close()
}

// Counts returns what the wallet holds.
func (w *Wallet) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Counts{Coins: len(w.coins), Bad: w.bad, Requests: w.requests, Recovered: w.recovered}
}

// Problems returns what the wallet's owner has to put right, sorted by path. None
// of it was changed, and none of it is counted.
func (w *Wallet) Problems() []*Problem {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.Collect(maps.Values(w.problems))
	slices.SortFunc(all, func(a, b *Problem) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// note remembers a problem of the file or folder called name.
func (w *Wallet) note(name, text string) { w.noteProblem(&Problem{w.path(name), text}) }

func (w *Wallet) noteProblem(p *Problem) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.problems == nil {
		w.problems = map[string]*Problem{}
	}
	w.problems[p.Path] = p
}

// usable returns why the wallet cannot be used, or nil.
func (w *Wallet) usable() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.usableLocked()
}

func (w *Wallet) usableLocked() error {
	if w.closed {
		return ErrClosed
	}
	return w.broken
}

func (w *Wallet) path(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

// fail describes a failed file operation.
func (w *Wallet) fail(doing, name string, err error) error { return problemf(w.path(name), doing, err) }

// sync makes the entries of folders durable, in order. After a failed sync nobody
// knows what is on disk, so the wallet gives out nothing until it is opened anew.
func (w *Wallet) sync(folders ...string) error {
	for _, name := range folders {
		if err := w.fs.syncDir(name); err != nil {
			return w.breakDown(name, err)
		}
	}
	return nil
}

func (w *Wallet) breakDown(name string, err error) error {
	err = w.fail("sync", name, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = errors.Join(errors.New("wallet: the disk failed; check it, then start again"), err)
	}
	return err
}

// move renames a coin's file and makes that durable.
func (w *Wallet) move(name, from, to string) error {
	if err := w.fs.rename(from+"/"+name, to+"/"+name); err != nil {
		return w.fail("move", from+"/"+name, err)
	}
	return w.sync(to, from)
}
