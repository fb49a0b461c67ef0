package analysis

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// summaryResult is the result of "summary".
type summaryResult struct {
	Rows    int   `json:"rows"`
	Columns []any `json:"columns"` // numberSummary or textSummary, in the order of the input
}

type numberSummary struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // "number"
	Count   int    `json:"count"`
	Missing int    `json:"missing"`
	Mean    number `json:"mean"`
	SD      number `json:"sd"` // of a sample: divisor count-1
	Min     number `json:"min"`
	Q1      number `json:"q1"`
	Median  number `json:"median"`
	Q3      number `json:"q3"`
	Max     number `json:"max"`
}

type textSummary struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // "text"
	Count    int    `json:"count"`
	Missing  int    `json:"missing"`
	Distinct int    `json:"distinct"`
}

func summary(ctx context.Context, t *table) (summaryResult, error) {
	res := summaryResult{Rows: t.rows, Columns: make([]any, 0, len(t.columns))}
	for i := range t.columns {
		if err := ctx.Err(); err != nil {
			return summaryResult{}, err
		}
		if c := &t.columns[i]; c.numeric() {
			res.Columns = append(res.Columns, summarizeNumbers(c))
		} else {
			res.Columns = append(res.Columns, summarizeText(c))
		}
	}
	return res, nil
}

func summarizeNumbers(c *column) numberSummary {
	v := c.present()
	slices.Sort(v)
	mean, sd := stat.MeanStdDev(v, nil)
	if len(v) < 2 {
		sd = math.NaN()
	}
	return numberSummary{
		Name: c.name, Type: "number", Count: len(v), Missing: c.missing,
		Mean: number(mean), SD: number(sd),
		Min: number(v[0]), Q1: number(quantile(v, 0.25)), Median: number(quantile(v, 0.5)),
		Q3: number(quantile(v, 0.75)), Max: number(v[len(v)-1]),
	}
}

func summarizeText(c *column) textSummary {
	seen := make(map[string]struct{})
	for _, cell := range c.cells {
		if cell != "" {
			seen[cell] = struct{}{}
		}
	}
	return textSummary{
		Name: c.name, Type: "text", Count: len(c.cells) - c.missing, Missing: c.missing,
		Distinct: len(seen),
	}
}

// quantile returns the p-quantile, 0 <= p <= 1, of v, which is sorted and not
// empty: linear interpolation between the two values around position (n-1)p. That
// is type 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996),
// the default of R and NumPy; gonum's stat.Quantile has no such kind.
func quantile(v []float64, p float64) float64 {
	h := float64(len(v)-1) * p
	lo := int(h)
	if lo+1 >= len(v) {
		return v[len(v)-1]
	}
	w := h - float64(lo)
	if w == 0 {
		return v[lo]
	}
	return v[lo]*(1-w) + v[lo+1]*w // not v[lo]+w*(difference): that can overflow
}
