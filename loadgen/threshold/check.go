package threshold

import (
	"errors"
	"fmt"
	"time"

	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// Check holds t against a run. A figure that the run does not have fails: a run without
// an answered request meets no latency, and one of which two in a hundred requests were not
// answered has no p99. It does not look at [result.Run.Invalid]: what an
// invalid run means is the caller's to say.
func (t *Threshold) Check(r *result.Run) result.Check {
	c := result.Check{Name: t.String()}
	v, err := t.value(r)
	if err != nil {
		c.Value = err.Error()
		return c
	}
	c.OK = t.holds(v)
	switch unitOf(t.metric) {
	case duration:
		c.Value = figure.Microseconds(v / 1e3)
	case percent:
		c.Value = figure.Percent(v)
	default:
		c.Value = figure.Number(v) + " coins/s"
	}
	return c
}

// value is the figure in the unit of the limit.
func (t *Threshold) value(r *result.Run) (float64, error) {
	k := r.Total()
	if t.kind != "" {
		found := false
		for i := range r.Kinds {
			if r.Kinds[i].Name == t.kind {
				k, found = r.Kinds[i], true
			}
		}
		if !found {
			return 0, fmt.Errorf("the run has no requests of kind %s", t.kind)
		}
	}
	switch t.metric {
	case "errors", "refused":
		if k.Planned <= 0 {
			return 0, errors.New("no request was planned")
		}
		if t.metric == "refused" {
			return float64(k.Refused) / float64(k.Planned), nil
		}
		return k.ErrorShare(), nil
	case "rate":
		if r.Took <= 0 {
			return 0, errors.New("the run took no time")
		}
		if t.kind == "" {
			return r.GoodRate(), nil
		}
		return float64(k.Coins) / r.Took, nil
	case "cpu":
		if r.Server == nil {
			return 0, errors.New("not known: the load did not start the server")
		}
		if k.Coins <= 0 {
			return 0, errors.New("no coin was moved")
		}
		return r.Server.CPUUs * float64(time.Microsecond), nil
	}
	return t.latency(r, &k)
}

func (t *Threshold) latency(r *result.Run, k *result.Kind) (float64, error) {
	which, statistic := cutLatency(t.metric)
	l, none := &k.Response, "no request was answered"
	switch which {
	case "service":
		l = &k.Service
	case "lag":
		l, none = &r.Generator.Lag, "no send was timed"
	}
	if l.Count() == 0 {
		return 0, errors.New(none)
	}
	switch statistic {
	case "max":
		return float64(l.Max()), nil
	case "mean":
		return float64(l.Mean()), nil
	}
	q := quantiles[statistic]
	if share := k.ErrorShare(); which != "lag" && share > 1-q {
		return 0, fmt.Errorf("%s of the requests were not answered as they should be, and have no time", figure.Percent(share))
	}
	return float64(l.Quantile(q)), nil
}
