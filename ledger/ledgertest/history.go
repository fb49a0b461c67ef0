package ledgertest

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"ecoin/core"
	"ecoin/ledger"
)

// modelCoin is a coin as the contract tells it, written apart from any implementation:
// what happened to it, in words.
type modelCoin struct {
	live       bool
	redeemedBy int // account index + 1, 0 for nobody
	digest     byte
	returned   bool
	refundedBy int // account index + 1, 0 for nobody
}

func (m *modelCoin) redeem(acc int, digest byte) core.Status {
	switch {
	case m.live:
		m.live, m.redeemedBy, m.digest = false, acc+1, digest
		return core.StatusOK
	case m.redeemedBy == 0 && m.refundedBy == 0:
		return core.StatusNotLive
	case !m.returned && m.refundedBy == 0 && m.redeemedBy == acc+1 && m.digest == digest:
		return core.StatusRedeemedBefore
	}
	return core.StatusRedeemed
}

func (m *modelCoin) giveBack(acc int, digest byte) core.Status {
	switch {
	case m.live || m.redeemedBy == 0 && m.refundedBy == 0:
		return core.StatusNotLive
	case m.redeemedBy == acc+1 && m.digest == digest:
		m.returned = true
		return core.StatusOK
	}
	return core.StatusRedeemed
}

func (m *modelCoin) refund(acc int) core.Status {
	switch {
	case m.refundedBy == acc+1:
		return core.StatusOK
	case m.refundedBy != 0:
		return core.StatusRedeemed
	case m.live, m.returned:
		m.live, m.refundedBy = false, acc+1
		return core.StatusOK
	case m.redeemedBy != 0:
		return core.StatusRedeemed
	}
	return core.StatusNotLive
}

// modelAccount is an account of the model.
type modelAccount struct {
	id      ledger.AccountID
	balance int64
	removed bool
	done    map[int]modelWithdrawal // by request number
}

type modelWithdrawal struct {
	salt core.Salt
	n    int
}

