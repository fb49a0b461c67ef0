package wallet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"ecoin/core"
)

// Ask asks the bank for the n coins of the withdrawal with the given key. Asked
// again with the same key and n it returns the same coins, and nothing is debited
// again. The caller wipes the coins.
//
// Its error wraps ErrNoCredit, ErrOtherCount or ErrRefused if this call did nothing, the
// last for any reason but those of the first two. Any other error leaves open whether
// the withdrawal happened.
type Ask func(ctx context.Context, key [16]byte, n int) ([]core.Coin, error)

// maxUnsettled bounds the withdrawals under way, beside which a new one is made.
const maxUnsettled = 8

// Withdraw adds n coins, 1 to MaxWithdraw, and returns how many were added. First it
// completes the withdrawals under way, as Resume does, whose coins count too; if
// that fails there is no new one. Only if all that they lack is credit, and they are
// fewer than 8, there is: they may have been for more than the account has now, and
// would keep it from using that.
//
// When Withdraw returns an error the coins may have been debited. They are not lost:
// the request stays in the wallet, and Resume, or the next Withdraw, of this or a
// later process, gets them. The request is dropped only if its very first question
// certainly did nothing.
func (w *Wallet) Withdraw(ctx context.Context, ask Ask, n int) (int, error) {
	if n < 1 || n > MaxWithdraw {
		return 0, fmt.Errorf("wallet: withdraw %d coins: choose 1 to %d", n, MaxWithdraw)
	}
	w.withdrawing.Lock()
	defer w.withdrawing.Unlock()
	before, err := w.resumeLocked(ctx, ask)
	if err != nil && !(errors.Is(err, ErrNoCredit) && w.Counts().Requests < maxUnsettled) {
		return before, err
	}
	key := newKey()
	if err := w.writeRequest(key, n); err != nil {
		return before, err
	}
	got, err := w.fetch(ctx, ask, key, n)
	if err != nil {
		// The key is new: if this first question did nothing, nothing was done.
		if errors.Is(err, ErrRefused) || errors.Is(err, ErrNoCredit) || errors.Is(err, ErrOtherCount) {
			return before, errors.Join(err, w.drop(key))
		}
		return before, err
	}
	w.push(got...)
	return before + len(got), nil
}

// Resume completes the withdrawals under way, which an earlier process or an earlier
// call left without an answer, and returns how many coins that added. A withdrawal that
// the account's credit does not suffice for stays under way: a question before this one
// may have been delayed inside the bank, and may yet find credit. If all that was missing
// is credit, the error wraps ErrNoCredit.
func (w *Wallet) Resume(ctx context.Context, ask Ask) (int, error) {
	w.withdrawing.Lock()
	defer w.withdrawing.Unlock()
	return w.resumeLocked(ctx, ask)
}

func (w *Wallet) resumeLocked(ctx context.Context, ask Ask) (int, error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	got, err := w.complete(ctx, ask)
	w.push(got...)
	return len(got), err
}

// writeRequest makes a request durable before anybody is asked.
func (w *Wallet) writeRequest(key requestKey, n int) error {
	from, to := key.path(endNew), key.path(endRequest)
	if err := w.writeFile(from, formatRequest(key, n)); err != nil {
		return err
	}
	if err := w.fs.rename(from, to); err != nil {
		return w.fail("rename", from, err)
	}
	w.addRequests(1)
	return w.sync(withdrawDir)
}

// drop removes the request with the given key.
func (w *Wallet) drop(key requestKey) error {
	name := key.path(endRequest)
	if err := w.fs.remove(name); err != nil {
		return w.fail("remove", name, err)
	}
	w.addRequests(-1)
	return w.sync(withdrawDir)
}

func (w *Wallet) addRequests(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests += n
}

