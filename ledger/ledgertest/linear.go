package ledgertest

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"ecoin/core"
	"ecoin/ledger"
)

// linearInput is one operation on one coin, of one or more in a call.
type linearInput struct {
	op     byte // X redeem, T return, F refund
	coin   int
	acc    int
	digest byte
}

// linearOutput is its outcome.
type linearOutput struct {
	status core.Status
	by     int // the evidence's account index + 1; 0 for none
}

// linearModel says that the outcomes of all operations on a coin are those of some
// order in which each happened between its call and its answer.
var linearModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byCoin := make(map[int][]porcupine.Operation)
		for _, o := range history {
			coin := o.Input.(linearInput).coin
			byCoin[coin] = append(byCoin[coin], o)
		}
		parts := make([][]porcupine.Operation, 0, len(byCoin))
		for _, p := range byCoin {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return modelCoin{live: true} },
	Step: func(state, input, output any) (bool, any) {
		m, in, out := state.(modelCoin), input.(linearInput), output.(linearOutput)
		switch in.op {
		case 'X':
			return m.redeem(in.acc, in.digest) == out.status, m
		case 'T':
			return m.giveBack(in.acc, in.digest) == out.status, m
		}
		want := linearOutput{status: m.refund(in.acc)}
		if want.status == core.StatusRedeemed {
			if want.by = m.redeemedBy; m.refundedBy != 0 {
				want.by = m.refundedBy
			}
		}
		return want == out, m
	},
}

// testLinearizable records what many clients see who redeem, return and refund the
// same few coins at once, by single calls and by calls of several coins.
func testLinearizable(t *testing.T, newStore func(testing.TB) Store) {
	const rounds, clients, calls, coins = 6, 12, 12, 8
	for round := range rounds {
		w := newWorld(t, newStore)
		fps := w.coins(w.collector(coins), coins)
		accounts := make([]ledger.AccountID, 3)
		index := make(map[ledger.AccountID]int)
		for i := range accounts {
			accounts[i] = w.analyst()
			index[accounts[i]] = i + 1
		}
		var mu sync.Mutex
		var history []porcupine.Operation
		start := time.Now()
		together(clients, func(client int) {
			rng := rand.New(rand.NewPCG(uint64(round), uint64(client)))
			for range calls {
				acc := rng.IntN(len(accounts))
				op := "XXTF"[rng.IntN(4)]
				ins := make([]linearInput, 1+rng.IntN(3))
				picked := rng.Perm(coins)
				for i := range ins {
					ins[i] = linearInput{op: op, coin: picked[i], acc: acc, digest: byte(1 + rng.IntN(2))}
				}
				began := time.Since(start)
				outs := runLinear(w, accounts[acc], op, ins, fps, index)
				ended := time.Since(start)
				mu.Lock()
				for i := range ins {
					history = append(history, porcupine.Operation{ClientId: client, Input: ins[i], Output: outs[i], Call: int64(began), Return: int64(ended)})
				}
				mu.Unlock()
			}
		})
		switch porcupine.CheckOperationsTimeout(linearModel, history, time.Minute) {
		case porcupine.Illegal:
			t.Errorf("round %d: the history of %d operations is not linearizable", round, len(history))
		case porcupine.Unknown:
			t.Errorf("round %d: no verdict about %d operations within a minute", round, len(history))
		}
	}
}

func runLinear(w *world, acc ledger.AccountID, op byte, ins []linearInput, fps []core.Fingerprint, index map[ledger.AccountID]int) []linearOutput {
	outs := make([]linearOutput, len(ins))
	if op == 'F' {
		call, out := make([]core.Fingerprint, len(ins)), make([]ledger.Refund, len(ins))
		for i, in := range ins {
			call[i] = fps[in.coin]
		}
		if err := w.Refund(w.ctx, acc, call, out); err != nil {
			w.t.Error(err)
		}
		for i := range out {
			outs[i] = linearOutput{status: out[i].Status, by: index[out[i].Redeemer]}
		}
		return outs
	}
	call, out := make([]ledger.Redemption, len(ins)), make([]core.Status, len(ins))
	for i, in := range ins {
		call[i] = ledger.Redemption{Fingerprint: fps[in.coin], Digest: core.Digest{in.digest}}
	}
	run := w.Redeem
	if op == 'T' {
		run = w.Return
	}
	if err := run(w.ctx, acc, call, out); err != nil {
		w.t.Error(err)
	}
	for i := range out {
		outs[i].status = out[i]
	}
	return outs
}
