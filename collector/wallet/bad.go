package wallet

import (
	"errors"
	"fmt"

	"ecoin/core"
)

// A BadCoin is a coin of a failed operation. The caller wipes Coin after use.
type BadCoin struct {
	Name string // of its file
	Coin core.Coin
}

// Bad returns up to max bad coins in the order of their names, beginning behind the
// name after ("" for the first). Damaged files are left out; see Problems.
func (w *Wallet) Bad(after string, max int) ([]BadCoin, error) {
	if err := w.usable(); err != nil {
		return nil, err
	}
	names, err := w.coinFiles(badDir)
	if err != nil {
		return nil, err
	}
	var coins []BadCoin
	for _, name := range names {
		if name <= after {
			continue
		}
		if len(coins) == max {
			break
		}
		coins = append(coins, BadCoin{Name: name})
		last := &coins[len(coins)-1].Coin
		var p *Problem
		switch err := w.readCoin(badDir+"/"+name, last); {
		case errors.As(err, &p):
			coins = coins[:len(coins)-1]
		case err != nil:
			for i := range coins {
				clear(coins[i].Coin[:])
			}
			return nil, err
		}
	}
	return coins, nil
}

// Remove removes bad coins for good: refunded ones, and those their owner gives up.
// When it fails some of them may be left, and the refund can be asked for again.
func (w *Wallet) Remove(names ...string) error {
	if err := w.usable(); err != nil {
		return err
	}
	for _, name := range names {
		if _, _, ok := parseCoinName(name); !ok {
			return fmt.Errorf("wallet: %q is not the name of a coin", name)
		}
		if err := w.fs.remove(badDir + "/" + name); err != nil {
			return w.fail("remove", badDir+"/"+name, err)
		}
		w.mu.Lock()
		w.bad--
		w.mu.Unlock()
	}
	return w.sync(badDir)
}

// Retire makes bad coins of all that can be taken, so that a refund brings their
// credit back, and returns how many there were.
func (w *Wallet) Retire() (int, error) {
	for n := 0; ; n++ {
		name, err := w.pop()
		if errors.Is(err, ErrEmpty) {
			return n, w.sync(badDir, coinsDir)
		}
		if err != nil {
			return n, err
		}
		if err := w.makeBad(coinsDir + "/" + name); err != nil {
			w.push(name)
			return n, err
		}
		w.mu.Lock()
		w.bad++
		w.mu.Unlock()
	}
}
