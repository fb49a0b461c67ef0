package wallet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"ecoin/core"
)

// A Held is a coin taken out for one operation. Whoever took it calls Spent or
// Failed, once; both wipe the coin from memory. It is for one goroutine at a time.
type Held struct {
	Coin core.Coin
	w    *Wallet
	name string
	done bool
}

// Format implements fmt.Formatter: it prints the name of the coin's file.
func (h *Held) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, h.name) }

// LogValue implements slog.LogValuer: it logs the name of the coin's file.
func (h *Held) LogValue() slog.Value { return slog.StringValue(h.name) }

// Name returns the name of the coin's file, which is no secret.
func (h *Held) Name() string { return h.name }

// Take takes one coin out. When it returns, the coin is durably marked as being
// used: no later Take, of this process or another, gives it out again.
//
// A coin whose file is damaged is left where it is (see Problems) and the next is
// tried. ErrEmpty, possibly wrapped, says that none is left.
func (w *Wallet) Take() (*Held, error) {
	for {
		name, err := w.pop()
		if err != nil {
			return nil, err
		}
		h := &Held{w: w, name: name}
		if err := w.readCoin(coinsDir+"/"+name, &h.Coin); err != nil {
			var p *Problem
			if errors.As(err, &p) {
				continue // noted
			}
			w.push(name)
			return nil, err
		}
		if err := w.fs.rename(coinsDir+"/"+name, pendingDir+"/"+name); err != nil {
			h.wipe()
			w.push(name)
			return nil, w.fail("take", coinsDir+"/"+name, err)
		}
		if err := w.sync(pendingDir, coinsDir); err != nil {
			h.wipe() // unused; it is in one of the two folders, and Open will tell in which
			return nil, err
		}
		return h, nil
	}
}

func (w *Wallet) pop() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usableLocked(); err != nil {
		return "", err
	}
	if len(w.coins) == 0 {
		if n := len(w.problems); n > 0 {
			return "", fmt.Errorf("%w; %d files need attention", ErrEmpty, n)
		}
		return "", ErrEmpty
	}
	name := w.coins[0]
	w.coins = w.coins[1:]
	return name, nil
}

// push makes coins available.
func (w *Wallet) push(names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.coins = append(w.coins, names...)
}

// Spent reports that the operation succeeded: the coin is worth nothing any more and
// its file is removed.
func (h *Held) Spent() error {
	h.settle()
	name := pendingDir + "/" + h.name
	if err := h.w.fs.remove(name); err != nil {
		return h.w.fail("remove", name, err)
	}
	return h.w.sync(pendingDir)
}

// Failed reports that the operation did not succeed. Whether the coin was redeemed is
// for a refund to find out: it becomes bad.
func (h *Held) Failed() error {
	h.settle()
	if err := h.w.move(h.name, pendingDir, badDir); err != nil {
		return err
	}
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.bad++
	return nil
}

func (h *Held) settle() {
	if h.done {
		panic("wallet: a coin was settled twice")
	}
	h.done = true
	h.wipe()
}

func (h *Held) wipe() { clear(h.Coin[:]) }

// readCoin reads the coin in the file called name. An unfit file is noted and
// returned as a *Problem; coin is then zero.
func (w *Wallet) readCoin(name string, coin *core.Coin) error {
	p, err := w.checkCoin(name)
	if err != nil {
		return err
	}
	if p == nil {
		var b [len(core.Coin{}) + 1]byte
		n, err := w.fs.read(name, b[:])
		copy(coin[:], b[:])
		clear(b[:])
		if err == nil && n == len(coin) {
			return nil
		}
		clear(coin[:])
		if err != nil {
			p = &Problem{w.path(name), w.fail("read", name, err).Error()}
		} else {
			p = w.wrongSize(name, int64(n))
		}
	}
	w.noteProblem(p)
	return p
}

// checkCoin reports what is wrong with a coin's file, as far as can be told without
// reading it; nil is nothing. A file that others may read is not a problem to work
// around but an error.
func (w *Wallet) checkCoin(name string) (*Problem, error) {
	info, err := w.fs.stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Problem{w.path(name), "the file has vanished while the wallet was open: put it back, then start again"}, nil
	case err != nil:
		return nil, w.fail("look at", name, err)
	case !info.Mode().IsRegular():
		return &Problem{w.path(name), "this is no plain file: move it out of the wallet"}, nil
	case info.Size() != int64(len(core.Coin{})):
		return w.wrongSize(name, info.Size()), nil
	case info.Mode().Perm()&0o077 != 0:
		return nil, errExposed(w.path(name), info.Mode())
	case info.Mode().Perm()&0o400 == 0:
		return &Problem{w.path(name), fmt.Sprintf("the file may not be read (mode %04o): run chmod 600 %s, then start again", info.Mode().Perm(), w.path(name))}, nil
	}
	return nil, nil
}

func (w *Wallet) wrongSize(name string, n int64) *Problem {
	return &Problem{w.path(name), fmt.Sprintf("the file has %d bytes and a coin has %d, so something other than the wallet changed it: put the coin back from a copy, or delete the file", n, len(core.Coin{}))}
}
