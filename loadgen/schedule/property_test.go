package schedule

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawn is a schedule with the integral of its rate over a run, by the formula that a
// person would use.
type drawn struct {
	text    string
	of      time.Duration
	planned float64
	jumps   float64 // how often the rate jumps, at most
}

// draw draws a schedule and a run of some thousand sends at most.
func draw(t *rapid.T, forms ...form) drawn {
	d := drawn{of: time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(3*time.Hour)).Draw(t, "of"))}
	length := d.of.Seconds()
	high := min(maxRate, 1000/length)
	rate := rapid.Custom(func(t *rapid.T) float64 {
		if rapid.IntRange(0, 4).Draw(t, "none") == 0 {
			return 0
		}
		return rapid.Float64Range(0, high).Draw(t, "rate")
	})
	switch f := rapid.SampledFrom(forms).Draw(t, "form"); f {
	case constant, poisson:
		r := rapid.Float64Range(high/1000, high).Draw(t, "rate")
		d.text, d.planned = fmt.Sprintf("%s:%v", f, r), r*length
	case ramp:
		a, b := rate.Draw(t, "from"), rapid.Float64Range(high/1000, high).Draw(t, "to")
		if rapid.Bool().Draw(t, "down") {
			a, b = b, a
		}
		d.text, d.planned = fmt.Sprintf("ramp:%v..%v", a, b), (a+b)/2*length
	case sine:
		mean := rapid.Float64Range(high/1000, high/2).Draw(t, "mean")
		part := rapid.SampledFrom([]float64{0, .1, .9, .999999, 1}).Draw(t, "part")
		period := time.Duration(rapid.Int64Range(int64(d.of)/100+int64(time.Millisecond), 3*int64(d.of)+int64(time.Millisecond)).Draw(t, "period"))
		d.text = fmt.Sprintf("sine:%v+-%v/%v", mean, mean*part, period)
		d.planned = mean*length + mean*part*period.Seconds()/(2*math.Pi)*(1-math.Cos(2*math.Pi*length/period.Seconds()))
	case step:
		rates := append(rapid.SliceOfN(rate, 0, 8).Draw(t, "rates"), high)
		own := rapid.Bool().Draw(t, "own")
		steps := make([]string, len(rates))
		until := 0.0
		for i, r := range rates {
			steps[i] = fmt.Sprint(r)
			takes := length / float64(len(rates))
			if own {
				l := time.Duration(rapid.Int64Range(1, int64(d.of)).Draw(t, "length"))
				steps[i] += "x" + l.String()
				takes = l.Seconds()
			}
			d.planned += r * max(0, min(until+takes, length)-until)
			until += takes
		}
		d.text, d.jumps = "step:"+strings.Join(steps, ","), float64(len(rates))
	case trace:
		n := rapid.IntRange(1, 12).Draw(t, "rows")
		rows := make([]string, n)
		at, before, takes := 0.0, 0.0, length
		r := 0.0
		for i := range rows {
			next := at + rapid.Float64Range(length/1000, length/4).Draw(t, "row")
			if i > 0 {
				takes = next - at
			}
			before, at = at, next
			d.planned += r * max(0, min(at, length)-before)
			r = rate.Draw(t, "rate") + high/1000
			rows[i] = fmt.Sprintf("%v,%v", at, r)
		}
		d.planned += r * max(0, min(at+takes, length)-at)
		d.text, d.jumps = "trace:"+strings.Join(rows, "\n"), float64(n+1)
	}
	return d
}

var forms = []form{constant, poisson, ramp, step, sine, trace}

// TestSendsFollowTheRate compares the moments with the sum of the rate at 20,000 moments, and
// their number with the formula.
func TestSendsFollowTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, constant, ramp, step, sine, trace)
		s, err := parse(d.text, func(rows string) ([]row, error) { return parseTrace([]byte(rows)) })
		if err != nil {
			t.Fatal(err)
		}
		list := all(s.Sends(d.of, 0, 0, 1))
		if n := float64(len(list)); int64(len(list)) != s.Total(d.of) || n < d.planned-1e-6 || n > d.planned+1 {
			t.Fatalf("%d sends, Total says %d, the integral is %v", len(list), s.Total(d.of), d.planned)
		}
		for i, at := range list {
			if at < 0 || at >= d.of || i > 0 && at <= list[i-1] {
				t.Fatalf("send %d at %v of %v, after one at %v", i, at, d.of, list[max(0, i-1)])
			}
		}
		const points = 20_000
		sum, tick, sent := 0.0, float64(d.of)/points, 0
		most := s.peak() * d.of.Seconds() / points // of one tick
		for i := range points {
			sum += s.Rate(time.Duration((float64(i)+.5)*tick), d.of) * tick / 1e9
			for sent < len(list) && float64(list[sent]) < float64(i+1)*tick {
				sent++
			}
			if over := float64(sent) - sum; over < -1e-3-most*(d.jumps+1) || over > 1+1e-3+most*(d.jumps+1) {
				t.Fatalf("%d sends after %v, the rate makes %v", sent, time.Duration(float64(i+1)*tick), sum)
			}
		}
	})
}

func TestWorkersShareTheSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, forms...)
		s, err := parse(d.text, func(rows string) ([]row, error) { return parseTrace([]byte(rows)) })
		if err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		whole := all(s.Sends(d.of, seed, 0, 1))
		if s.form == poisson && (!slices.IsSorted(whole) || len(whole) > 0 && (whole[0] < 0 || whole[len(whole)-1] >= d.of)) {
			t.Fatalf("of %v: %v", d.of, whole)
		}
		workers := rapid.IntRange(1, 9).Draw(t, "workers")
		for w := range workers {
			var want []time.Duration
			for i := w; i < len(whole); i += workers {
				want = append(want, whole[i])
			}
			sends := s.Sends(d.of, seed, w, workers)
			if got := all(sends); !slices.Equal(got, want) {
				t.Fatalf("worker %d of %d: %v, want %v", w, workers, got, want)
			}
			if at, ok := sends.Next(); ok {
				t.Fatalf("worker %d of %d: %v after the end", w, workers, at)
			}
		}
	})
}

func TestScaledAndReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, forms...)
		read := func(rows string) ([]row, error) { return parseTrace([]byte(rows)) }
		s, err := parse(d.text, read)
		if err != nil {
			t.Fatal(err)
		}
		f := rapid.Float64Range(1e-3, 1).Draw(t, "factor")
		scaled := s.Scale(f)
		again, err := parse(scaled.String(), read)
		if err != nil || !reflect.DeepEqual(scaled, again) {
			t.Fatalf("%v is read as %v (%v)", scaled, again, err)
		}
		if got := scaled.planned(d.of); math.Abs(got-f*d.planned) > 1e-6 {
			t.Fatalf("%v sends times %v: %v", d.planned, f, got)
		}
		at := time.Duration(rapid.Int64Range(0, int64(d.of)-1).Draw(t, "at"))
		if a, b := s.Rate(at, d.of), scaled.Rate(at, d.of); math.Abs(b-f*a) > 1e-9*s.peak() {
			t.Fatalf("a rate of %v times %v: %v", a, f, b)
		}
	})
}
