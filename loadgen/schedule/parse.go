package schedule

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Parse reads a schedule. Rates are sends a second, from 0 to 1e7; lengths are written as
// Go writes them ("90s", "1h30m").
//
//	5000, constant:5000      5000 sends a second, evenly spaced
//	poisson:5000             exponential gaps with that mean rate: the sum of many independent senders
//	ramp:100..5000           linear, from the first to the second rate over the run
//	step:1000,2000,4000      equal steps over the run
//	step:1000x10s,2000x20s   steps with lengths of their own; nothing is sent after the last
//	sine:5000+-2000/60s      mean, amplitude and period; it starts at the mean and rises
//	trace:FILE.csv           rates from a file of rows "seconds,rate", see below
//	trace:0.5*FILE.csv       the same, rates times 0.5
//
// A row of a trace says the rate from its moment on. More columns, one header line, empty
// lines and lines that begin with # are skipped. The last row lasts as long as the one before it,
// an only row to the end of the run; after it nothing is sent. A file has at most 10 MB.
func Parse(text string) (*Spec, error) {
	s, err := parse(text, readTrace)
	if err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	return s, nil
}

// parse takes the reader of a trace's file as an argument, for tests that have no file.
func parse(text string, read func(file string) ([]row, error)) (*Spec, error) {
	name, rest, found := strings.Cut(text, ":")
	if !found {
		name, rest = string(constant), text
	}
	s := &Spec{form: form(name)}
	var err error
	switch s.form {
	case constant, poisson:
		err = s.parseRates(rest)
	case ramp:
		from, to, found := strings.Cut(rest, "..")
		if !found {
			return nil, fmt.Errorf("%q: want ramp:FROM..TO, for example ramp:100..5000", text)
		}
		err = s.parseRates(from, to)
	case step:
		err = s.parseSteps(rest)
	case sine:
		err = s.parseSine(rest)
	case trace:
		err = s.parseTrace(rest, read)
	default:
		err = errors.New("no such schedule; there are constant:RATE, poisson:RATE, ramp:FROM..TO, step:RATE,RATE, sine:MEAN+-AMPLITUDE/PERIOD, trace:FILE")
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	if high := s.peak(); high < minPeak*(1-slack) {
		return nil, fmt.Errorf("%q: sends nothing; some rate must be more than 0", text)
	} else if high > maxRate*(1+slack) {
		return nil, fmt.Errorf("%q: a rate of %g sends a second; at most %g", text, high, maxRate)
	}
	return s, nil
}

// String returns the schedule as [Parse] reads it. Of a trace that is its file's name, not
// its rows.
func (s *Spec) String() string {
	switch s.form {
	case ramp:
		return fmt.Sprintf("ramp:%s..%s", number(s.rates[0]), number(s.rates[1]))
	case step:
		steps := make([]string, len(s.rates))
		for i, r := range s.rates {
			steps[i] = number(r)
			if s.lengths != nil {
				steps[i] += "x" + s.lengths[i].String()
			}
		}
		return "step:" + strings.Join(steps, ",")
	case sine:
		return fmt.Sprintf("sine:%s+-%s/%v", number(s.rates[0]), number(s.rates[1]), s.period)
	case trace:
		if _, _, factored := cutFactor(s.file); s.factor == 1 && !factored {
			return "trace:" + s.file
		}
		return "trace:" + number(s.factor) + "*" + s.file
	}
	return string(s.form) + ":" + number(s.rates[0])
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (s *Spec) parseRates(texts ...string) error {
	for _, text := range texts {
		r, err := parseRate(text)
		if err != nil {
			return err
		}
		s.rates = append(s.rates, r)
	}
	return nil
}

func parseRate(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), math.IsNaN(v):
		return 0, fmt.Errorf("%q is not a number; want sends a second, from 0 to %g", text, maxRate)
	case v < 0:
		return 0, fmt.Errorf("a rate of %s is negative", text)
	case v > maxRate*(1+slack):
		return 0, fmt.Errorf("a rate of %s sends a second; at most %g", text, maxRate)
	}
	return math.Abs(v), nil // not -0
}

func (s *Spec) parseSteps(text string) error {
	steps := strings.Split(text, ",")
	if len(steps) > maxSteps {
		return fmt.Errorf("%d steps; at most %d, more go into a trace", len(steps), maxSteps)
	}
	sum := time.Duration(0)
	for i, one := range steps {
		rate, length, timed := strings.Cut(one, "x")
		if err := s.parseRates(rate); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if i > 0 && timed != (s.lengths != nil) {
			return fmt.Errorf("step %d: either all steps have a length, as in step:1000x10s,2000x20s, or none", i+1)
		}
		if !timed {
			continue
		}
		d, err := parseLength(length)
		if sum += d; err == nil && sum > maxTime {
			err = fmt.Errorf("the steps are longer than %v together", maxTime)
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		s.lengths = append(s.lengths, d)
	}
	return nil
}

func (s *Spec) parseSine(text string) error {
	mean, rest, plus := strings.Cut(text, "+-")
	amplitude, period, slash := strings.Cut(rest, "/")
	if !plus || !slash {
		return errors.New("want sine:MEAN+-AMPLITUDE/PERIOD, for example sine:5000+-2000/60s")
	}
	if err := s.parseRates(mean, amplitude); err != nil {
		return err
	}
	if s.rates[1] > s.rates[0] {
		return errors.New("the amplitude is more than the mean: the rate would be negative")
	}
	d, err := parseLength(period)
	if err == nil && d < time.Millisecond {
		err = fmt.Errorf("a period of %v; at least 1ms", d)
	}
	s.period = d
	return err
}

func parseLength(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a length of time; want one as 90s or 1h30m", text)
	case d <= 0 || d > maxTime:
		return 0, fmt.Errorf("%q: a length must be more than 0 and at most %v", text, maxTime)
	}
	return d, nil
}

func (s *Spec) parseTrace(text string, read func(string) ([]row, error)) (err error) {
	s.factor, s.file = 1, text
	if factor, file, ok := cutFactor(text); ok {
		s.factor, s.file = factor, file
	}
	if !(s.factor > 0) || math.IsInf(s.factor, 1) {
		return errors.New("the factor before * must be positive")
	}
	if s.rows, err = read(s.file); err != nil {
		return err
	}
	s.traced = straight(s.rows, s.factor)
	return nil
}

// cutFactor cuts a number and "*" from the front of a trace's text.
func cutFactor(text string) (factor float64, file string, ok bool) {
	before, file, ok := strings.Cut(text, "*")
	factor, err := strconv.ParseFloat(before, 64)
	return factor, file, ok && (err == nil || errors.Is(err, strconv.ErrRange))
}
