package plan

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestFormula(t *testing.T) {
	value := func(key string) float64 { return map[string]float64{"a": 7, "b": 2}[key] }
	name := func(key string) string { return map[string]string{"a": "[1]", "b": "[2]"}[key] }
	for expr, want := range map[string]struct {
		value float64
		text  string
	}{
		"a - b - 1":                {4, "[1] - [2] - 1"},
		"a - (b - 1)":              {6, "[1] - ([2] - 1)"},
		"a / b * 1e6":              {3.5e6, "[1] / [2] x 10^6"},
		"ceil(a / b) + 86400":      {86404, "ceil([1] / [2]) + 86,400"},
		"ceil(0.3 / 0.1)":          {3, "ceil(0.3 / 0.1)"},
		"max(a, b, 9)":             {9, "max([1], [2], 9)"},
		"sqrt(a + b) * pow(b, 10)": {3072, "sqrt([1] + [2]) x [2]^10"},
		"0.5 * a":                  {3.5, "0.5 x [1]"},
	} {
		f, err := parseFormula(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got := f.eval(value); got != want.value {
			t.Errorf("%s = %v, want %v", expr, got, want.value)
		}
		if got := f.text(name); got != want.text {
			t.Errorf("%s is written %s, want %s", expr, got, want.text)
		}
	}
	for _, expr := range []string{"", "a +", "a % b", "-a", "f(a)", "ceil()", "ceil(a, b)", "a.b", "a[0]", `"x"`, "a & b", "func() {}", "max()"} {
		if _, err := parseFormula(expr); err == nil {
			t.Errorf("%q was parsed", expr)
		}
	}
}

// FuzzFormula checks that what is parsed can be calculated and written.
func FuzzFormula(f *testing.F) {
	for _, s := range []string{"a", "ceil(a / (b - 3))", "pow(2, 1e6)", "max(a, 0x10, 1.5e-3)", "1/0", "((a))", "a*b+c", "sqrt(-1)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := parseFormula(s)
		if err != nil {
			return
		}
		parsed.eval(func(string) float64 { return 3 })
		if parsed.text(func(string) string { return "[1]" }) == "" {
			t.Error("nothing is written")
		}
	})
}

func TestRound(t *testing.T) {
	for x, want := range map[float64]float64{0: 0, 5: 5, 999_999: 999_999, 1_000_001: 1_000_000, 1.23456: 1.235, 123456.7: 123500, 1e12: 1e12, 0.000123456: 0.0001235, -2.00049: -2} {
		if got := round(x); got != want {
			t.Errorf("round(%v) = %v, want %v", x, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 12: "12", 999: "999", 1000: "1,000", 1234567: "1,234,567", 0.02408: "0.02408", 1e12: "1,000,000,000,000", -4321.5: "-4,321.5", 2.939e-27: "2.939e-27", 1.158e77: "1.158e+77"} {
		if got := number(x); got != want {
			t.Errorf("number(%v) = %s, want %s", x, got, want)
		}
		back, err := strconv.ParseFloat(strings.ReplaceAll(want, ",", ""), 64)
		if err != nil || back != x {
			t.Errorf("%s reads as %v (%v)", want, back, err)
		}
	}
}

var (
	ref   = regexp.MustCompile(`\[(\d+)\]`)
	piece = regexp.MustCompile(`[0-9]+(?:,[0-9]{3})*(\.[0-9]+)?(e[+-][0-9]+)?|[a-z]+|[-+/^(),x]`)
)

// TestPrintedFormulas calculates every formula as it is printed, as one types it into a
// calculator, and compares with what is printed before it.
func TestPrintedFormulas(t *testing.T) {
	for _, args := range [][]string{nil, {"--devices=31415926", "--coins=271", "--suite=xwing", "--batch=3", "--resumed=0.25"}} {
		p := make_(t, "nvme-32c", nil, args...)
		values := map[int]float64{}
		checked := 0
		for _, l := range readPlan(t, text(t, p)) {
			values[l.number] = l.value
			if p.Lines[l.number-1].Kind != Computed {
				continue
			}
			formula := l.from
			for _, mark := range []string{"(not ", "(in the ", "(a part", "(a block", "(a with", "(without", "(decided", "(2 proc", "(the log", "EXTRAPOLATED"} {
				formula, _, _ = strings.Cut(formula, mark)
			}
			if i := strings.Index(formula, " times the "); i >= 0 { // "8 times the processors ..."
				formula = formula[:strings.LastIndex(formula[:i], " ")]
			}
			typed := ref.ReplaceAllStringFunc(formula, func(s string) string {
				n, err := strconv.Atoi(s[1 : len(s)-1])
				v, ok := values[n]
				if err != nil || !ok {
					t.Errorf("[%d] refers to %s, which is not above it", l.number, s)
				}
				return strconv.FormatFloat(v, 'f', -1, 64)
			})
			c := &calculator{tokens: piece.FindAllString(typed, -1)}
			want, err := c.sum()
			if err != nil || len(c.tokens) != 0 {
				t.Errorf("[%d] %s: cannot calculate %q: %v, left %q", l.number, l.name, typed, err, c.tokens)
				continue
			}
			if checked++; !sameDigits(l.value, want) {
				t.Errorf("[%d] %s: printed %v, but %s is %v", l.number, l.name, l.value, formula, want)
			}
		}
		if checked < 110 {
			t.Errorf("only %d formulas were calculated", checked)
		}
	}
}

// calculator is a pocket calculator with a paper roll of tokens.
type calculator struct{ tokens []string }

func (c *calculator) peek() string {
	if len(c.tokens) == 0 {
		return ""
	}
	return c.tokens[0]
}

func (c *calculator) next() string {
	s := c.peek()
	if s != "" {
		c.tokens = c.tokens[1:]
	}
	return s
}

func (c *calculator) sum() (float64, error) {
	v, err := c.product()
	for err == nil && (c.peek() == "+" || c.peek() == "-") {
		sign := 1.0
		if c.next() == "-" {
			sign = -1
		}
		var w float64
		w, err = c.product()
		v += sign * w
	}
	return v, err
}

func (c *calculator) product() (float64, error) {
	v, err := c.power()
	for err == nil && (c.peek() == "x" || c.peek() == "/") {
		over := c.next() == "/"
		var w float64
		if w, err = c.power(); over {
			v /= w
		} else {
			v *= w
		}
	}
	return v, err
}

func (c *calculator) power() (float64, error) {
	v, err := c.atom()
	if err == nil && c.peek() == "^" {
		c.next()
		var w float64
		w, err = c.atom()
		v = math.Pow(v, w)
	}
	return v, err
}

func (c *calculator) atom() (float64, error) {
	switch s := c.next(); s {
	case "(":
		v, err := c.sum()
		if c.next() != ")" {
			return 0, fmt.Errorf("a bracket is not closed")
		}
		return v, err
	case "ceil", "sqrt", "max":
		if c.next() != "(" {
			return 0, fmt.Errorf("%s of nothing", s)
		}
		v, err := c.sum()
		for err == nil && c.peek() == "," {
			c.next()
			var w float64
			w, err = c.sum()
			v = math.Max(v, w)
		}
		if c.next() != ")" {
			return 0, fmt.Errorf("%s is not closed", s)
		}
		switch s {
		case "ceil":
			v = up(v)
		case "sqrt":
			v = math.Sqrt(v)
		}
		return v, err
	default:
		return strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	}
}
