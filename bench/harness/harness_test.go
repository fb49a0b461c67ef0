package harness

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// fakeMeter is a machine whose clock the measurements move.
type fakeMeter struct{ others, stolen, all time.Duration }

func (m *fakeMeter) Usage() (others, stolen, all time.Duration, err error) {
	m.all += time.Nanosecond // time goes on by itself
	return m.others, m.stolen, m.all, nil
}

func (m *fakeMeter) Load() float64 { return 0.5 }

// spend lets a second pass, of which others take a share and the hypervisor another.
func (m *fakeMeter) spend(others, stolen float64) {
	m.all += time.Second
	m.others += time.Duration(others * 1e9)
	m.stolen += time.Duration(stolen * 1e9)
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		name string
		v    []float64
		want Spread
	}{
		{"none", nil, Spread{}},
		{"one", []float64{3}, Spread{3, 3, 3}},
		{"odd", []float64{9, 1, 2}, Spread{2, 1, 9}},
		{"even: (2+3)/2", []float64{3, 1, 2, 10}, Spread{2.5, 1, 10}},
	} {
		if got := SpreadOf(c.v); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	v := []float64{2, 1}
	if SpreadOf(v); v[0] != 2 {
		t.Error("it sorted what it was given")
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		name         string
		ours, theirs []float64
		more         bool
		want         Spread
	}{
		{"more is better: 6/2, 8/2, 9/1", []float64{6, 8, 9}, []float64{2, 2, 1}, true, Spread{4, 3, 9}},
		{"less is better: 2/4, 2/1", []float64{4, 1}, []float64{2, 2}, false, Spread{1.25, 0.5, 2}},
		{"one says nothing", []float64{0}, []float64{2}, false, Spread{}},
		{"a round is missing", []float64{6}, []float64{2, 2}, true, Spread{3, 3, 3}},
	} {
		if got := Ratio(c.ours, c.theirs, c.more); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "1,234,568": 1234567.8, "123": 123.4, "999": 999, "1,000": 1000, "12.3": 12.34, "1.23": 1.234, "0.123": 0.1234, "0.00123": 0.001234, "-1,234": -1234,
	} {
		if got := Number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestOrderRotates(t *testing.T) {
	var order string
	m := &fakeMeter{}
	q := &Question{Name: "q"}
	for _, name := range []string{"a", "b", "c"} {
		q.Contenders = append(q.Contenders, Contender{Name: name, Measure: func(context.Context) (Figures, error) {
			order += name
			return Figures{"x": float64(len(order))}, nil
		}})
	}
	a, err := (&Runner{Rounds: 4, Limit: 0.1, Meter: m, Log: io.Discard}).Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if order != "abcbcacababc" {
		t.Errorf("the order was %s", order)
	}
	if got := a.row("b").figures("x"); len(got) != 4 || got[0] != 2 || got[1] != 4 || got[2] != 9 {
		t.Errorf("b has %v", got)
	}
}

func TestRepeats(t *testing.T) {
	for _, c := range []struct {
		name    string
		others  []float64 // of one try after the other
		stolen  float64
		until   time.Time
		tries   int
		best    float64 // the figure that counts is the number of its try
		repeats int
		busy    bool
	}{
		{"quiet", []float64{0.05}, 0, time.Time{}, 1, 1, 0, false},
		{"busy once", []float64{0.5, 0.01}, 0, time.Time{}, 2, 2, 1, false},
		{"always busy", []float64{0.5, 0.2, 0.3}, 0, time.Time{}, 3, 2, 2, true},
		{"stolen", []float64{0, 0, 0}, 0.4, time.Time{}, 3, 1, 2, true},
		{"busy, and no time left", []float64{0.5, 0}, 0, time.Unix(1, 0), 1, 1, 0, true},
		{"busy, and time left", []float64{0.5, 0}, 0, time.Now().Add(time.Hour), 2, 2, 1, false},
	} {
		m, try := &fakeMeter{}, 0
		q := &Question{Name: "q", Contenders: []Contender{{Name: "a", Measure: func(context.Context) (Figures, error) {
			m.spend(c.others[try], c.stolen)
			try++
			return Figures{"x": float64(try)}, nil
		}}}}
		a, err := (&Runner{Rounds: 1, Limit: 0.1, Repeats: 2, Until: c.until, Meter: m, Log: io.Discard}).Ask(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got := a.Rows[0].Rounds[0]
		if try != c.tries || got.Figures["x"] != c.best || got.Repeats != c.repeats || got.Busy != c.busy || got.Load != 0.5 {
			t.Errorf("%s: %d tries, %+v", c.name, try, got)
		}
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("no disk")
	q := &Question{Name: "q", Contenders: []Contender{{Name: "a", Measure: func(context.Context) (Figures, error) { return nil, broken }}}}
	r := &Runner{Rounds: 1, Meter: &fakeMeter{}, Log: io.Discard}
	if _, err := r.Ask(t.Context(), q); !errors.Is(err, broken) || !strings.Contains(err.Error(), "q, a: ") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Look = time.Hour
	if _, err := r.Ask(ctx, q); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestPrint(t *testing.T) {
	rounds := func(v ...float64) (out []Measurement) {
		for _, x := range v {
			out = append(out, Measurement{Figures: Figures{"rate": x, "cpu": 10}, Load: 1, Others: 0.02})
		}
		return out
	}
	a := &Answer{
		Title: "Ledgers", Text: "What is it?", Limits: "everything else", Skipped: []string{"Redis: apt-get install redis-server"}, Seconds: 61.2, Where: "here, today",
		Columns: []Column{{"rate", "coins/s", true}, {"cpu", "us", false}, {"none", "none", false}},
		Rows: []Row{
			{Name: "ours", Note: "the ledger", Rounds: rounds(4000, 5000, 6000)},
			{Name: "slow", Against: []string{"ours"}, Rounds: rounds(1000, 1000, 1000)},
			{Name: "fast", Against: []string{"ours"}, Rounds: rounds(40_000, 50_000, 60_000)},
		},
	}
	a.Rows[1].Rounds[2].Busy, a.Rows[1].Rounds[2].Repeats = true, 2
	var b strings.Builder
	a.Print(&b)
	want := `### Ledgers
What is it?

| figure | peer | peer's | ours | ratio | spread | |
|---|---|---|---|---|---|---|
| coins/s | slow | 1,000 | 5,000 [4,000..6,000] | 5.00 | 4.00..6.00 |  |
| coins/s | fast | 50,000 [40,000..60,000] | 5,000 [4,000..6,000] | 0.100 | 0.100..0.100 | **the peer wins** |
| us | slow | 10.0 | 10.0 | 1.00 | 1.00..1.00 | no difference shown |
| us | fast | 10.0 | 10.0 | 1.00 | 1.00..1.00 | no difference shown |

- *ours*: the ledger
- Not measured: Redis: apt-get install redis-server
- Not shown: everything else
- 3 rounds in 61 s; load average before a measurement 1.00; other processes took 2.00 % of the processors, the hypervisor 0 %; 2 measurements repeated, 1 of 9 disturbed all the same
- here, today

`
	if b.String() != want {
		t.Errorf("it prints:\n%s", b.String())
	}
	b.Reset()
	a.Headline = "rate"
	Headlines(&b, []*Answer{a, {Title: "no headline"}})
	want = `| question | figure | peer | ours | times better | spread |
|---|---|---|---|---|---|
| Ledgers | coins/s | slow | ours | **5.00** | 4.00..6.00 |
| Ledgers | coins/s | fast | ours | **0.100** | 0.100..0.100 |

`
	if b.String() != want {
		t.Errorf("the headlines:\n%s", b.String())
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var again Answer
	if err := json.Unmarshal(text, &again); err != nil || again.Rows[2].Rounds[1].Figures["rate"] != 50_000 {
		t.Errorf("%v: %s", err, text)
	}
}

// The plot has each peer's name, and nothing where nothing was measured.
func TestPlot(t *testing.T) {
	a := &Answer{Title: "Speed", Headline: "ns", Columns: []Column{{Key: "ns", Head: "ns"}}, Rows: []Row{
		{Name: "ours", Rounds: []Measurement{{Figures: Figures{"ns": 10}}, {Figures: Figures{"ns": 20}}}},
		{Name: "a peer", Against: []string{"ours"}, Rounds: []Measurement{{Figures: Figures{"ns": 40}}, {Figures: Figures{"ns": 60}}}},
	}}
	svg, err := Plot([]*Answer{a})
	if err != nil || !strings.Contains(string(svg), "Speed: a peer") || !strings.HasPrefix(string(svg), "<?xml") {
		t.Errorf("a plot of one peer: %v\n%s", err, svg)
	}
	if svg, err := Plot(nil); err != nil || svg != nil {
		t.Errorf("a plot of nothing: %v", err)
	}
}
