package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// analyse returns the result of an analysis as text and, decoded, in got.
func analyse(t *testing.T, name, in string, got any) string {
	t.Helper()
	out, err := Builtin()[name](t.Context(), []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, got); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return string(out)
}

func near(got, want float64) bool {
	return math.Abs(got-want) <= 1e-9*max(1e-6, math.Abs(want))
}

// The bytes of results, field order included. Figures by hand: of 1 2 4 5 (one
// missing) the mean is 12/4, the squares around it 4+1+1+4, sd sqrt(10/3), the
// quartiles at positions .75, 1.5 and 2.25: 1.75, 3, 4.25. Line through (0,1) (1,2)
// (3,4) (4,5): value = row + 1. Median 3, deviations 1 1 2 2, their median 1.5.
func TestResultBytes(t *testing.T) {
	const in = "\"a\",\"b\"\n\"1\",1,x\n\"2\",2,<y>\n\"3\",NA,x\n\"4\",4,\n\"5\",5,NaN\n"
	for _, tc := range []struct{ name, want string }{
		{"summary", `{"rows":5,"columns":[` +
			`{"name":"row","type":"number","count":5,"missing":0,"mean":3,"sd":1.5811388300841898,"min":1,"q1":2,"median":3,"q3":4,"max":5},` +
			`{"name":"a","type":"number","count":4,"missing":1,"mean":3,"sd":1.8257418583505538,"min":1,"q1":1.75,"median":3,"q3":4.25,"max":5},` +
			`{"name":"b","type":"text","count":3,"missing":2,"distinct":2}]}`},
		{"anomaly", `{"rows":5,"threshold":3.5,"columns":[` +
			`{"name":"row","count":5,"median":3,"deviation":1,"method":"median","anomalies":0},` +
			`{"name":"a","count":4,"median":3,"deviation":1.5,"method":"median","anomalies":0}],"total":0,"anomalies":[]}`},
		{"trend", `{"rows":5,"columns":[` +
			`{"name":"row","count":5,"slope":1,"intercept":1,"r2":1,"season":null},` +
			`{"name":"a","count":4,"slope":1,"intercept":1,"r2":1,"season":null}]}`},
	} {
		if got := analyse(t, tc.name, in, new(any)); got != tc.want {
			t.Errorf("%s\ngot  %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	// numpy.quantile([1, 2, 3, 4, 10], p) and R's quantile(c(1, 2, 3, 4, 10), p)
	v := []float64{1, 2, 3, 4, 10}
	for _, tc := range []struct{ p, want float64 }{{0, 1}, {0.1, 1.4}, {0.25, 2}, {0.5, 3}, {0.9, 7.6}, {1, 10}} {
		if got := quantile(v, tc.p); !near(got, tc.want) {
			t.Errorf("quantile(%v) = %v, want %v", tc.p, got, tc.want)
		}
	}
	if got := quantile([]float64{7}, 0.75); got != 7 {
		t.Errorf("of one value: %v", got)
	}
	if got := quantile([]float64{-math.MaxFloat64, math.MaxFloat64}, 0.5); got != 0 {
		t.Errorf("of the extremes: %v", got)
	}
}

// The figures of a real file, computed apart with Python's statistics module
// (fmean, stdev, quantiles(n=4, method="inclusive"), linear_regression) and the
// textbook sums for the others.
func TestOccupancy(t *testing.T) {
	in := string(occupancy(t))

	t.Run("summary", func(t *testing.T) {
		var got struct {
			Rows    int
			Columns []struct {
				Name, Type                         string
				Count, Missing, Distinct           int
				Mean, SD, Min, Q1, Median, Q3, Max float64
			}
		}
		analyse(t, "summary", in, &got)
		want := []struct {
			name    string
			figures [7]float64 // mean sd min q1 median q3 max
		}{
			{"row", [7]float64{1472, 769.463557724904, 140, 806, 1472, 2138, 2804}},
			{"date", [7]float64{}},
			{"Temperature", [7]float64{21.4338762887519, 1.0280241758909994, 20.2, 20.65, 20.89, 22.3566666666667, 24.4083333333333}},
			{"Humidity", [7]float64{25.353936799785583, 2.4368423251444584, 22.1, 23.26, 25.0, 26.8566666666667, 31.4725}},
			{"Light", [7]float64{193.2275556151166, 250.21090577180257, 0, 0, 0, 442.5, 1697.25}},
			{"CO2", [7]float64{717.9064701152506, 292.681718393776, 427.5, 466, 580.5, 956.333333333333, 1402.25}},
			{"HumidityRatio", [7]float64{0.004027010287333592, 0.0006105726883437671, 0.00330331447223472, 0.00352948159229704, 0.00381507006340074, 0.00453153473985364, 0.00537775883971339}},
			{"Occupancy", [7]float64{0.3647279549718574, 0.4814441284942829, 0, 0, 0, 1, 1}},
		}
		if got.Rows != 2665 || len(got.Columns) != len(want) {
			t.Fatalf("%d rows, %d columns", got.Rows, len(got.Columns))
		}
		for i, w := range want {
			c := got.Columns[i]
			if c.Name != w.name || c.Count != 2665 || c.Missing != 0 {
				t.Errorf("column %d: %+v", i, c)
			}
			if w.name == "date" {
				if c.Type != "text" || c.Distinct != 2665 {
					t.Errorf("date: %+v", c)
				}
				continue
			}
			for k, f := range []float64{c.Mean, c.SD, c.Min, c.Q1, c.Median, c.Q3, c.Max} {
				if !near(f, w.figures[k]) {
					t.Errorf("%s, figure %d: got %v, want %v", w.name, k, f, w.figures[k])
				}
			}
		}
	})

	t.Run("anomaly", func(t *testing.T) {
		var got anomalyResult
		analyse(t, "anomaly", in, &got)
		counts := map[string]string{}
		for _, c := range got.Columns {
			counts[c.Name] = fmt.Sprint(c.Method, " ", c.Anomalies)
		}
		if want := map[string]string{"row": "median 0", "Temperature": "median 333", "Humidity": "median 0", "Light": "mean 3",
			"CO2": "median 131", "HumidityRatio": "median 0", "Occupancy": "mean 0"}; !reflect.DeepEqual(counts, want) {
			t.Errorf("got  %v\nwant %v", counts, want)
		}
		if got.Total != 333+3+131 || len(got.Anomalies) != anomalyTop {
			t.Errorf("total %d, %d listed", got.Total, len(got.Anomalies))
		}
		first, second := got.Anomalies[0], got.Anomalies[1]
		if first.Row != 2603 || first.Column != "Light" || first.Value != 1697.25 || !near(float64(first.Z), 7.00850233647553) {
			t.Errorf("first %+v", first)
		}
		if second.Row != 2665 || second.Column != "Temperature" || !near(float64(second.Z), 6.084912393162325) {
			t.Errorf("second %+v", second)
		}
	})

	t.Run("trend", func(t *testing.T) {
		var got trendResult
		analyse(t, "trend", in, &got)
		want := map[string]struct {
			slope, intercept, r2 float64
			lag                  int
			r                    float64
		}{
			"row":           {1, 140, 1, 0, 0},
			"Temperature":   {-0.00014532323294422377, 21.627446835033606, 0.011831493189816245, 0, 0},
			"Humidity":      {0.0007343920391038121, 24.375726603699306, 0.0537745982823169, 0, 0},
			"Light":         {0.011480369188317519, 177.93570385627766, 0.0012464514039745023, 1329, 0.3510199217260851},
			"CO2":           {0.009950474907476343, 704.6524375384921, 0.0006843409647736554, 0, 0},
			"HumidityRatio": {7.379135698769759e-08, 0.003928720199825979, 0.00864793383936191, 0, 0},
			"Occupancy":     {-1.4927544065926222e-05, 0.38461144366767114, 0.0005691949614067271, 31, 0.8111866331248802},
		}
		if len(got.Columns) != len(want) {
			t.Fatalf("%d columns", len(got.Columns))
		}
		for _, c := range got.Columns {
			w := want[c.Name]
			if !near(float64(c.Slope), w.slope) || !near(float64(c.Intercept), w.intercept) || !near(float64(c.R2), w.r2) {
				t.Errorf("%s: got %+v, want %+v", c.Name, c, w)
			}
			if (c.Season == nil) != (w.lag == 0) || c.Season != nil && (c.Season.Lag != w.lag || !near(float64(c.Season.Autocorrelation), w.r)) {
				t.Errorf("%s: season %+v, want %+v", c.Name, c.Season, w)
			}
		}
	})
}

func TestAnomalyRows(t *testing.T) {
	var got anomalyResult
	// Median 12, deviations 2 1 0 1 88 1: median 1; z of 100 = 0.6745*88.
	analyse(t, "anomaly", "v,w\n10,0\n11,0\n12,0\n13,\n100,0\nNA,9\n12,0\n", &got)
	want := []anomalyCell{{Row: 5, Column: "v", Value: 100, Z: number(0.6745 * 88)}}
	// w: median 0, median deviation 0, mean deviation 9/6; z of 9 = 0.7979*6.
	want = append(want, anomalyCell{Row: 6, Column: "w", Value: 9, Z: number(0.7979 * 6)})
	if len(got.Anomalies) != 2 || got.Total != 2 {
		t.Fatalf("%+v", got)
	}
	for i, w := range want {
		g := got.Anomalies[i]
		if g.Row != w.Row || g.Column != w.Column || g.Value != w.Value || !near(float64(g.Z), float64(w.Z)) {
			t.Errorf("got %+v, want %+v", g, w)
		}
	}

	got = anomalyResult{}
	analyse(t, "anomaly", "v\n5\n5\n5\n", &got)
	if got.Columns[0].Method != "none" || got.Total != 0 {
		t.Errorf("constant column: %+v", got)
	}
}

func TestTrendSeason(t *testing.T) {
	wave := func(n int, f func(i int) string) string {
		var b strings.Builder
		b.WriteString("v\n")
		for i := range n {
			b.WriteString(f(i) + "\n")
		}
		return b.String()
	}
	sine := func(i int) float64 { return 3*float64(i) + 10*math.Sin(2*math.Pi*float64(i)/24) }
	for _, tc := range []struct {
		name, in string
		lag      int // 0: no season
	}{
		{"sine of 24 rows on a slope", wave(240, func(i int) string { return fmt.Sprint(sine(i)) }), 24},
		{"with every fifth missing", wave(240, func(i int) string {
			if i%5 == 0 {
				return "NA"
			}
			return fmt.Sprint(sine(i))
		}), 24},
		{"line", wave(100, func(i int) string { return fmt.Sprint(0.1 * float64(i)) }), 0},
		{"constant", wave(100, func(int) string { return "0.1" }), 0},
		{"too few rows", wave(7, func(i int) string { return fmt.Sprint(i % 2) }), 0},
		{"eight rows", wave(8, func(i int) string { return fmt.Sprint(i % 2) }), 2},
		{"pairs", wave(40, func(i int) string { return fmt.Sprint(i % 2) }), 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got trendResult
			out := analyse(t, "trend", tc.in, &got)
			s := got.Columns[0].Season
			if tc.lag == 0 && s != nil || tc.lag != 0 && (s == nil || s.Lag != tc.lag) {
				t.Errorf("got %s, want lag %d", out, tc.lag)
			}
		})
	}

	out := analyse(t, "trend", "v\n1\n2\n", new(any))
	if want := `{"rows":2,"columns":[{"name":"v","count":2,"slope":null,"intercept":null,"r2":null,"season":null}]}`; out != want {
		t.Errorf("two rows: %s", out)
	}
	out = analyse(t, "trend", "v\n0.1\n0.1\n0.1\n", new(any))
	if want := `{"rows":3,"columns":[{"name":"v","count":3,"slope":0,"intercept":0.1,"r2":null,"season":null}]}`; out != want {
		t.Errorf("constant: %s", out)
	}
}

// The transform against the sums it stands for, with and without missing values.
func TestAutocorrelation(t *testing.T) {
	for _, n := range []int{8, 9, 31, 100} {
		for _, every := range []int{1000, 3} {
			e, present := make([]float64, n), make([]float64, n)
			var squares, count float64
			for i := range e {
				if i%every != every-1 {
					e[i], present[i] = math.Sin(float64(i*i)), 1
					squares += e[i] * e[i]
					count++
				}
			}
			want := make([]float64, n/2+2)
			for k := range want {
				var pairs float64
				for i := 0; i+k < n; i++ {
					want[k] += e[i] * e[i+k]
					pairs += present[i] * present[i+k]
				}
				if pairs > 0 {
					want[k] = want[k] / pairs * float64(n-k) / float64(n) / (squares / count)
				}
			}
			for i := range e {
				e[i] *= 1e200 // squares would overflow
			}
			got := autocorrelation(e, present)
			if len(got) != len(want) {
				t.Fatalf("n %d: %d lags, want %d", n, len(got), len(want))
			}
			for k := range want {
				if math.Abs(got[k]-want[k]) > 1e-12 {
					t.Errorf("n %d, every %d, lag %d: got %v, want %v", n, every, k, got[k], want[k])
				}
			}
		}
	}
}
