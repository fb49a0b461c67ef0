package ledgertest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"ecoin/core"
	"ecoin/ledger"
)

// Sizes of a history of whole books. They are small because the checker has to find one
// order for all of it: a balance belongs to every operation on its account.
const (
	booksAccounts = 2
	booksRequests = 3 // ids of each account
	booksCoins    = 3 // of one withdrawal, at most
	booksCredit   = 5 // of each account
	booksClients  = 4
	booksCalls    = 7 // of one client
)

// booksInput is one call, or one coin of a call: only coins are decided at one moment.
type booksInput struct {
	op      byte // W withdraw, X redeem, T return, F refund, G grant, A look at the account
	acc     int
	request int // W
	n       int // W; G the amount
	coin    int // X, T, F: index in booksState.coins
	digest  byte
}

// booksOutput is the answer. A withdrawal that went through names the attempt whose salt
// counts, since the coins follow from it.
type booksOutput struct {
	status  core.Status
	by      int // the evidence's account index + 1
	refusal byte
	attempt int
	books   ledger.Account // A, G: amounts only
}

// Refusals of a withdrawal or grant.
const (
	refusedFunds    = 'f'
	refusedMismatch = 'm'
)

// booksState is all that two accounts can have to do with each other. It is comparable,
// which the checker uses to forget what it has seen.
type booksState struct {
	amounts [booksAccounts]ledger.Account // amounts only
	done    [booksAccounts][booksRequests]booksWithdrawal
	coins   [booksAccounts * booksRequests * booksCoins]modelCoin
}

type booksWithdrawal struct{ n, attempt int } // n = 0: none

func booksCoin(acc, request, i int) int { return (acc*booksRequests+request)*booksCoins + i }

// step is the whole contract of an undisturbed ledger.
func (s booksState) step(in booksInput, out booksOutput) (bool, booksState) {
	a := &s.amounts[in.acc]
	var want booksOutput
	switch in.op {
	case 'W':
		w := &s.done[in.acc][in.request]
		switch {
		case w.n == in.n:
			want.attempt = w.attempt
		case w.n != 0:
			want.refusal = refusedMismatch
		case a.Balance() < int64(in.n):
			want.refusal = refusedFunds
		default:
			// Only the answer tells whose attempt was first.
			*w = booksWithdrawal{in.n, out.attempt}
			want.attempt = out.attempt
			a.Issued += int64(in.n)
			for i := range in.n {
				s.coins[booksCoin(in.acc, in.request, i)].live = true
			}
		}
	case 'X':
		if want.status = s.coins[in.coin].redeem(in.acc, in.digest); want.status == core.StatusOK {
			a.Redeemed++
		}
	case 'T':
		before := s.coins[in.coin].returned
		want.status = s.coins[in.coin].giveBack(in.acc, in.digest)
		if s.coins[in.coin].returned != before {
			a.Returned++
		}
	case 'F':
		c := &s.coins[in.coin]
		before := c.refundedBy
		if want.status = c.refund(in.acc); c.refundedBy != before {
			a.Refunded++
		}
		if want.status == core.StatusRedeemed {
			if want.by = c.redeemedBy; c.refundedBy != 0 {
				want.by = c.refundedBy
			}
		}
	case 'G':
		if a.Balance()+int64(in.n) < 0 {
			want.refusal = refusedFunds
			break
		}
		a.Granted += int64(in.n)
	case 'A':
		want.books = *a
	}
	return want == out, s
}

var booksModel = porcupine.Model{
	Init: func() any {
		var s booksState
		for i := range s.amounts {
			s.amounts[i].Granted = booksCredit
		}
		return s
	},
	Step: func(state, input, output any) (bool, any) {
		return state.(booksState).step(input.(booksInput), output.(booksOutput))
	},
}

// testLinearizableBooks records what clients see who withdraw, also the same twice,
// redeem, return, refund, are granted credit and look at their accounts, all at once,
// and asks for one order of everything that explains it.
func testLinearizableBooks(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	for round := range part(40) {
		h := booksHistory{w: w, index: make(map[ledger.AccountID]int), attempts: make(map[core.Salt]int)}
		for i := range h.accounts {
			h.accounts[i] = w.collector(booksCredit)
			h.index[h.accounts[i]] = i + 1
			for k := range h.requests[i] {
				h.requests[i][k] = w.id()
			}
		}
		h.start = time.Now()
		together(booksClients, func(client int) {
			rng := rand.New(rand.NewPCG(uint64(round), uint64(client)))
			for range booksCalls {
				h.call(client, rng)
			}
		})
		switch porcupine.CheckOperationsTimeout(booksModel, h.operations, time.Minute) {
		case porcupine.Illegal:
			t.Errorf("round %d: no order explains the %d operations: %+v", round, len(h.operations), h.operations)
		case porcupine.Unknown:
			t.Errorf("round %d: no verdict about %d operations within a minute", round, len(h.operations))
		}
		w.audit()
	}
}

