package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseTable(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     string // "name:n" or "name:t" with values, "_" for missing
	}{
		{"plain", "a,b\n1,x\n2,y\n", "a:n[1 2] b:t[x y]"},
		{"no final line break", "a\n1", "a:n[1]"},
		{"CRLF", "a,b\r\n1,2\r\n", "a:n[1] b:n[2]"},
		{"byte order mark", "\ufeffa\n1\n", "a:n[1]"},
		{"quotes", "\"a,1\",b\n\"2\",\"x \"\"y\"\"\"\n", "a,1:n[2] b:t[x \"y\"]"},
		{"R row numbers", "\"a\",\"b\"\n\"7\",1,x\n\"9\",2,y\n", "row:n[7 9] a:n[1 2] b:t[x y]"},
		{"R row names", "a\nmon,1\ntue,2\n", "row:t[mon tue] a:n[1 2]"},
		{"missing cells", "a,b,c\n1,,NA\n,x,2\nNA,NA,NaN\nnan, ,3\n", "a:n[1 _ _ _] b:t[_ x _ _] c:n[_ 2 _ 3]"},
		{"all missing", "a\nNA\nNA\n", "a:t[_ _]"},
		{"spaces around numbers", "a\n 1\n2 \n", "a:n[1 2]"},
		{"one word makes a column text", "a\n1\nhigh\n3\n", "a:t[1 high 3]"},
		{"no infinity", "a\ninf\n1\n", "a:t[inf 1]"},
		{"no overflow", "a\n1e999\n1\n", "a:t[1e999 1]"},
		{"no hexadecimal", "a\n0x10\n1\n", "a:t[0x10 1]"},
		{"exponents and signs", "a\n-1e3\n+.5\n", "a:n[-1000 0.5]"},
		{"blank lines", "\na,b\n\n1,2\n\n", "a:n[1] b:n[2]"},
		{"empty and repeated names", ",x,x\n1,2,3\n", ":n[1] x:n[2] x:n[3]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tab, err := parseTable(t.Context(), []byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(tab); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func describe(tab *table) string {
	var parts []string
	for _, c := range tab.columns {
		var cells []string
		kind := "t"
		if c.numeric() {
			kind = "n"
			for _, v := range c.values {
				if math.IsNaN(v) {
					cells = append(cells, "_")
				} else {
					cells = append(cells, fmt.Sprint(v))
				}
			}
		}
		for _, s := range c.cells {
			if s == "" {
				s = "_"
			}
			cells = append(cells, s)
		}
		parts = append(parts, fmt.Sprintf("%s:%s%v", c.name, kind, cells))
	}
	return strings.Join(parts, " ")
}

func TestParseTableRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"empty", "", "input is empty"},
		{"blank lines only", "\n\n", "input is empty"},
		{"header only", "a,b\n", "no rows"},
		{"short row", "a,b,c\n1,2,3\n4,5\n", "line 3 has 2 fields, want 3"},
		{"long row", "a,b\n1,2\n\n3,4,5\n", "line 4 has 3 fields, want 2"},
		{"two fields more", "a\n1,2,3\n", "line 2 has 3 fields, want 1"},
		{"first row shorter", "a,b\n1\n", "line 2 has 1 fields, want 2"},
		{"not all rows named", "a,b\n1,2,3\n4,5\n", "line 3 has 2 fields, want 3"},
		{"bare quote", "a,b\n1,x\"y\n", "line 2, byte 4"},
		{"open quote", "a,b\n1,\"y\n", "line 2"},
		{"many columns", strings.Repeat(",", maxColumns) + "\n", "1025 columns, the limit is 1024"},
		{"long name", strings.Repeat("n", maxColumnName+1) + "\n1\n", "column 1 has 257 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parseTable(t.Context(), []byte(tc.in))
			ie, ok := errors.AsType[*InputError](err)
			if !ok || !strings.Contains(ie.Text, tc.want) {
				t.Errorf("got %v, want an InputError with %q", err, tc.want)
			}
		})
	}
}

func TestParseTableStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, f := range Builtin() {
		if _, err := f(ctx, []byte(strings.Repeat("1\n", 3*checkEvery))); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
}

// Analyses beyond the given number wait, as long as their contexts last.
func TestAnalysesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 2
		now, peak := 0, 0
		var mu sync.Mutex
		f := onTable(make(chan struct{}, most), func(context.Context, *table) (int, error) {
			mu.Lock()
			now++
			peak = max(peak, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return 0, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var done, late atomic.Int32
		var wg sync.WaitGroup
		for range 4 * most {
			wg.Go(func() {
				switch _, err := f(ctx, []byte("a\n1\n")); {
				case err == nil:
					done.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					late.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if peak != most || done.Load() != 3*most || late.Load() != most {
			t.Errorf("%d at a time, %d done, %d late", peak, done.Load(), late.Load())
		}
	})
}

func TestTidy(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{" x\n", "x"},
		{"a\x00b\x1b[31m\xff\tc", "a b [31m\ufffd c"},
		{strings.Repeat("é", 300), strings.Repeat("é", maxText/2)},
		{"x" + strings.Repeat("é", 300), "x" + strings.Repeat("é", maxText/2-1)},
	} {
		if got := tidy(tc.in); got != tc.want {
			t.Errorf("tidy(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

// seeds are inputs around the rules of the format.
var seeds = []string{
	"", "a", "a\n", "a\n1\n", "a,b\n1,2\n3\n", "a,b\n7,1,2\n8,3,4\n", "\ufeffa\nNA\n",
	"a\n1e308\n-1e308\n1.7e308\n1e308\n1\n2\n3\n4\n5\n", "a\n1e-320\n2e-320\n0\n0\n0\n0\n0\n0\n9\n",
	"a\n1\n2\n1\n2\n1\n2\n1\n2\n1\n2\n", "a,\"b\n\",c\n1,2,3\n", "a\n\"\n", "a\nInf\nNaN\n",
	"x\n0.1\n0.1\n0.1\n0.1\n0.1\n0.1\n0.1\n0.1\n0.1\n",
}

// FuzzAnalyses: whatever the input, each analysis returns a JSON object that names
// no NaN or infinity, or refuses with a clear text; they agree on which.
func FuzzAnalyses(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		given := string(in)
		tab, err := parseTable(t.Context(), in)
		if err == nil {
			for _, c := range tab.columns {
				if n := len(c.values) + len(c.cells); n != tab.rows {
					t.Fatalf("column %q has %d cells in %d rows", c.name, n, tab.rows)
				}
			}
		}
		for name, fn := range Builtin() {
			out, ferr := fn(t.Context(), in)
			if (err == nil) != (ferr == nil) {
				t.Fatalf("%s: %v, parsing alone: %v", name, ferr, err)
			}
			if ferr != nil {
				if ie, ok := errors.AsType[*InputError](ferr); !ok || ie.Text == "" || len(ie.Text) > maxText || out != nil {
					t.Fatalf("%s: error %v with output %q", name, ferr, out)
				}
				continue
			}
			var got struct{ Rows int }
			if e := json.Unmarshal(out, &got); e != nil || got.Rows != tab.rows {
				t.Fatalf("%s: %q: %v", name, out, e)
			}
		}
		if string(in) != given {
			t.Fatal("an analysis changed its input")
		}
	})
}

// occupancy returns the room's readings; see testdata/README.md.
func occupancy(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "occupancy-datatest.csv"))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func BenchmarkAnalyses(b *testing.B) {
	in := occupancy(b)
	for _, name := range []string{"summary", "anomaly", "trend"} {
		f := Builtin()[name]
		b.Run("analysis="+name+"/rows=2665", func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
