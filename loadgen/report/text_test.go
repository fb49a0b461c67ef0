package report

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"ecoin/internal/columns"
	"ecoin/loadgen/result"
	"ecoin/loadgen/resulttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./loadgen/report -update writes it anew):\n%s", path, got)
	}
}

func asText(t *testing.T, r *result.Run, colour bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, r, colour); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns.Width && !colour {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	return b.String()
}

func TestText(t *testing.T) {
	golden(t, "run.txt", asText(t, resulttest.Run(resulttest.Options{}), false))

	bad := mixed()
	bad.Invalid = []string{"the generator used 1.96 of 2 cores", "send lag p99 was 12 ms"}
	bad.Audit.OK, bad.Audit.Problems = false, []string{"17 coins were redeemed twice"}
	bad.Audit.DoubleSpendsRefused -= 3
	bad.Faults[0].RecoveryS = -1
	bad.Checks = append(bad.Checks, result.Check{Name: "p99<10ms", Value: "1.2 s"})
	golden(t, "bad.txt", asText(t, bad, false))
}

// mixed is a run of three kinds of request.
func mixed() *result.Run {
	r := resulttest.Run(resulttest.Options{Seconds: 20})
	for i, name := range []string{"refund", "withdraw"} {
		k := resulttest.Run(resulttest.Options{Seconds: 20, Rate: 100 * (i + 1), Slow: float64(i + 2)}).Kinds[0]
		k.Name = name
		r.Kinds = append(r.Kinds, k)
	}
	r.Setup.Workload = "mix redeem:10 refund:1 withdraw:2"
	return r
}

// small are runs with little in them, which must be shown all the same.
func small() map[string]*result.Run {
	one := resulttest.Run(resulttest.Options{Seconds: 1, Rate: 10})
	bare := resulttest.Run(resulttest.Options{Seconds: 5, Rate: 10})
	bare.Server, bare.Audit, bare.Checks = nil, nil, nil
	for i := range bare.Seconds {
		bare.Seconds[i].CPU = 0
	}
	hopeless := &result.Run{Took: 3, Kinds: []result.Kind{{Name: "redeem", Planned: 30, Sent: 30, Failed: 30}}}
	for i := range 3 {
		hopeless.Seconds = append(hopeless.Seconds, result.Second{At: float64(i), Planned: 10, Failed: 10})
	}
	return map[string]*result.Run{
		"empty":          {Kinds: []result.Kind{{Name: "redeem"}}},
		"without kinds":  {},
		"one second":     one,
		"without server": bare,
		"no answer":      hopeless,
	}
}

func TestTextOfLittle(t *testing.T) {
	for name, r := range small() {
		first := "Valid, "
		if total := r.Total(); total.OK == 0 {
			first = "NOTHING ANSWERED, valid, "
		}
		if got := asText(t, r, false); !strings.HasPrefix(got, first) || strings.Contains(got, "NaN") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

// hostile is a run whose every string attacks what shows it.
func hostile() *result.Run {
	const evil = "\x1b[2J\x1b]0;owned\a<script>document.title='owned'</script>\" onload=\"document.title='owned'\u202e\n"
	r := mixed()
	for _, s := range []*string{&r.Command, &r.Machine, &r.Setup.Target, &r.Setup.Workload, &r.Setup.Model, &r.Setup.Schedule, &r.Setup.Suite,
		&r.Kinds[0].Name, &r.Errors[0].Kind, &r.Errors[0].Reason, &r.Faults[0].What, &r.Audit.Bank, &r.Checks[0].Name, &r.Checks[0].Value} {
		*s = evil
	}
	r.Invalid, r.Audit.Problems = []string{evil}, []string{evil + strings.Repeat("x", 300)}
	for i := range 30 {
		r.Errors = append(r.Errors, result.Error{Kind: evil, Reason: fmt.Sprint(evil, i), Count: int64(i)})
	}
	return r
}

func TestTextOfAStranger(t *testing.T) {
	if got := asText(t, hostile(), false); strings.ContainsAny(got, "\x1b\a\u202e\r") {
		t.Errorf("control characters:\n%q", got)
	}
	if got := asText(t, hostile(), true); strings.Count(got, "\x1b") != 2 {
		t.Errorf("other escapes than those of the verdict:\n%q", got)
	}
}

func TestFrequent(t *testing.T) {
	var all []result.Error
	for i := range 6 {
		all = append(all, result.Error{Kind: "k", Reason: fmt.Sprint(i), Count: int64(i)})
	}
	if got := fmt.Sprint(frequent(all, 3)); got != "[{k 5 5} {k 4 4} {k 3 3} {others 3 further reasons 3}]" {
		t.Errorf("of six the three most frequent are %s", got)
	}
	if got := frequent(all, 6); len(got) != 6 || all[0].Count != 0 {
		t.Errorf("all six are %v, of %v", got, all)
	}
}
