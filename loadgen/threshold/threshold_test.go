package threshold

import (
	"strings"
	"testing"
	"time"

	"ecoin/loadgen/result"
)

// run has 1000 planned redeems of 8 coins, answered in 1..990 ms but for 6 refused and 4 failed, and
// 10 withdrawals that nobody answered, in 2 s.
func run() *result.Run {
	r := &result.Run{
		Took: 2,
		Kinds: []result.Kind{
			{Name: "redeem", Planned: 1000, Sent: 1000, OK: 990, Refused: 6, Failed: 4, Coins: 7920},
			{Name: "withdraw", Planned: 10, Sent: 10, Failed: 10},
		},
		Server: &result.Server{CPUUs: 9.5},
	}
	for i := range 990 {
		r.Kinds[0].Response.Record(time.Duration(i+1) * time.Millisecond)
		r.Kinds[0].Service.Record(time.Duration(i+1) * 100 * time.Microsecond)
		r.Generator.Lag.Record(50 * time.Microsecond)
	}
	return r
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		threshold string
		ok        bool
		value     string
	}{
		{"p50<500ms", true, "495 ms"},
		{"p50 < 400ms", false, "495 ms"},
		{"redeem:p99>0.9s", true, "980 ms"}, // 99 % of 990 is 980.1, and 1 % was not answered
		{"p99>0.9s", false, "1.98 % of the requests were not answered as they should be, and have no time"},
		{"redeem:p99.9<=1s", false, "1 % of the requests were not answered as they should be, and have no time"},
		{"max<1s", true, "990 ms"},
		{"mean<496ms", true, "496 ms"}, // 495.5, and buckets of 0.1 %
		{"service.p90<90ms", true, "89.2 ms"},
		{"lag.p99<1ms", true, "50 µs"},
		{"lag.max>=1ms", false, "50 µs"},
		{"errors<2%", true, "1.98 %"}, // 20 of 1010
		{"redeem:errors<=1%", true, "1 %"},
		{"redeem:errors<1%", false, "1 %"},
		{"refused<0.5%", false, "0.594 %"},
		{"withdraw:refused<=0%", true, "0 %"},
		{"rate>3959", true, "3,960 coins/s"},
		{"rate>=3960.5", false, "3,960 coins/s"},
		{"redeem:rate>3959", true, "3,960 coins/s"},
		{"withdraw:rate>0", false, "0 coins/s"},
		{"cpu<10us", true, "9.5 µs"},
		{"cpu<9us", false, "9.5 µs"},
		{"withdraw:p99<10ms", false, "no request was answered"},
		{"withdraw:service.max>=0ms", false, "no request was answered"},
		{"refund:p99<10ms", false, "the run has no requests of kind refund"},
	} {
		parsed, err := Parse(c.threshold)
		if err != nil {
			t.Errorf("%s: %v", c.threshold, err)
			continue
		}
		got := parsed.Check(run())
		if got.OK != c.ok || got.Value != c.value || got.Name != strings.ReplaceAll(c.threshold, " ", "") {
			t.Errorf("%s: %+v, want %v and %q", c.threshold, got, c.ok, c.value)
		}
	}
}

// TestNothingPasses checks that what a run does not have fails every threshold.
func TestNothingPasses(t *testing.T) {
	for _, threshold := range []string{"p99<1h", "p99>=0s", "max<=1h", "service.mean<1h", "lag.p99<1h", "errors<=100%", "refused>=0%", "rate>=0", "cpu<1h"} {
		parsed, err := Parse(threshold)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Check(&result.Run{Kinds: []result.Kind{{Name: "redeem"}}}); got.OK || got.Value == "" {
			t.Errorf("%s: %+v", threshold, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, why string }{
		{"", "has no <"},
		{"p99", "has no <"},
		{"p99=10ms", "has no <"},
		{"<10ms", "is not measured"},
		{"p98<10ms", "is not measured"},
		{"P99<10ms", "is not measured"},
		{"service.errors<1%", "is not measured"},
		{"service.lag.p99<1ms", "is not measured"},
		{"p99<10", "write it with its unit"},
		{"p99<ms", "write it with its unit"},
		{"p99<-1ms", "write it with its unit"},
		{"p99<<1ms", "write it with its unit"},
		{"p99<1ms<2ms", "write it with its unit"},
		{"p99==1ms", "has no <"},
		{"p99<0ms", "nothing is below 0"},
		{"errors<0.1", "in percent"},
		{"errors<1e1%", "in percent"},
		{"errors<%", "in percent"},
		{"errors<101%", "more than all"},
		{"errors>100%", "more than all"},
		{"rate>5k", "no number of coins"},
		{"rate>inf", "no number of coins"},
		{"rate>-1", "no number of coins"},
		{"rate>1" + strings.Repeat("0", 400), "no number of coins"},
		{"Redeem:p99<1ms", "no kind of request"},
		{":p99<1ms", "no kind of request"},
		{"a:b:p99<1ms", "is not measured"},
		{"redeem:lag.p99<1ms", "of the whole run"},
		{"redeem:cpu<1ms", "of the whole run"},
	} {
		if parsed, err := Parse(c.text); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%q: %v, %v; want an error with %q", c.text, parsed, err, c.why)
		}
	}
}

// FuzzParse checks that what is read is written so that it is read as the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"p99<10ms", "redeem:service.p99.9 <= 1.5s", "errors<0.1%", "rate>=5000", "cpu<50us", "lag.p99<1ms", "p99<1e3ms", "rate>.", "a<0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if err != nil {
			if parsed != nil {
				t.Fatal("a threshold and an error")
			}
			return
		}
		again, err := Parse(parsed.String())
		if err != nil || *again != *parsed {
			t.Fatalf("%q is written %q, which is read as %+v, %v", text, parsed, again, err)
		}
		parsed.Check(run())
	})
}

// TestAQuantileIsOfAllRequests: of a hundred requests two were skipped, and the others took
// a millisecond. The p99 is not a millisecond: nobody knows it.
func TestAQuantileIsOfAllRequests(t *testing.T) {
	run := &result.Run{Took: 1, Kinds: []result.Kind{{Name: "redeem", Planned: 100, Sent: 98, OK: 98, Skipped: 2}}}
	for range 98 {
		run.Kinds[0].Response.Record(time.Millisecond)
		run.Kinds[0].Service.Record(time.Millisecond)
	}
	for text, want := range map[string]bool{"p90<10ms": true, "p99<10ms": false, "redeem:p99<10ms": false, "service.p99<10ms": false, "max<10ms": true} {
		th, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if c := th.Check(run); c.OK != want {
			t.Errorf("%s: %+v, want %t", text, c, want)
		}
	}
}
