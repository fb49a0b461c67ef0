package compare

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ecoin/loadgen/result"
	"ecoin/loadgen/resulttest"
)

// calm makes runs without faults, of other seeds each.
func calm(names string, o resulttest.Options) []Run {
	var runs []Run
	for i, name := range strings.Fields(names) {
		o := o
		o.Calm, o.Seed = true, o.Seed+uint64(i)
		runs = append(runs, Run{name, resulttest.Run(o)})
	}
	return runs
}

func mustCompare(t *testing.T, a, b []Run) *Comparison {
	t.Helper()
	c, err := runs(a, b, false, 400) // fewer draws, which suffice here
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Comparison) figure(name string) *Figure {
	for i := range c.Figures {
		if c.Figures[i].Name == name {
			return &c.Figures[i]
		}
	}
	panic("no figure " + name)
}

// TestEffects compares runs whose differences are known.
func TestEffects(t *testing.T) {
	a := calm("a1 a2 a3", resulttest.Options{Rate: 400})
	b := calm("b1 b2 b3", resulttest.Options{Rate: 400, Slow: 1.2, CPUUs: 7.2, Seed: 9})
	c := mustCompare(t, a, b)
	for _, want := range []struct {
		name    string
		verdict Verdict
		ratio   float64
	}{{"Rate, coins/s", NotShown, 1}, {"p50", Worse, 1.2}, {"p90", Worse, 1.2}, {"p99", Worse, 1.2}, {"Server CPU a coin", Better, .8}, {"Generator CPU a request", NotShown, 1}} {
		f := c.figure(want.name)
		if f.Verdict != want.verdict || math.Abs(f.Step-want.ratio) > .1 {
			t.Errorf("%s is %s, %v; want %s, about %v (%s)", f.Name, f.Verdict, f.Step, want.verdict, want.ratio, f.Interval())
		}
		if f.Why == "" && (f.Low > want.ratio*1.03 || f.High < want.ratio*.97 || f.High-f.Low > .2) {
			t.Errorf("%s: the interval is %s", f.Name, f.Interval())
		}
	}
	if f := c.figure("Errors"); f.Verdict != NotShown || f.Low != 0 || f.High != 0 || f.Change() != "+0 pp" {
		t.Errorf("errors: %+v", f)
	}
	if !c.Worse() {
		t.Error("nothing is worse")
	}
	turned := mustCompare(t, b, a)
	if turned.figure("p50").Verdict != Better || turned.figure("Server CPU a coin").Verdict != Worse {
		t.Error("turned around, better and worse are not")
	}
	if f, g := c.figure("p99"), turned.figure("p99"); math.Abs(f.Low*g.High-1) > .03 || math.Abs(f.High*g.Low-1) > .03 {
		t.Errorf("turned around, the interval %s is %s", f.Interval(), g.Interval())
	}
}

// TestSame compares runs with themselves: nothing may differ, and the same numbers come
// out each time.
func TestSame(t *testing.T) {
	a := []Run{{"a", resulttest.Run(resulttest.Options{Rate: 200})}}
	one, two := mustCompare(t, a, a), mustCompare(t, a, a)
	for i := range one.Figures {
		f := &one.Figures[i]
		if f.Verdict == Better || f.Verdict == Worse || f.A != f.B {
			t.Errorf("%s: %+v", f.Name, f)
		}
		if g := &two.Figures[i]; g.Low != f.Low || g.High != f.High {
			t.Errorf("%s: once %s, then %s", f.Name, f.Interval(), g.Interval())
		}
	}
	if one.Worse() {
		t.Error("a run is worse than itself")
	}
}

// neighbours makes a run of 60 seconds with 40 answers each, whose latency follows an
// autoregressive process: what a second shows depends on the one before.
func neighbours(random *rand.Rand, level float64) *result.Run {
	r := &result.Run{Took: 60, Kinds: []result.Kind{{Name: "redeem"}}}
	k, state := &r.Kinds[0], random.NormFloat64()
	for i := range 60 {
		state = .5*state + math.Sqrt(.75)*random.NormFloat64()
		s := result.Second{At: float64(i), Planned: 40, OK: 40, Coins: int64(40 * math.Exp(.1*state))}
		for range 40 {
			d := time.Duration(level * 1e6 * math.Exp(.2*state+.2*random.NormFloat64()))
			s.Response.Record(d)
			k.Response.Record(d)
		}
		k.Coins += s.Coins
		r.Seconds = append(r.Seconds, s)
	}
	k.Planned, k.Sent, k.OK = 2400, 2400, 2400
	return r
}

// TestIntervals counts how often the interval of two runs of the same process holds 1, which should
// be 95 of 100 times. Single seconds instead of blocks give about 84.
func TestIntervals(t *testing.T) {
	const rounds = 40
	random := rand.New(rand.NewPCG(1, 2))
	held := map[string]int{}
	for range rounds {
		c := mustCompare(t, []Run{{"a", neighbours(random, 1)}}, []Run{{"b", neighbours(random, 1)}})
		for _, name := range []string{"Rate, coins/s", "p50", "p90"} {
			f := c.figure(name)
			if f.Why != "" {
				t.Fatalf("%s: %s", name, f.Why)
			}
			if f.Verdict == NotShown {
				held[name]++
			}
		}
	}
	t.Logf("of %d: %v", rounds, held)
	for name, n := range held {
		if n < rounds*90/100 {
			t.Errorf("%s: %d of %d intervals hold what is true", name, n, rounds)
		}
	}
}

