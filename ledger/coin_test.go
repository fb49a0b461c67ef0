package ledger

import (
	"testing"

	"pgregory.net/rapid"

	"ecoin/core"
)

// factModel knows a coin as a set of facts that only grows.
type factModel map[string]bool

func (m factModel) expect(op string, acc, digest byte) (core.Status, event) {
	me, mine := string([]byte{acc}), string([]byte{acc, digest})
	switch op {
	case "insert":
		if len(m) > 0 {
			return core.StatusRedeemed, nothing
		}
		m["issued"] = true
		return core.StatusOK, issuedOne
	case "redeem":
		switch {
		case !m["issued"]:
			return core.StatusNotLive, nothing
		case !m["consumed"]:
			m["consumed"], m["redeemed "+mine] = true, true
			return core.StatusOK, redeemedOne
		case m["redeemed "+mine] && !m["returned"]:
			return core.StatusRedeemedBefore, nothing
		}
		return core.StatusRedeemed, nothing
	case "return":
		switch {
		case !m["consumed"]:
			return core.StatusNotLive, nothing
		case !m["redeemed "+mine]:
			return core.StatusRedeemed, nothing
		case m["returned"]:
			return core.StatusOK, nothing
		}
		m["returned"] = true
		return core.StatusOK, returnedOne
	default:
		switch {
		case !m["issued"]:
			return core.StatusNotLive, nothing
		case !m["consumed"]:
			m["consumed"], m["refunded"], m["refunded "+me] = true, true, true
			return core.StatusOK, refundedLive
		case m["refunded "+me]:
			return core.StatusOK, nothing
		case m["returned"] && !m["refunded"]:
			m["refunded"], m["refunded "+me] = true, true
			return core.StatusOK, refundedReturned
		}
		return core.StatusRedeemed, nothing
	}
}

// TestCoinModel checks every transition against facts, and what must hold whatever
// happens: one issue, at most one credit outstanding, no way back to live.
func TestCoinModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c coin
		m := factModel{}
		credit, wasLive := 0, false
		var books counters
		var row tally
		for now := range rapid.IntRange(1, 40).Draw(t, "steps") {
			acc := rapid.ByteRange(0, 2).Draw(t, "account") // 0: the zero id is an id like any other
			digest := rapid.ByteRange(0, 1).Draw(t, "digest")
			op := rapid.SampledFrom([]string{"insert", "redeem", "redeem", "return", "refund"}).Draw(t, "op")
			before := c
			var s core.Status
			var e event
			switch op {
			case "insert":
				s, e = c.insert()
			case "redeem":
				s, e = c.redeem(AccountID{acc}, core.Digest{digest}, int64(now))
			case "return":
				s, e = c.giveBack(AccountID{acc}, core.Digest{digest})
			default:
				s, e = c.refund(AccountID{acc}, int64(now))
			}
			wantStatus, wantEvent := m.expect(op, acc, digest)
			if s != wantStatus || e != wantEvent {
				t.Fatalf("%s by %d with %d gave %v and event %d, want %v and %d", op, acc, digest, s, e, wantStatus, wantEvent)
			}
			if (e == nothing) != (c == before) {
				t.Fatalf("event %d, but the coin changed: %t", e, c != before)
			}
			e.count(&books, &row)
			switch e {
			case redeemedOne, refundedLive, refundedReturned:
				credit++
			case returnedOne:
				credit--
			}
			if credit < 0 || credit > 1 {
				t.Fatalf("%d credits for one coin", credit)
			}
			if c.phase == live && wasLive && before.phase != live {
				t.Fatal("the coin came back to life")
			}
			wasLive = wasLive || c.phase == live
			if isLive, held := c.phase == live, c.phase == returned; (books.live() == 1) != isLive || (books.held() == 1) != held {
				t.Fatalf("the books count %d live and %d returned, the coin is live %t and returned %t", books.live(), books.held(), isLive, held)
			}
			if got := row.redeemed - row.returned + row.refunded; got != int64(credit) {
				t.Fatalf("the tally is %d, want %d", got, credit)
			}
		}
	})
}