// complete finishes what it finds in withdraw/ and returns the names of the coins
// that can now be taken. Without ask it does what needs no bank. It stops at the first
// withdrawal that fails for any other reason than credit; the order is that of the
// keys, which are random.
func (w *Wallet) complete(ctx context.Context, ask Ask) (got []string, err error) {
	names, err := w.fs.list(withdrawDir)
	if err != nil {
		return nil, w.fail("list", withdrawDir, err)
	}
	requested := map[requestKey]bool{}
	var requests, orphans []requestKey
	for _, name := range names { // of one key, part comes before ready, and ready before request
		key, end, ok := cutEnding(name)
		switch {
		case !ok:
			w.noteForeign(withdrawDir + "/" + name)
		case end == endNew:
			if err := w.fs.remove(key.path(endNew)); err != nil {
				return got, w.fail("remove", key.path(endNew), err)
			}
		case end == endPart:
			orphans = append(orphans, key)
		case end == endReady && !w.finished[key]:
			ready, err := w.finish(key)
			got = append(got, ready...)
			if err != nil {
				return got, err
			}
		case end == endRequest:
			requested[key] = true
			if _, err := w.fs.stat(key.path(endRequest)); err == nil { // finish may have removed it
				requests = append(requests, key)
			}
		}
	}
	w.mu.Lock()
	w.requests = len(requests)
	w.mu.Unlock()
	for _, key := range orphans {
		if !requested[key] {
			err := w.salvage(key)
			var p *Problem
			if errors.As(err, &p) {
				w.noteProblem(p)
			} else if err != nil {
				return got, err
			}
		}
	}
	if ask == nil {
		return got, nil
	}
	var poor error
	for _, key := range requests {
		n, err := w.readRequest(key)
		var p *Problem
		if errors.As(err, &p) {
			continue // noted; nothing that could be asked
		}
		if err != nil {
			return got, err
		}
		more, err := w.fetch(ctx, ask, key, n)
		got = append(got, more...)
		switch {
		case errors.Is(err, ErrNoCredit):
			// Somebody asked before, or died before he could tell whether he did.
			poor = fmt.Errorf("%w; an earlier try may still be under way: its request is kept, and asked for again later", err)
		case errors.Is(err, ErrOtherCount):
			w.note(key.path(endRequest), "the bank made this withdrawal with another number of coins, so this file was changed: put it back from a copy, or delete it if there is none")
		case err != nil:
			return got, err
		}
	}
	return got, poor
}

// readRequest returns how many coins the request with the given key asks for. A
// damaged request is noted and returned as a *Problem.
func (w *Wallet) readRequest(key requestKey) (int, error) {
	var b [maxRequestLen]byte
	name := key.path(endRequest)
	n, err := w.fs.read(name, b[:])
	if err != nil {
		return 0, w.fail("read", name, err)
	}
	k, coins, ok := parseRequest(b[:n])
	if !ok || k != key {
		p := &Problem{w.path(name), "this withdrawal's request is damaged, and its coins may have been debited: put the file back from a copy, or delete it if there is none"}
		w.noteProblem(p)
		return 0, p
	}
	return coins, nil
}

// fetch asks the bank, makes the answer durable, and completes the withdrawal.
func (w *Wallet) fetch(ctx context.Context, ask Ask, key requestKey, n int) ([]string, error) {
	coins, err := ask(ctx, key, n)
	defer clear(coins)
	if err != nil {
		return nil, fmt.Errorf("wallet: withdraw %d coins: %w", n, err)
	}
	if len(coins) != n {
		return nil, fmt.Errorf("wallet: withdraw %d coins: the bank gave %d", n, len(coins))
	}
	if err := w.stage(key, coins); err != nil {
		return nil, err
	}
	return w.finish(key)
}

// stage writes the coins of an answer and makes them durable. It may be called again
// after it failed or the process died.
func (w *Wallet) stage(key requestKey, coins []core.Coin) error {
	part := key.path(endPart)
	switch err := w.fs.mkdir(part); {
	case errors.Is(err, fs.ErrExist):
		if err := w.clearPart(key, coins); err != nil {
			return err
		}
	case err != nil:
		return w.fail("make the folder", part, err)
	}
	for i := range coins {
		if err := w.writeFile(part+"/"+key.coin(i), coins[i][:]); err != nil {
			return err
		}
	}
	if err := w.sync(part); err != nil {
		return err
	}
	if err := w.fs.rename(part, key.path(endReady)); err != nil {
		return w.fail("rename", part, err)
	}
	return w.sync(withdrawDir)
}

