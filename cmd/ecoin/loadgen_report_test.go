package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecoin/loadgen/result"
	"ecoin/loadgen/resulttest"
)

// writeRun writes a run into a file of the test's folder.
func writeRun(t *testing.T, r *result.Run) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "run-*.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestLoadgenReport(t *testing.T) {
	run := writeRun(t, resulttest.Run(resulttest.Options{Seconds: 5, Rate: 100}))
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	out := mustEcoin(t, "loadgen", "report", run, "--html", file("r.html"), "--hgrm", file("r.hgrm"), "--hlog", file("r.hlog"), "--threshold", "rate>1")
	if !strings.HasPrefix(out, "Valid, audit ok, 2 of 2 thresholds met\n") || strings.Contains(out, "\x1b") {
		t.Errorf("it says:\n%s", out)
	}
	for name, part := range map[string]string{"r.html": "rate&gt;1", "r.hgrm": "#[Max     =", "r.hlog": "#[StartTime: 1793534400 "} {
		got, err := os.ReadFile(file(name))
		if err != nil || !strings.Contains(string(got), part) {
			t.Errorf("%s: %v, no %s", name, err, part)
		}
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"threshold not met", []string{run, "--threshold", "p50<1us"}, 4, "1 of 2"},
		{"no threshold", []string{run, "--threshold", "p50<1"}, 2, "with its unit"},
		{"no file", []string{file("none.json")}, 1, "none.json"},
		{"not a run", []string{file("r.hgrm")}, 1, "not the JSON of a run"},
		{"nowhere to write", []string{run, "--html", file("no/r.html")}, 1, "no/r.html"},
	} {
		code, out, err := ecoin(t, append([]string{"loadgen", "report"}, c.args...)...)
		if code != c.code || !strings.Contains(out+err, c.says) {
			t.Errorf("%s: exit code %d, want %d, and %q:\n%s%s", c.name, code, c.code, c.says, out, err)
		}
	}
}
