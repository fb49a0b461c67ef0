package demo

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
)

// figure is a number of a result; nil where there is none.
type figure *float64

func show(f figure) string {
	if f == nil {
		return "-"
	}
	return fmt.Sprintf("%.6g", *f)
}

// result shows a decrypted result: its figures as a table where the analysis is
// one of those built in, else the bytes as they are.
func (p print) result(o outcome) {
	table, known := map[string]func(*tabwriter.Writer, []byte) error{
		"summary": summaryTable,
		"anomaly": anomalyTable,
		"trend":   trendTable,
	}[o.Analysis]
	if !known {
		p.say("       %s", o.Result)
		return
	}
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if err := table(w, o.Result); err != nil {
		p.say("       %s", o.Result)
		return
	}
	w.Flush()
}

func summaryTable(w *tabwriter.Writer, result []byte) error {
	var r struct {
		Columns []struct {
			Name, Type                         string
			Count, Missing, Distinct           int
			Mean, SD, Min, Q1, Median, Q3, Max figure
		}
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return err
	}
	fmt.Fprintln(w, "       column\tcount\tmissing\tmean\tsd\tmin\tq1\tmedian\tq3\tmax\t")
	for _, c := range r.Columns {
		fmt.Fprintf(w, "       %s\t%d\t%d\t", c.Name, c.Count, c.Missing)
		if c.Type == "text" {
			fmt.Fprintf(w, "text\t%d distinct\t\t\t\t\t\t\n", c.Distinct)
			continue
		}
		for _, f := range []figure{c.Mean, c.SD, c.Min, c.Q1, c.Median, c.Q3, c.Max} {
			fmt.Fprintf(w, "%s\t", show(f))
		}
		fmt.Fprintln(w)
	}
	return nil
}

func anomalyTable(w *tabwriter.Writer, result []byte) error {
	var r struct {
		Total     int
		Anomalies []struct {
			Row      int
			Column   string
			Value, Z figure
		}
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return err
	}
	fmt.Fprintf(w, "       %d values stand out\t\t\t\t\n", r.Total)
	const most = 5
	for _, a := range r.Anomalies[:min(most, len(r.Anomalies))] {
		fmt.Fprintf(w, "       %s\trow %d\tvalue %s\tz %s\t\n", a.Column, a.Row, show(a.Value), show(a.Z))
	}
	return nil
}

func trendTable(w *tabwriter.Writer, result []byte) error {
	var r struct {
		Columns []struct {
			Name      string
			Slope, R2 figure
			Season    *struct{ Lag int }
		}
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return err
	}
	fmt.Fprintln(w, "       column\tslope a row\tr2\tseason\t")
	for _, c := range r.Columns {
		season := "-"
		if c.Season != nil {
			season = fmt.Sprintf("%d rows", c.Season.Lag)
		}
		fmt.Fprintf(w, "       %s\t%s\t%s\t%s\t\n", c.Name, show(c.Slope), show(c.R2), season)
	}
	return nil
}
