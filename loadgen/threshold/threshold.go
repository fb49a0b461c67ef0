// Package threshold holds a run of load against what it must show, for continuous
// integration and service level objectives. A threshold is a line such as
//
//	p99<10ms                 response time, from the planned send; also p50 p90 p99.9 p99.99 max mean
//	service.p99<5ms          service time, from the actual send
//	lag.p99<1ms              how late the generator itself sent
//	errors<0.1%              of the planned requests, all that were not answered as they should be
//	refused<1%               of the planned requests, those that were told to come back later
//	rate>5000                coins a second
//	cpu<50us                 CPU time of the server, a coin
//	redeem:p99<10ms          of one kind of request alone
//
// with one of < <= > >=. Start with [Parse].
package threshold

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Threshold is what a figure of a run must be. It is made by [Parse], or by its
// UnmarshalText as a flag; the zero value is none.
type Threshold struct {
	kind   string // of request; "" means all
	metric string
	op     string
	limit  float64 // nanoseconds, a share of 1, or coins a second, as the metric has it
	text   string  // the limit as it was written, without blanks
}

// quantiles of a latency, by the name that asks for them.
var quantiles = map[string]float64{"p50": .5, "p90": .9, "p99": .99, "p99.9": .999, "p99.99": .9999}

const allMetrics = "p50, p90, p99, p99.9, p99.99, max or mean, alone or behind \"service.\" or \"lag.\", errors, refused, rate, cpu"

// unit is what the limit of a metric is written in.
type unit int

const (
	noUnit unit = iota // no such metric
	duration
	percent
	number
)

// unitOf returns noUnit for a name that is no metric.
func unitOf(metric string) unit {
	switch metric {
	case "errors", "refused":
		return percent
	case "rate":
		return number
	case "cpu":
		return duration
	}
	_, statistic := cutLatency(metric)
	if _, found := quantiles[statistic]; found || statistic == "max" || statistic == "mean" {
		return duration
	}
	return noUnit
}

// cutLatency cuts "service." or "lag." off a metric.
func cutLatency(metric string) (which, statistic string) {
	for _, which := range []string{"service", "lag"} {
		if statistic, found := strings.CutPrefix(metric, which+"."); found {
			return which, statistic
		}
	}
	return "", metric
}

// Parse reads one threshold. Blanks around its parts mean nothing.
func Parse(s string) (*Threshold, error) {
	t, err := parse(s)
	if err != nil {
		return nil, fmt.Errorf("threshold %q: %w", s, err)
	}
	return t, nil
}

// UnmarshalText implements encoding.TextUnmarshaler, for flags: it is [Parse].
func (t *Threshold) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*t = *parsed
	}
	return err
}

func parse(s string) (*Threshold, error) {
	at := strings.IndexAny(s, "<>")
	if at < 0 {
		return nil, errors.New("has no <, <=, > or >=; write for example p99<10ms")
	}
	t := &Threshold{metric: strings.TrimSpace(s[:at]), op: s[at : at+1]}
	rest, equal := strings.CutPrefix(s[at+1:], "=")
	if equal {
		t.op += "="
	}
	if kind, metric, found := strings.Cut(t.metric, ":"); found {
		t.kind, t.metric = strings.TrimSpace(kind), strings.TrimSpace(metric)
		if !isKind(t.kind) {
			return nil, fmt.Errorf("%q is no kind of request: small letters, as in redeem:p99<10ms", t.kind)
		}
	}
	u := unitOf(t.metric)
	if u == noUnit {
		return nil, fmt.Errorf("%q is not measured; there are %s", t.metric, allMetrics)
	}
	if which, _ := cutLatency(t.metric); t.kind != "" && (which == "lag" || t.metric == "cpu") {
		return nil, fmt.Errorf("%s is of the whole run: leave %s: away", t.metric, t.kind)
	}
	t.text = strings.TrimSpace(rest)
	var err error
	if t.limit, err = parseLimit(t.text, u); err != nil {
		return nil, err
	}
	if t.limit == 0 && t.op == "<" {
		return nil, fmt.Errorf("nothing is below 0; write <=%s", t.text)
	}
	if u == percent && (t.limit > 1 || t.limit == 1 && t.op == ">") {
		return nil, fmt.Errorf("%s%s is more than all requests", t.op, t.text)
	}
	return t, nil
}

func isKind(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

func parseLimit(s string, u unit) (float64, error) {
	switch u {
	case duration:
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 || strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") {
			return 0, fmt.Errorf("%q is no length of time; write it with its unit, as in 10ms or 250us", s)
		}
		return float64(d), nil
	case percent:
		digits, found := strings.CutSuffix(s, "%")
		v, err := parseNumber(strings.TrimSpace(digits))
		if !found || err != nil {
			return 0, fmt.Errorf("%q is no share; write it in percent, as in 0.1%%", s)
		}
		return v / 100, nil
	}
	v, err := parseNumber(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of coins a second; write for example 5000", s)
	}
	return v, nil
}

// parseNumber takes digits and one point, and nothing else that [strconv.ParseFloat]
// takes.
func parseNumber(s string) (float64, error) {
	if strings.Trim(s, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && math.IsInf(v, 0) {
		err = strconv.ErrRange
	}
	return v, err
}

// String returns t so that [Parse] reads it back.
func (t *Threshold) String() string {
	s := t.metric + t.op + t.text
	if t.kind != "" {
		s = t.kind + ":" + s
	}
	return s
}

// holds says whether v meets the limit. What is not a number never does.
func (t *Threshold) holds(v float64) bool {
	i := slices.Index([]string{"<", "<=", ">", ">="}, t.op)
	return [...]bool{v < t.limit, v <= t.limit, v > t.limit, v >= t.limit}[i]
}
