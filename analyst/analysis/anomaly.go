package analysis

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Robust z-scores as in Iglewicz and Hoaglin, "How to Detect and Handle Outliers"
// (1993): the median takes the mean's place, and the median absolute deviation
// (MAD) that of the standard deviation, so that the outliers themselves cannot hide
// each other.
const (
	anomalyThreshold = 3.5
	anomalyTop       = 20 // rows listed; all are counted

	// For a normal distribution MAD = 0.6745 sigma, and the mean absolute deviation
	// is sqrt(2/pi) sigma = 0.7979 sigma.
	madScale     = 0.6745
	meanDevScale = 0.7979
)

// anomalyResult is the result of "anomaly". Rows are counted from 1, the first line
// after the header.
type anomalyResult struct {
	Rows      int             `json:"rows"`
	Threshold float64         `json:"threshold"`
	Columns   []anomalyColumn `json:"columns"`   // the numeric ones
	Total     int             `json:"total"`     // anomalies found
	Anomalies []anomalyCell   `json:"anomalies"` // at most anomalyTop, the largest |z| first
}

type anomalyColumn struct {
	Name      string `json:"name"`
	Count     int    `json:"count"`
	Median    number `json:"median"`
	Deviation number `json:"deviation"` // from the median, by Method
	Method    string `json:"method"`    // "median", "mean" where the median deviation is 0, or "none" where both are
	Anomalies int    `json:"anomalies"`
}

type anomalyCell struct {
	Row    int    `json:"row"`
	Column string `json:"column"`
	Value  number `json:"value"`
	Z      number `json:"z"`
}

func anomaly(ctx context.Context, t *table) (anomalyResult, error) {
	res := anomalyResult{Rows: t.rows, Threshold: anomalyThreshold, Columns: []anomalyColumn{}, Anomalies: []anomalyCell{}}
	for i := range t.columns {
		if err := ctx.Err(); err != nil {
			return anomalyResult{}, err
		}
		c := &t.columns[i]
		if !c.numeric() {
			continue
		}
		col, scale := measure(c)
		if col.Method != "none" {
			for row, x := range c.values {
				z := scale * (x - float64(col.Median)) / float64(col.Deviation)
				if !(math.Abs(z) > anomalyThreshold) { // NaN, a missing cell, does not stand out
					continue
				}
				col.Anomalies++
				res.Anomalies = append(res.Anomalies, anomalyCell{Row: row + 1, Column: c.name, Value: number(x), Z: number(z)})
			}
		}
		res.Total += col.Anomalies
		res.Columns = append(res.Columns, col)
		res.Anomalies = largest(res.Anomalies)
	}
	return res, nil
}

// measure returns the median and deviation of c, and what scales a deviation to
// standard deviations.
func measure(c *column) (anomalyColumn, float64) {
	v := c.present()
	slices.Sort(v)
	median := quantile(v, 0.5)
	for i := range v {
		v[i] = math.Abs(v[i] - median)
	}
	slices.Sort(v)
	col := anomalyColumn{Name: c.name, Count: len(v), Median: number(median)}
	if mad := quantile(v, 0.5); mad > 0 {
		col.Deviation, col.Method = number(mad), "median"
		return col, madScale
	}
	if dev := stat.Mean(v, nil); dev > 0 {
		col.Deviation, col.Method = number(dev), "mean"
		return col, meanDevScale
	}
	col.Method = "none"
	return col, 0
}

// largest sorts cells by |z|, the largest first, and cuts them to anomalyTop. Equal
// ones keep the order of the input.
func largest(cells []anomalyCell) []anomalyCell {
	slices.SortStableFunc(cells, func(a, b anomalyCell) int {
		return cmp.Compare(math.Abs(float64(b.Z)), math.Abs(float64(a.Z)))
	})
	return cells[:min(len(cells), anomalyTop)]
}