// clearPart empties the folder that an interrupted stage left. Coins that are in
// the new answer are removed; a coin that is not belongs to a withdrawal that the
// bank has forgotten since, which it does after a day: a refund decides.
func (w *Wallet) clearPart(key requestKey, coins []core.Coin) error {
	part := key.path(endPart)
	names, err := w.fs.list(part)
	if err != nil {
		return w.fail("list", part, err)
	}
	for _, name := range names {
		path := part + "/" + name
		k, i, ok := parseCoinName(name)
		if !ok || k != key {
			return &Problem{w.path(path), "this is not the wallet's: move it out of the wallet"}
		}
		info, err := w.fs.stat(path)
		if err != nil {
			return w.fail("look at", path, err)
		}
		if info.Size() >= int64(len(core.Coin{})) { // else the process died before it was written
			var old core.Coin
			if err := w.readCoin(path, &old); err != nil {
				return err
			}
			keep := old != core.Coin{} && (i >= len(coins) || old != coins[i])
			clear(old[:])
			if keep {
				if err := w.keepOld(path); err != nil {
					return err
				}
				continue
			}
		}
		if err := w.fs.remove(path); err != nil {
			return w.fail("remove", path, err)
		}
	}
	return nil
}

// keepOld makes a bad coin of one that was staged, under a new name, because the
// coin that has its name now is another.
func (w *Wallet) keepOld(path string) error {
	_, i, _ := parseCoinName(path[len(path)-coinNameLen:])
	if err := w.fs.syncFile(path); err != nil {
		return w.breakDown(path, err)
	}
	if err := w.fs.rename(path, badDir+"/"+newKey().coin(i)); err != nil {
		return w.fail("move", path, err)
	}
	w.mu.Lock()
	w.bad++
	w.mu.Unlock()
	return w.sync(badDir, path[:strings.LastIndexByte(path, '/')])
}

// salvage makes bad coins of an unfinished stage whose request is gone, which
// somebody other than the wallet must have removed.
func (w *Wallet) salvage(key requestKey) error {
	part := key.path(endPart)
	if err := w.clearPart(key, nil); err != nil {
		return err
	}
	if err := w.fs.remove(part); err != nil {
		return w.fail("remove", part, err)
	}
	return w.sync(withdrawDir)
}

// finish moves the staged coins of an answer to coins/ and returns the names of all
// coins of the withdrawal that are there. They may be given out once it returned.
func (w *Wallet) finish(key requestKey) ([]string, error) {
	ready := key.path(endReady)
	if err := w.drop(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	staged, err := w.coinFiles(ready)
	if err != nil {
		return nil, err
	}
	for _, name := range staged {
		if err := w.fs.rename(ready+"/"+name, coinsDir+"/"+name); err != nil {
			return nil, w.fail("move", ready+"/"+name, err)
		}
	}
	if err := w.sync(coinsDir, ready); err != nil {
		return nil, err
	}
	left, err := w.fs.list(ready)
	if err != nil {
		return nil, w.fail("list", ready, err)
	}
	if len(left) > 0 { // noted by coinFiles
		w.finished[key] = true
	} else if err := w.fs.remove(ready); err != nil {
		return nil, w.fail("remove", ready, err)
	}
	if err := w.sync(withdrawDir); err != nil {
		return nil, err
	}
	// Of an earlier, interrupted attempt some may be there already.
	all, err := w.fs.list(coinsDir)
	if err != nil {
		return nil, w.fail("list", coinsDir, err)
	}
	var names []string
	for _, name := range all {
		if k, _, ok := parseCoinName(name); ok && k == key {
			names = append(names, name)
		}
	}
	return names, nil
}

// writeFile writes a new file durably; the caller syncs the folder.
func (w *Wallet) writeFile(name string, data []byte) error {
	f, err := w.fs.create(name)
	if err != nil {
		return w.fail("create", name, err)
	}
	_, err = f.Write(data)
	if err != nil {
		err = w.fail("write", name, err)
	} else if err = f.Sync(); err != nil {
		err = w.breakDown(name, err)
	}
	if cerr := f.Close(); err == nil && cerr != nil {
		err = w.fail("close", name, cerr)
	}
	return err
}