// TestFold checks that what comes after the last planned send is no time of its own.
func TestFold(t *testing.T) {
	r := &result.Run{Took: 2.5, Seconds: []result.Second{{At: 0, Planned: 4, Coins: 1}, {At: 1, Planned: 4, Coins: 2}, {At: 2, Planned: 2, Coins: 4},
		{At: 3, Coins: 8, Failed: 1}, {At: 4, Coins: 16, Refused: 1}}}
	got := fold(r)
	if len(got) != 3 || got[2].sums[sumCoins] != 28 || got[2].sums[sumBad] != 2 || got[1].sums[sumCoins] != 2 {
		t.Errorf("%+v", got)
	}
	r.Took = 9
	if got := fold(r); len(got) != 5 {
		t.Errorf("%d seconds of a run that went on, want 5", len(got))
	}
}

func TestNoInterval(t *testing.T) {
	long := func() []Run { return calm("x", resulttest.Options{Rate: 20}) }
	short := calm("x", resulttest.Options{Rate: 20, Seconds: 3})
	cut := long()
	cut[0].Seconds = cut[0].Seconds[:30]
	bare := long()
	bare[0].Server = nil
	hopeless := []Run{{"x", &result.Run{Setup: long()[0].Setup, Kinds: []result.Kind{{Name: "redeem"}}}}}
	for _, c := range []struct {
		name   string
		b      []Run
		figure string
		why    string
	}{
		{"short", short, "Rate, coins/s", "too few or lost seconds"},
		{"cut", cut, "p50", "too few or lost seconds"},
		{"few answers", long(), "p99.9", "too few answers"},
		{"one run", long(), "Generator CPU a request", "known by the run alone"},
		{"no server", bare, "Server CPU a coin", "not known on both sides"},
		{"no answer", hopeless, "p50", "not known on both sides"},
		{"no time", hopeless, "Rate, coins/s", "not known on both sides"},
	} {
		for _, sides := range [][2][]Run{{long(), c.b}, {c.b, long()}} {
			f := mustCompare(t, sides[0], sides[1]).figure(c.figure)
			if f.Why != c.why || f.Verdict != Unknown || f.Interval() != c.why {
				t.Errorf("%s: %s is %s because %q, want %q", c.name, f.Name, f.Verdict, f.Why, c.why)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	base := func() *result.Run { return resulttest.Run(resulttest.Options{Seconds: 12, Rate: 10}) }
	for _, c := range []struct {
		change func(*result.Run)
		why    string
	}{
		{func(r *result.Run) { r.Setup.Workload = "withdraw" }, `workload of A1 and B2 differ: "redeem" and "withdraw"`},
		{func(r *result.Run) { r.Setup.Model = "closed" }, `model of A1 and B2 differ`},
		{func(r *result.Run) { r.Setup.Batch = 9 }, `coins a request of A1 and B2 differ: "8" and "9"`},
		{func(r *result.Run) { r.Kinds[0].Name = "refund" }, `kinds of request of A1 and B2 differ`},
	} {
		other := base()
		c.change(other)
		a, b := []Run{{"a", base()}}, []Run{{"b", base()}, {"c", other}}
		if _, err := Runs(a, b, false); err == nil || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%v, want %s", err, c.why)
		}
		forced, err := Runs(a, b, true)
		if err != nil || !strings.Contains(strings.Join(forced.Notes, "\n"), c.why) {
			t.Errorf("forced: %v", err)
		}
	}
	if _, err := Runs(nil, []Run{{"a", base()}}, true); err == nil {
		t.Error("nothing was compared")
	}
}

func TestNotes(t *testing.T) {
	a, b := calm("a", resulttest.Options{Seconds: 12, Rate: 10}), calm("b c", resulttest.Options{Seconds: 12, Rate: 10})
	b[1].Invalid = []string{"the generator was slow"}
	b[0].Audit.OK = false
	b[0].Machine, b[0].Setup.Suite, b[0].Setup.Conns, b[0].Setup.Fleet, b[0].Setup.Rate = "another", "xwing", 1, 1, 1
	notes := strings.Join(mustCompare(t, a, b).Notes, "\n")
	for _, part := range []string{"B2 was INVALID: the generator was slow", "B1 failed its audit", "planned rates differ", "suites differ", "connections differ",
		"identities differ", "machines differ", "With one run on a side"} {
		if !strings.Contains(notes, part) {
			t.Errorf("no %q in\n%s", part, notes)
		}
	}
	if notes := mustCompare(t, b, b).Notes; !strings.Contains(notes[len(notes)-1], "fewer than five") {
		t.Errorf("notes: %q", notes)
	}
}

func TestText(t *testing.T) {
	a, b := calm("a.json", resulttest.Options{Rate: 100}), calm("b\x1b[2J.json", resulttest.Options{Rate: 100, Slow: 2, Seed: 3})
	var out bytes.Buffer
	if err := mustCompare(t, a, b).Text(&out, false); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(line) > 101 {
			t.Errorf("too long: %s", line)
		}
	}
	for _, part := range []string{"B against A: ", "p50 ", " worse\n", "known by the run alone", "no difference shown"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in\n%s", part, &out)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a control character came through")
	}
}