// booksHistory is a history while it is made.
type booksHistory struct {
	w        *world
	start    time.Time
	accounts [booksAccounts]ledger.AccountID
	requests [booksAccounts][booksRequests]ledger.RequestID
	index    map[ledger.AccountID]int // + 1

	mu         sync.Mutex // guards the rest
	attempts   map[core.Salt]int
	known      []booksKnown // coins that an answer gave out
	operations []porcupine.Operation
}

type booksKnown struct {
	index int
	fp    core.Fingerprint
}

// call does one random call and notes it.
func (h *booksHistory) call(client int, rng *rand.Rand) {
	in := booksInput{op: "WWXXTFGAA"[rng.IntN(9)], acc: rng.IntN(booksAccounts), digest: byte(1 + rng.IntN(2))}
	h.mu.Lock()
	coins := slices.Clone(h.known)
	h.mu.Unlock()
	if len(coins) == 0 && (in.op == 'X' || in.op == 'T' || in.op == 'F') {
		in.op = 'W'
	}
	began := time.Since(h.start)
	note := func(ins []booksInput, outs []booksOutput) {
		ended := time.Since(h.start)
		h.mu.Lock()
		defer h.mu.Unlock()
		for i := range ins {
			h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: ins[i], Output: outs[i], Call: int64(began), Return: int64(ended)})
		}
	}
	acc := h.accounts[in.acc]
	switch in.op {
	case 'W':
		in.request, in.n = rng.IntN(booksRequests), 1+rng.IntN(booksCoins)
		note([]booksInput{in}, []booksOutput{h.withdraw(&in)})
	case 'G':
		in.n = []int{1, 2, -1, -3}[rng.IntN(4)]
		_, err := h.w.Grant(h.w.ctx, acc, int64(in.n))
		note([]booksInput{in}, []booksOutput{{refusal: h.refusal(err)}})
	case 'A':
		a := h.w.account(acc)
		out := booksOutput{books: ledger.Account{Granted: a.Granted, Issued: a.Issued, Redeemed: a.Redeemed, Returned: a.Returned, Refunded: a.Refunded}}
		note([]booksInput{in}, []booksOutput{out})
	default:
		rng.Shuffle(len(coins), func(i, j int) { coins[i], coins[j] = coins[j], coins[i] })
		coins = coins[:min(len(coins), 1+rng.IntN(2))]
		ins := make([]linearInput, len(coins))
		fps := make([]core.Fingerprint, len(coins))
		for i := range coins {
			ins[i], fps[i] = linearInput{op: in.op, coin: i, acc: in.acc, digest: in.digest}, coins[i].fp
		}
		got := runLinear(h.w, acc, in.op, ins, fps, h.index)
		list, outs := make([]booksInput, len(coins)), make([]booksOutput, len(coins))
		for i := range coins {
			list[i], outs[i] = in, booksOutput{status: got[i].status, by: got[i].by}
			list[i].coin = coins[i].index
		}
		note(list, outs)
	}
}

// withdraw withdraws under a fresh salt and learns the coins of the salt that counts.
func (h *booksHistory) withdraw(in *booksInput) booksOutput {
	salt := h.w.salt()
	h.mu.Lock()
	h.attempts[salt] = len(h.attempts) + 1
	h.mu.Unlock()
	got, err := h.w.Withdraw(h.w.ctx, h.accounts[in.acc], h.requests[in.acc][in.request], salt, in.n)
	if err != nil {
		return booksOutput{refusal: h.refusal(err)}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, fp := range mint(nil, &got, in.n) {
		k := booksKnown{booksCoin(in.acc, in.request, i), fp}
		if !slices.Contains(h.known, k) {
			h.known = append(h.known, k)
		}
	}
	return booksOutput{attempt: h.attempts[got]}
}

func (h *booksHistory) refusal(err error) byte {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ledger.ErrInsufficient):
		return refusedFunds
	case errors.Is(err, ledger.ErrRequestMismatch):
		return refusedMismatch
	}
	h.w.t.Error(err)
	return '?'
}
