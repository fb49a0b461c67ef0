package loadgen

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ecoin/loadgen/result"
)

// server is a pretended one, for searches: rates up to holds are answered in a millisecond,
// up to sent by a generator that keeps up.
type pretended struct {
	holds, sent, coins float64
	flaky              int // every flaky-th run fails whatever the rate
	runs               []float64
	breach             bool
}

func (p *pretended) run(rate float64) (*result.Run, error) {
	if p.coins > 0 && rate > p.coins {
		return nil, fmt.Errorf("%w: too many", errTooManyCoins)
	}
	p.runs = append(p.runs, rate)
	r := &result.Run{Took: 10, Setup: result.Setup{Batch: 2, Model: "open"}, Kinds: []result.Kind{{Name: "redeem", Planned: 100, Sent: 100, OK: 100}}, Audit: &result.Audit{OK: !p.breach}}
	took := time.Millisecond
	if rate > p.holds || p.flaky > 0 && len(p.runs)%p.flaky == 0 {
		took = time.Second
	}
	for range 100 {
		r.Kinds[0].Response.Record(took)
	}
	if p.sent > 0 && rate > p.sent {
		r.Invalid = []string{"late"}
	}
	return r, nil
}

func searchFor(t *testing.T, p *pretended, change func(*SearchOptions)) (*Search, error) {
	t.Helper()
	o := SearchOptions{
		Load: Load{Job: Job{Schedule: "constant:100"}}, Step: 10 * time.Second, Repeats: 1, Precision: 0.05, What: "p99<=10ms",
		Holds: func(r *result.Run) bool { k := r.Total(); return k.Response.Quantile(.99) <= 10*time.Millisecond },
	}
	if change != nil {
		change(&o)
	}
	return search(o, p.run)
}

func TestSearchFindsTheKnee(t *testing.T) {
	for _, c := range []struct {
		name  string
		holds float64
	}{{"above the first rate", 1234}, {"below it", 7.5}, {"at it", 100}} {
		found, err := searchFor(t, &pretended{holds: c.holds}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if found.Highest > c.holds || found.Failing <= c.holds || found.Failing-found.Highest > 0.05*found.Highest || found.Generator {
			t.Errorf("%s: between %v and %v, want %v", c.name, found.Highest, found.Failing, c.holds)
		}
	}
}

func TestSearchByMajority(t *testing.T) {
	p := &pretended{holds: 400, flaky: 4}
	found, err := searchFor(t, p, func(o *SearchOptions) { o.Repeats = 3 })
	if err != nil || found.Highest < 380 || found.Highest > 400 {
		t.Errorf("%v, %+v", err, found)
	}
}

func TestSearchLooksBeyond(t *testing.T) {
	p := &pretended{holds: 400}
	found, err := searchFor(t, p, func(o *SearchOptions) { o.Beyond = []float64{1.25, 2} })
	if err != nil {
		t.Fatal(err)
	}
	last := found.Steps[len(found.Steps)-2:]
	if !last[0].Beyond || last[0].Rate != 1.25*found.Highest || last[1].Rate != 2*found.Highest || last[1].Holds || last[1].Offered != 4*found.Highest {
		t.Errorf("%+v", last)
	}
}

func TestSearchSaysThatTheGeneratorWasTheLimit(t *testing.T) {
	// 100 holds, 200 cannot be sent, 150 holds: what the server could do with more is not known.
	found, err := searchFor(t, &pretended{holds: 1000, sent: 160}, nil)
	if err != nil || !found.Generator || found.Highest > 160 {
		t.Errorf("%v, %+v", err, found)
	}
	// 200 cannot be sent, but at 150 it is the server that fails.
	found, err = searchFor(t, &pretended{holds: 120, sent: 160}, nil)
	if err != nil || found.Generator || found.Highest > 120 {
		t.Errorf("%v, %+v", err, found)
	}
}

func TestSearchEnds(t *testing.T) {
	found, err := searchFor(t, &pretended{holds: 1e9, coins: 500}, func(o *SearchOptions) { o.Beyond = []float64{2} })
	if err != nil || found.Highest != 400 || found.Failing != 0 || found.Ended == "" {
		t.Errorf("%v, %+v", err, found)
	}
	if _, err := searchFor(t, &pretended{holds: 1e9, coins: 50}, nil); !errors.Is(err, errTooManyCoins) {
		t.Errorf("the first rate takes too many coins: %v", err)
	}
	found, err = searchFor(t, &pretended{holds: 0}, nil)
	if err != nil || found.Highest != 0 || found.Failing <= 0 {
		t.Errorf("%v, %+v", err, found)
	}
	if _, err := searchFor(t, &pretended{holds: 1e9, breach: true}, nil); err == nil {
		t.Error("a search goes on although the audit found something")
	}
}