// testHistory runs random histories of all operations, reopening included, against a
// model that is a map and a few ifs. All share one ledger and its accounts, so that
// later histories meet the remains of earlier ones; each has coins of its own.
func testHistory(t *testing.T, newStore func(testing.TB) Store) {
	const people = 3
	w := newWorld(t, newStore)
	ids := [people]ledger.AccountID{w.collector(0), w.collector(0), w.collector(0)}
	rapid.Check(t, func(t *rapid.T) {
		var accounts [people]*modelAccount
		for i, id := range ids {
			a := w.account(id)
			accounts[i] = &modelAccount{id: id, balance: a.Balance(), removed: a.State == ledger.Removed, done: make(map[int]modelWithdrawal)}
		}
		requests := make([]ledger.RequestID, 4)
		for i := range requests {
			requests[i] = w.id()
		}
		coins := make(map[core.Fingerprint]*modelCoin)
		var known []core.Fingerprint
		learn := func(fp core.Fingerprint, live bool) {
			coins[fp] = &modelCoin{live: live}
			known = append(known, fp)
		}
		salt := w.salt()
		for _, fp := range mint(nil, &salt, 3) {
			learn(fp, false)
		}
		person := rapid.IntRange(0, people-1)
		digest := rapid.ByteRange(1, 2)
		draw := func(t *rapid.T) (acc int, fps []core.Fingerprint, digests []byte) {
			acc = person.Draw(t, "account")
			fps = rapid.SliceOfN(rapid.SampledFrom(known), 1, 8).Draw(t, "coins")
			for range fps {
				digests = append(digests, digest.Draw(t, "digest"))
			}
			return acc, fps, digests
		}
		redemptions := func(fps []core.Fingerprint, digests []byte) []ledger.Redemption {
			out := make([]ledger.Redemption, len(fps))
			for i := range fps {
				out[i] = ledger.Redemption{Fingerprint: fps[i], Digest: core.Digest{digests[i]}}
			}
			return out
		}
		t.Repeat(map[string]func(*rapid.T){
			"grant": func(t *rapid.T) {
				a := accounts[person.Draw(t, "account")]
				amount := rapid.Int64Range(-20, 40).Filter(func(v int64) bool { return v != 0 }).Draw(t, "amount")
				_, err := w.Grant(w.ctx, a.id, amount)
				if amount < 0 && a.balance+amount < 0 {
					if !errors.Is(err, ledger.ErrInsufficient) {
						t.Fatalf("grant of %d to a balance of %d: %v", amount, a.balance, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				a.balance += amount
			},
			"withdraw": func(t *rapid.T) {
				a := accounts[person.Draw(t, "account")]
				request := rapid.IntRange(0, len(requests)-1).Draw(t, "request")
				n := rapid.IntRange(1, 6).Draw(t, "n")
				salt := w.salt()
				got, err := w.Withdraw(w.ctx, a.id, requests[request], salt, n)
				old, repeated := a.done[request]
				switch {
				case repeated && old.n != n:
					if !errors.Is(err, ledger.ErrRequestMismatch) {
						t.Fatalf("other n: %v", err)
					}
				case repeated:
					if err != nil || got != old.salt {
						t.Fatalf("repeat returned the stored salt %t, %v", got == old.salt, err)
					}
				case a.balance < int64(n):
					if !errors.Is(err, ledger.ErrInsufficient) {
						t.Fatalf("%d coins out of %d: %v", n, a.balance, err)
					}
				default:
					if err != nil || got != salt {
						t.Fatalf("withdrawal returned its own salt %t, %v", got == salt, err)
					}
					a.balance -= int64(n)
					a.done[request] = modelWithdrawal{salt, n}
					for _, fp := range mint(nil, &salt, n) {
						learn(fp, true)
					}
				}
			},
			"redeem": func(t *rapid.T) {
				acc, fps, digests := draw(t)
				out := make([]core.Status, len(fps))
				if err := w.Redeem(w.ctx, accounts[acc].id, redemptions(fps, digests), out); err != nil {
					t.Fatal(err)
				}
				for i, fp := range fps {
					want := coins[fp].redeem(acc, digests[i])
					if want == core.StatusOK {
						accounts[acc].balance++
					}
					if out[i] != want {
						t.Fatalf("redeem %d of %d: %v, want %v", i, len(fps), out[i], want)
					}
				}
			},
			"return": func(t *rapid.T) {
				acc, fps, digests := draw(t)
				out := make([]core.Status, len(fps))
				if err := w.Return(w.ctx, accounts[acc].id, redemptions(fps, digests), out); err != nil {
					t.Fatal(err)
				}
				for i, fp := range fps {
					before := *coins[fp]
					want := coins[fp].giveBack(acc, digests[i])
					if !before.returned && coins[fp].returned {
						accounts[acc].balance--
					}
					if out[i] != want {
						t.Fatalf("return %d of %d: %v, want %v", i, len(fps), out[i], want)
					}
				}
			},
			"refund": func(t *rapid.T) {
				acc, fps, _ := draw(t)
				out := make([]ledger.Refund, len(fps))
				if err := w.Refund(w.ctx, accounts[acc].id, fps, out); err != nil {
					t.Fatal(err)
				}
				for i, fp := range fps {
					before := *coins[fp]
					want := coins[fp].refund(acc)
					if before.refundedBy == 0 && coins[fp].refundedBy != 0 {
						accounts[acc].balance++
					}
					if out[i].Status != want {
						t.Fatalf("refund %d of %d: %v, want %v", i, len(fps), out[i].Status, want)
					}
					if want != core.StatusRedeemed {
						continue
					}
					by := coins[fp].refundedBy
					if by == 0 {
						by = coins[fp].redeemedBy
					}
					if out[i].Redeemer != accounts[by-1].id || !out[i].At.Equal(w.clock.Now()) {
						t.Fatalf("refund %d of %d shows the wrong evidence: %+v", i, len(fps), out[i])
					}
				}
			},
			"remove or add": func(t *rapid.T) {
				a := accounts[person.Draw(t, "account")]
				var got ledger.Account
				var err error
				if a.removed {
					got, err = w.AddAccount(w.ctx, "back "+a.id.String(), ledger.RoleAnalyst, w.account(a.id).Pin)
				} else {
					got, err = w.SetState(w.ctx, a.id, ledger.Removed)
				}
				if err != nil || got.ID != a.id || (got.State == ledger.Removed) == a.removed {
					t.Fatalf("returned %+v, %v", got, err)
				}
				a.removed = !a.removed
			},
			"reopen": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "one in ten") == 0 {
					w.reopen()
				}
			},
			"look": func(t *rapid.T) {
				a := accounts[person.Draw(t, "account")]
				if got := w.account(a.id).Balance(); got != a.balance {
					t.Fatalf("balance is %d, want %d", got, a.balance)
				}
			},
		})
		for i, a := range accounts {
			if got := w.account(a.id).Balance(); got != a.balance {
				t.Fatalf("balance of account %d is %d, want %d", i, got, a.balance)
			}
		}
		live, held := int64(0), int64(0)
		for _, m := range coins {
			if m.live {
				live++
			}
			if m.returned && m.refundedBy == 0 {
				held++
			}
		}
		// Coins that this history leaves behind are cleared away, so that the audit
		// of the next one counts only its own.
		before := w.audit()
		if before.Live != live || before.Returned != held {
			t.Fatalf("audit counts %d live and %d returned coins, want %d and %d", before.Live, before.Returned, live, held)
		}
		out := make([]ledger.Refund, len(known))
		if err := w.Refund(w.ctx, accounts[0].id, known, out); err != nil {
			t.Fatal(err)
		}
	})
}
