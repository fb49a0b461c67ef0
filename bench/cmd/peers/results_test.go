package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"ecoin/bench/harness"
)

func TestResultsStay(t *testing.T) {
	dir := t.TempDir()
	write := func(names ...string) error {
		r := &results{}
		for _, name := range names {
			r.Answers = append(r.Answers, &harness.Answer{Name: name, Seconds: float64(len(names))})
		}
		return r.write(dir)
	}
	for _, names := range [][]string{{"transport", "codec"}, {"ledger"}, {"transport", "system, 1 a post", "system, 100 a post"}} {
		if err := write(names...); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readResults(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := []harness.Answer{{Name: "codec", Seconds: 2}, {Name: "ledger", Seconds: 1}, {Name: "system, 1 a post", Seconds: 3}, {Name: "system, 100 a post", Seconds: 3}, {Name: "transport", Seconds: 3}}
	if len(got.Answers) != len(want) {
		t.Fatalf("%d answers", len(got.Answers))
	}
	for i, a := range got.Answers {
		if a.Name != want[i].Name || a.Seconds != want[i].Seconds {
			t.Errorf("%d is %s of %v s", i, a.Name, a.Seconds)
		}
	}
	for _, bad := range []string{"[]", `{"answers":[null]}`, `{"answers":[{"rows":[{"name":"a","against":["b"]}]}]}`} {
		if err := os.WriteFile(filepath.Join(dir, "results.json"), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if write("codec") == nil {
			t.Errorf("%s was written over", bad)
		}
	}
}

func FuzzResults(f *testing.F) {
	f.Add("{}")
	f.Add(`{"answers":[{"name":"codec","rows":[{"rounds":[{"figures":{"x":1}}]}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "results.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := readResults(file); err == nil {
			n := &results{Answers: []*harness.Answer{{Name: "ledger"}}}
			n.keep(r)
			harness.Headlines(io.Discard, n.Answers)
			for _, a := range n.Answers {
				a.Print(io.Discard)
			}
		}
	})
}
