package life

import (
	"testing"

	"pgregory.net/rapid"

	"ecoin/core"
)

// factModel knows a coin as a set of facts that only grows.
type factModel map[string]bool

func (m factModel) expect(op string, acc, digest byte) (core.Status, Event) {
	me, mine := string([]byte{acc}), string([]byte{acc, digest})
	switch op {
	case "insert":
		if len(m) > 0 {
			return core.StatusRedeemed, Nothing
		}
		m["issued"] = true
		return core.StatusOK, Issued
	case "redeem":
		switch {
		case !m["issued"]:
			return core.StatusNotLive, Nothing
		case !m["consumed"]:
			m["consumed"], m["redeemed "+mine] = true, true
			return core.StatusOK, Credited
		case m["redeemed "+mine] && !m["returned"]:
			return core.StatusRedeemedBefore, Nothing
		}
		return core.StatusRedeemed, Nothing
	case "return":
		switch {
		case !m["consumed"]:
			return core.StatusNotLive, Nothing
		case !m["redeemed "+mine]:
			return core.StatusRedeemed, Nothing
		case m["returned"]:
			return core.StatusOK, Nothing
		}
		m["returned"] = true
		return core.StatusOK, GivenBack
	default:
		switch {
		case !m["issued"]:
			return core.StatusNotLive, Nothing
		case !m["consumed"]:
			m["consumed"], m["refunded"], m["refunded "+me] = true, true, true
			return core.StatusOK, RefundedLive
		case m["refunded "+me]:
			return core.StatusOK, Nothing
		case m["returned"] && !m["refunded"]:
			m["refunded"], m["refunded "+me] = true, true
			return core.StatusOK, RefundedReturned
		}
		return core.StatusRedeemed, Nothing
	}
}

// TestCoinModel checks every transition against facts, and what must hold whatever
// happens: one issue, at most one credit outstanding, no way back to live.
func TestCoinModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Coin
		m := factModel{}
		credit, wasLive := 0, false
		var counts [RefundedReturned + 1]int
		for now := range rapid.IntRange(1, 40).Draw(t, "steps") {
			acc := rapid.ByteRange(0, 2).Draw(t, "account") // 0: the zero id is an id like any other
			digest := rapid.ByteRange(0, 1).Draw(t, "digest")
			op := rapid.SampledFrom([]string{"insert", "redeem", "redeem", "return", "refund"}).Draw(t, "op")
			before := c
			var s core.Status
			var e Event
			switch op {
			case "insert":
				s, e = c.Insert()
			case "redeem":
				s, e = c.Redeem(Account{acc}, core.Digest{digest}, int64(now))
			case "return":
				s, e = c.GiveBack(Account{acc}, core.Digest{digest})
			default:
				s, e = c.Refund(Account{acc}, int64(now))
			}
			wantStatus, wantEvent := m.expect(op, acc, digest)
			if s != wantStatus || e != wantEvent {
				t.Fatalf("%s by %d with %d gave %v and event %d, want %v and %d", op, acc, digest, s, e, wantStatus, wantEvent)
			}
			if (e == Nothing) != (c == before) {
				t.Fatalf("event %d, but the coin changed: %t", e, c != before)
			}
			counts[e]++
			switch e {
			case Credited, RefundedLive, RefundedReturned:
				credit++
			case GivenBack:
				credit--
			}
			if credit < 0 || credit > 1 {
				t.Fatalf("%d credits for one coin", credit)
			}
			if c.Phase == Live && wasLive && before.Phase != Live {
				t.Fatal("the coin came back to life")
			}
			wasLive = wasLive || c.Phase == Live
			isLive, held := counts[Issued]-counts[Credited]-counts[RefundedLive], counts[GivenBack]-counts[RefundedReturned]
			if (isLive == 1) != (c.Phase == Live) || (held == 1) != (c.Phase == Returned) {
				t.Fatalf("the events count %d live and %d returned, the coin is in phase %d", isLive, held, c.Phase)
			}
		}
	})
}
