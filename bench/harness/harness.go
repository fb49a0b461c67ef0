// Package harness measures ours and peers in turn, so that whatever else happens on the
// machine happens to all of them. A [Question] has contenders; [Runner.Ask] measures each
// once a round, in an order that rotates, repeats what other processes disturbed, and
// returns an [Answer] that prints as a table of medians, ratios and spreads.
package harness

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Figures are what one measurement showed, by the key of a [Column].
type Figures map[string]float64

// Column is one kind of figure.
type Column struct {
	Key          string `json:"key"`
	Head         string `json:"head"` // with its unit
	MoreIsBetter bool   `json:"more_is_better"`
}

// Contender is one that is measured.
type Contender struct {
	Name    string
	Note    string   // what it is and does, for under the table
	Against []string // the contenders of ours that it is compared with; none for ours
	Measure func(ctx context.Context) (Figures, error)
}

// Question is something to be compared.
type Question struct {
	Name       string // one word
	Title      string
	Text       string // what is measured and how, a paragraph
	Limits     string // what it does not show
	Columns    []Column
	Headline   string // the key of the column that says most
	Contenders []Contender
	Skipped    []string // peers that are not here, and how to get them
}

// Measurement is what one contender showed in one round.
type Measurement struct {
	Figures Figures `json:"figures"`
	Load    float64 `json:"load_average"` // of the last minute, before
	Before  float64 `json:"others_before"`
	Others  float64 `json:"others"` // share of all processors that processes not ours took meanwhile, 0 to 1
	Stolen  float64 `json:"stolen"` // and the hypervisor
	Repeats int     `json:"repeats"`
	Busy    bool    `json:"busy"` // it was disturbed each time; this was the least
}

// Row is a contender with its rounds.
type Row struct {
	Name    string        `json:"name"`
	Note    string        `json:"note"`
	Against []string      `json:"against,omitempty"`
	Rounds  []Measurement `json:"rounds"`
}

// Answer is what a question's rounds showed.
type Answer struct {
	Name     string   `json:"name"`
	Where    string   `json:"where"` // machine, date, commit, command
	Title    string   `json:"title"`
	Text     string   `json:"text"`
	Limits   string   `json:"limits"`
	Columns  []Column `json:"columns"`
	Headline string   `json:"headline"`
	Rows     []Row    `json:"rows"`
	Skipped  []string `json:"skipped"`
	Seconds  float64  `json:"took_s"`
}

// Meter tells what the machine's processors do. [NewMeter] returns the real one.
type Meter interface {
	// Usage returns CPU time since some moment: of processes that are not ours, what the
	// hypervisor took, and what all processors could have given.
	Usage() (others, stolen, all time.Duration, err error)
	Load() float64
}

// Runner asks questions.
type Runner struct {
	Rounds  int           // of each question, at least 1
	Limit   float64       // share of others, or stolen, from which on a measurement is repeated
	Repeats int           // at most, of one measurement
	Until   time.Time     // nothing is repeated after that; zero for no end
	Look    time.Duration // how long it looks at the machine before each measurement
	Meter   Meter
	Log     io.Writer // progress, a line a measurement
}

// Ask measures all contenders of q. The first error of a contender ends it.
func (r *Runner) Ask(ctx context.Context, q *Question) (*Answer, error) {
	start := time.Now()
	a := &Answer{Name: q.Name, Title: q.Title, Text: q.Text, Limits: q.Limits, Columns: q.Columns, Headline: q.Headline, Skipped: q.Skipped}
	for _, c := range q.Contenders {
		a.Rows = append(a.Rows, Row{Name: c.Name, Note: c.Note, Against: c.Against})
	}
	for round := range r.Rounds {
		for i := range q.Contenders {
			k := (i + round) % len(q.Contenders)
			m, err := r.measure(ctx, &q.Contenders[k])
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", q.Name, q.Contenders[k].Name, err)
			}
			a.Rows[k].Rounds = append(a.Rows[k].Rounds, m)
			fmt.Fprintf(r.Log, "%s %d/%d %s:%s\n", q.Name, round+1, r.Rounds, q.Contenders[k].Name, m.line(q.Columns))
		}
	}
	a.Seconds = time.Since(start).Seconds()
	return a, nil
}

// measure measures once, or again when the machine was busy with something else, and
// returns the least disturbed.
func (r *Runner) measure(ctx context.Context, c *Contender) (best Measurement, err error) {
	for try := 0; ; try++ {
		m := Measurement{Load: r.Meter.Load()}
		if m.Before, _, err = r.shares(func() error { return pause(ctx, r.Look) }); err != nil {
			return m, err
		}
		m.Others, m.Stolen, err = r.shares(func() error {
			m.Figures, err = c.Measure(ctx)
			return err
		})
		if err != nil {
			return m, err
		}
		if try == 0 || max(m.Others, m.Stolen) < max(best.Others, best.Stolen) {
			best = m
		}
		best.Repeats, best.Busy = try, max(best.Others, best.Stolen) > r.Limit
		if !best.Busy || try == r.Repeats || !r.Until.IsZero() && time.Now().After(r.Until) {
			return best, nil
		}
	}
}

// shares runs f and returns which share of the processors' time others and the hypervisor
// took meanwhile.
func (r *Runner) shares(f func() error) (others, stolen float64, err error) {
	o0, s0, a0, err := r.Meter.Usage()
	if err != nil {
		return 0, 0, err
	}
	if err := f(); err != nil {
		return 0, 0, err
	}
	o1, s1, a1, err := r.Meter.Usage()
	if err != nil || a1 <= a0 {
		return 0, 0, err
	}
	share := func(d time.Duration) float64 { return max(0, float64(d)/float64(a1-a0)) }
	return share(o1 - o0), share(s1 - s0), nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
