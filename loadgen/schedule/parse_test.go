package schedule

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestParseAndString(t *testing.T) {
	for text, want := range map[string]string{
		"5000": "constant:5000", "constant:5e3": "constant:5000", "constant:0.25": "constant:0.25", "constant:+7": "constant:7",
		"poisson:5000": "poisson:5000", "ramp:100..5000": "ramp:100..5000", "ramp:-0..1": "ramp:0..1",
		"step:1000,2000,4000": "step:1000,2000,4000", "step:1000": "step:1000", "step:1000x10s,2000x1.5m": "step:1000x10s,2000x1m30s",
		"sine:5000+-2000/60s": "sine:5000+-2000/1m0s", "sine:1e3+-1e-3/1h": "sine:1000+-0.001/1h0m0s", "sine:5+-5/1ms": "sine:5+-5/1ms",
		"trace:0,1": "trace:0,1", "trace:1*0,1": "trace:0,1", "trace:2*0,1": "trace:2*0,1",
	} {
		s := must(t, text)
		if s.String() != want {
			t.Errorf("%q prints itself as %q, want %q", text, s, want)
		}
		if again := must(t, want); !reflect.DeepEqual(s, again) {
			t.Errorf("%q is %v, but %q is %v", text, s, want, again)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "not a number"}, {"constant:", "not a number"}, {"constant:5 ", "not a number"}, {"constant:5/s", "not a number"},
		{"NaN", "not a number"}, {"constant:nan", "not a number"},
		{"Inf", "at most 1e+07"}, {"1e999", "at most 1e+07"}, {"10000001", "at most 1e+07"}, {"-Inf", "negative"}, {"constant:-1", "negative"},
		{"0", "sends nothing"}, {"1e-10", "sends nothing"}, {"poisson:0", "sends nothing"}, {"ramp:0..0", "sends nothing"},
		{"step:0,0", "sends nothing"}, {"sine:0+-0/1s", "sends nothing"}, {"trace:0,0", "sends nothing"},
		{"linear:5", "no such schedule"}, {":5", "no such schedule"}, {"Constant:5", "no such schedule"},
		{"ramp:5", "ramp:FROM..TO"}, {"ramp:5..", "not a number"}, {"ramp:5..6..7", "not a number"}, {"ramp:5..-1", "negative"},
		{"step:", "step 1: "}, {"step:1,", "step 2: "}, {"step:1,x5s", "step 2: "}, {"step:1x", "step 1: "}, {"step:1x5", "step 1: "},
		{"step:1x0s", "more than 0"}, {"step:1x-1s", "more than 0"}, {"step:1x1001h", "at most 1000h"}, {"step:1x900h,1x101h", "step 2: the steps are longer"},
		{"step:1,2x5s", "step 2: either all"}, {"step:1x5s,2", "step 2: either all"},
		{"step:1" + strings.Repeat(",1", maxSteps), "at most 10000"},
		{"sine:5", "sine:MEAN"}, {"sine:5+-2", "sine:MEAN"}, {"sine:5/60s", "sine:MEAN"}, {"sine:5+-6/60s", "more than the mean"},
		{"sine:5+--1/60s", "negative"}, {"sine:5+-2/0s", "more than 0"}, {"sine:5+-2/999us", "at least 1ms"}, {"sine:5+-2/", "not a length"},
		{"sine:9e6+-2e6/60s", "at most 1e+07"},
		{"trace:", "no rows"}, {"trace:\n\n#5,5\n", "no rows"}, {"trace:seconds,rate\n", "no rows"},
		{"trace:0,1\n5", "line 2: one column"}, {"trace:5", "line 1: one column"}, {"trace:time\n5,5", "line 1: one column"},
		{"trace:0,1\n\n5,1\n4,1", "line 4: 4 s is not later than 5 s"}, {"trace:0,1\n0,2", "line 2: 0 s is not later"},
		{"trace:0,1\na,b", "line 2: \"a\" is not a time"}, {"trace:O,1", "line 1: \"O\" is not a time"}, {"trace:a,b\nc,d", "line 2: \"c\" is not a time"},
		{"trace:nan,rate", "line 1: \"nan\" is not a time"}, {"trace:inf,1", "line 1: "}, {"trace:-1,1", "line 1: "}, {"trace:3600001,1", "line 1: "},
		{"trace:0,x", "line 1: \"x\" is not a number"}, {"trace:0,-1", "line 1: a rate of -1 is negative"}, {"trace:0,1e8", "line 1: a rate of 1e8"},
		{"trace:0,nan", "line 1: "}, {"trace:0,inf", "line 1: "}, {"trace:0,\"1", "line 1"},
		{"trace:0*0,1", "must be positive"}, {"trace:-1*0,1", "must be positive"}, {"trace:nan*0,1", "must be positive"}, {"trace:1e999*0,1", "must be positive"},
		{"trace:100*0,1000000", "at most 1e+07"}, {"trace:1e-300*0,1", "sends nothing"},
	} {
		s, err := parse(c.text, func(rows string) ([]row, error) { return parseTrace([]byte(rows)) })
		if err == nil {
			t.Errorf("%.60q is read as %.60v", c.text, s)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60q: %v; want it to say %q", c.text, err, c.says)
		}
	}
}

func TestTraceIsRead(t *testing.T) {
	want := []row{{0, 10}, {60, 20}, {90, 0}, {120, 0}}
	for name, text := range map[string]string{
		"plain":                 "0,10\n60,20\n90,0\n",
		"header":                "t,rate\n0,10\n60,20\n90,0",
		"byte order, windows":   "\ufefftime (s),rate (1/s),note\r\n0,10,\r\n60,20,x\r\n90,0,\r\n",
		"byte order, no header": "\ufeff0,10\n60,20\n90,0",
		"spaces, quotes":        "\"0\", 10\n 60 ,2e1\n\n90,0\n",
		"comments":              "# made by hand\n0,10\n#\n60,20\n90,0\n",
	} {
		if got, err := parseTrace([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := parseTrace([]byte("5,1")); err != nil || len(got) != 2 || !math.IsInf(got[1].at, 1) {
		t.Errorf("one row: %v, %v", got, err)
	}
}

// FuzzParse checks that what is read is printed as what is read as the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"5000", "constant:5000", "poisson:5000", "ramp:100..5000", "step:1000,2000,4000", "step:1000x10s,2000x20s",
		"sine:5000+-2000/60s", "trace:f", "trace:0.5*f", "trace:1*2*f", "trace:1e-3*f", "step:1,", "sine:1+-2/1s",
	} {
		f.Add(text, "t,rate\n0,10\n60,20\n")
	}
	f.Add("trace:f", "0,1\n1")
	f.Fuzz(func(t *testing.T, text, file string) {
		read := func(string) ([]row, error) { return parseTrace([]byte(file)) }
		s, err := parse(text, read)
		if err != nil {
			if s != nil {
				t.Fatal("a schedule with an error")
			}
			return
		}
		again, err := parse(s.String(), read)
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%q is %v, which is read as %v (%v)", text, s, again, err)
		}
		for _, f := range []float64{1e-30, .3, 1e30} {
			if _, err := parse(s.Scale(f).String(), read); err != nil {
				t.Fatal(fmt.Errorf("%q times %g: %w", text, f, err))
			}
		}
	})
}
