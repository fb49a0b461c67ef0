package wallet

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"ecoin/core"
)

// open opens the wallet on f, which the wallet owns if open succeeds.
func open(dir string, f fsys) (*Wallet, error) {
	w := &Wallet{dir: dir, fs: f, finished: map[requestKey]bool{}}
	if err := w.checkFolders(); err != nil {
		return nil, err
	}
	// Coins of withdrawals whose answer is on disk come first: they were in no
	// other folder yet when the process died.
	if _, err := w.complete(context.Background(), nil); err != nil {
		return nil, err
	}
	if err := w.recoverPending(); err != nil {
		return nil, err
	}
	bad, err := w.coinFiles(badDir)
	if err != nil {
		return nil, err
	}
	w.bad = len(bad)
	return w, w.findCoins()
}

func (w *Wallet) checkFolders() error {
	made := false
	for _, name := range folders {
		info, err := w.fs.stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := w.fs.mkdir(name); err != nil {
				return w.fail("make the folder", name, err)
			}
			made = true
		case err != nil:
			return w.fail("look at", name, err)
		default:
			if err := checkFolder(w.path(name), info); err != nil {
				return err
			}
		}
	}
	if made {
		if err := w.sync("."); err != nil {
			return err
		}
	}
	names, err := w.fs.list(".")
	if err != nil {
		return w.fail("list", ".", err)
	}
	for _, name := range names {
		if !isOwn(name) {
			w.noteForeign(name)
		}
	}
	return nil
}

func (w *Wallet) noteForeign(name string) {
	w.note(name, "this is not the wallet's: move it out of the wallet")
}

// coinFiles returns the names of the sound coin files in folder and notes the rest.
func (w *Wallet) coinFiles(folder string) ([]string, error) {
	all, err := w.fs.list(folder)
	if err != nil {
		return nil, w.fail("list", folder, err)
	}
	coins := all[:0]
	for _, name := range all {
		path := folder + "/" + name
		if _, _, ok := parseCoinName(name); !ok {
			w.noteForeign(path)
			continue
		}
		p, err := w.checkCoin(path)
		switch {
		case err != nil:
			return nil, err
		case p != nil:
			w.noteProblem(p)
		default:
			coins = append(coins, name)
		}
	}
	return coins, nil
}

// recoverPending makes bad what was being used when the wallet was last open.
func (w *Wallet) recoverPending() error {
	names, err := w.coinFiles(pendingDir)
	if err != nil || len(names) == 0 {
		return err
	}
	for _, name := range names {
		if err := w.makeBad(pendingDir + "/" + name); err != nil {
			return err
		}
	}
	w.recovered = len(names)
	return w.sync(badDir, pendingDir)
}

// findCoins fills w.coins from coins/. A coin whose name is in bad/ too was being
// used when power failed, before its removal from coins/ was durable.
func (w *Wallet) findCoins() error {
	coins, err := w.coinFiles(coinsDir)
	if err != nil {
		return err
	}
	bad, err := w.fs.list(badDir)
	if err != nil {
		return w.fail("list", badDir, err)
	}
	moved := false
	for _, name := range coins {
		if _, twice := slices.BinarySearch(bad, name); twice {
			if err := w.makeBad(coinsDir + "/" + name); err != nil {
				return err
			}
			moved = true
			continue
		}
		w.coins = append(w.coins, name)
	}
	if moved {
		return w.sync(badDir, coinsDir)
	}
	return nil
}

// makeBad moves a sound coin file, whatever folder it is in, to bad/. If another coin
// has its name there it gets a new one. The caller syncs both folders.
func (w *Wallet) makeBad(from string) error {
	name := from[len(from)-coinNameLen:]
	to := badDir + "/" + name
	switch _, err := w.fs.stat(to); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return w.fail("look at", to, err)
	default:
		if !w.sameCoin(from, to) {
			_, index, _ := parseCoinName(name)
			to = badDir + "/" + newKey().coin(index)
		}
	}
	if err := w.fs.rename(from, to); err != nil {
		return w.fail("move", from, err)
	}
	return nil
}

// sameCoin reports whether two files are known to hold the same coin.
func (w *Wallet) sameCoin(a, b string) bool {
	var x, y core.Coin
	defer func() { clear(x[:]); clear(y[:]) }()
	return w.readCoin(a, &x) == nil && w.readCoin(b, &y) == nil && x == y
}
