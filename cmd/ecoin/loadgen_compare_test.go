package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecoin/loadgen/resulttest"
)

func TestLoadgenCompare(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	o := resulttest.Options{Seconds: 20, Rate: 100, Calm: true}
	fast := writeRun(t, resulttest.Run(o))
	o.Seed = 1
	again := writeRun(t, resulttest.Run(o))
	o.Slow = 2
	slow := writeRun(t, resulttest.Run(o))
	r := resulttest.Run(o)
	r.Setup.Batch = 99
	other := writeRun(t, r)
	page := filepath.Join(t.TempDir(), "c.html")
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"worse", []string{fast, slow, "--html", page}, 0, "B against A: "},
		{"worse fails", []string{fast + "," + again, slow, "--fail-worse"}, 4, " worse"},
		{"better fails not", []string{slow, fast, "--fail-worse"}, 0, " better"},
		{"the same", []string{fast, fast, "--fail-worse"}, 0, "No difference shown"},
		{"another batch", []string{fast, other}, 1, "--force compares them all the same"},
		{"forced", []string{fast, other, "--force"}, 0, "Note        The coins a request"},
		{"no file", []string{fast, "none.json"}, 1, "none.json"},
		{"no name", []string{fast + ",", fast}, 1, "names an empty file"},
		{"one side", []string{fast}, 2, "expected"},
	} {
		code, out, err := ecoin(t, append([]string{"loadgen", "compare"}, c.args...)...)
		if code != c.code || !strings.Contains(out+err, c.says) {
			t.Errorf("%s: exit code %d, want %d, and %q:\n%s%s", c.name, code, c.code, c.says, out, err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || !strings.Contains(string(got), "B against A: ") {
		t.Errorf("the page: %v", err)
	}
}
