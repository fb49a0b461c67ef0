package loadgen

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ecoin/internal/wire"
)

var allKinds = []Weight{{Redeem, 3}, {Withdraw, 1}, {Refund, 1}}

func TestAnHonestBankPassesTheAudit(t *testing.T) {
	b := newFakeBank(t)
	run := runJob(t, b, job(allKinds...))
	a := run.Audit
	if !a.OK || len(a.Problems) > 0 {
		t.Fatalf("problems: %q", a.Problems)
	}
	if len(run.Errors) > 0 {
		t.Errorf("errors: %+v", run.Errors)
	}
	if got := int64(len(b.coins)); a.Issued != got || a.Live+a.Redeemed+a.Refunded != got {
		t.Errorf("%d coins at the bank; the audit knows %+v", got, a)
	}
	var paid int64
	for _, n := range b.paid {
		paid += n
	}
	if a.Redeemed != paid || paid == 0 {
		t.Errorf("%d redeemed, %d paid", a.Redeemed, paid)
	}
	if a.DoubleSpends == 0 || a.DoubleSpends != a.DoubleSpendsRefused || a.Retries == 0 || a.Retries != a.RetriesSame || a.BadHeaders == 0 || a.BadHeaders != a.BadHeadersRefused {
		t.Errorf("tricks: %+v", a)
	}
	total := run.Total()
	if total.Planned != 300 || total.OK != 300 || len(run.Kinds) != 3 || run.Kinds[0].Planned != 180 {
		t.Errorf("requests: %+v", run.Kinds)
	}
}

// TestALyingBankFailsTheAudit has one lie after the other found out.
func TestALyingBankFailsTheAudit(t *testing.T) {
	for name, c := range map[string]struct {
		lie  fakeLie
		find string
		mix  []Weight
	}{
		"pays twice":                  {fakeLie{doubleSpend: true}, "should be answered already redeemed was answered", nil},
		"loses coins it issued":       {fakeLie{forgets: true}, "refund was answered", []Weight{{Withdraw, 1}}},
		"does not pay":                {fakeLie{unpaid: true}, "the analysts were paid", nil},
		"issues a coin twice":         {fakeLie{repeats: true}, "issued that had been issued before", []Weight{{Withdraw, 1}}},
		"credits a refund twice":      {fakeLie{refundsTwice: true}, "the collectors were refunded", []Weight{{Refund, 1}}},
		"debits a withdrawal twice":   {fakeLie{chargesTwice: true}, "the collectors were charged", []Weight{{Withdraw, 1}}},
		"opens what does not open":    {fakeLie{opensAll: true}, "should be answered header does not open was answered", nil},
		"forgets what it answered":    {fakeLie{forgetsRetry: true}, "should be answered redeemed before by the caller was answered", nil},
		"refunds redeemed coins":      {fakeLie{refundsAll: true}, "a redeemed coin: its refund was answered", nil},
		"gives another coin":          {fakeLie{anotherCoin: true}, "neither live nor redeemed nor refunded", nil},
		"loses coins that it redeems": {fakeLie{forgets: true}, "neither live nor redeemed nor refunded", []Weight{{Redeem, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFakeBank(t)
			b.lie = c.lie
			if c.mix == nil {
				c.mix = allKinds
			}
			a := runJob(t, b, job(c.mix...)).Audit
			if a.OK || !strings.Contains(strings.Join(a.Problems, "\n"), c.find) {
				t.Errorf("the audit found %q, want %q", a.Problems, c.find)
			}
		})
	}
}

// TestLostRequestsAndAnswersAreSettled loses a tenth of everything on the way.
func TestLostRequestsAndAnswersAreSettled(t *testing.T) {
	b := newFakeBank(t)
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	b.lose = func(path string, _ bool) bool {
		mu.Lock()
		defer mu.Unlock()
		return path != wire.PathKeys && path != wire.PathAccount && random.IntN(20) == 0
	}
	run := runJob(t, b, job(allKinds...))
	a := run.Audit
	if !a.OK {
		t.Fatalf("problems: %q", a.Problems)
	}
	if a.Unanswered == 0 || a.Unanswered != a.UnansweredSettled {
		t.Errorf("%d coins unanswered, %d settled", a.Unanswered, a.UnansweredSettled)
	}
	if total := run.Total(); total.Failed == 0 || total.OK+total.Failed != total.Planned {
		t.Errorf("requests: %+v", total)
	}
	if len(run.Errors) == 0 || run.Errors[0].Reason != "the connection was closed" {
		t.Errorf("errors: %+v", run.Errors)
	}
}

// TestOtherCoinsForTheSameKey: the first answer is lost, the second is another.
func TestOtherCoinsForTheSameKey(t *testing.T) {
	b := newFakeBank(t)
	b.lie.again = true
	var lost atomic.Bool
	b.lose = func(path string, after bool) bool {
		return path == wire.PathWithdraw && after && lost.CompareAndSwap(false, true)
	}
	j := job(Weight{Withdraw, 1})
	j.Conns = 1
	// Both sets are live coins; that the account was charged for both shows it.
	a := runJob(t, b, j).Audit
	if a.OK || !strings.Contains(strings.Join(a.Problems, "\n"), "the collectors were charged for") || a.Issued+4 != int64(len(b.coins)) {
		t.Errorf("%+v, %d coins at the bank", a, len(b.coins))
	}
}

// TestAStormReconnects drops every idle connection in a pause of a load: their clients connect
// again and resume their sessions, and nothing is lost. That it is all of them, [fleet.Pool]'s own test shows:
// here a slow machine may still be answering at the storm.
func TestAStormReconnects(t *testing.T) {
	b := newFakeBank(t)
	j := job(Weight{Withdraw, 1})
	j.Schedule, j.Storm, j.Conns = "step:100x300ms,0x500ms,100x200ms", []float64{0.7}, 4
	run := runJob(t, b, j)
	if g := run.Generator; !run.Audit.OK || len(run.Errors) > 0 || g.Resumed == 0 || g.Connects <= g.Resumed || g.Connect.Count() != g.Connects {
		t.Errorf("%d connects, %d of them resumed, %d timed; errors %+v, audit %+v", g.Connects, g.Resumed, g.Connect.Count(), run.Errors, run.Audit)
	}
}
