package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ecoin/bench/harness"
)

// results is what results.json holds.
type results struct {
	Answers []*harness.Answer `json:"answers"`
}

// write writes tables.md, ratios.svg and results.json. Answers to other questions that are there stay.
func (r *results) write(dir string) error {
	file := filepath.Join(dir, "results.json")
	before, err := readResults(file)
	if err != nil {
		return err
	}
	r.keep(before)
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var tables strings.Builder
	harness.Headlines(&tables, r.Answers)
	for _, a := range r.Answers {
		a.Print(&tables)
	}
	if plot, err := harness.Plot(r.Answers); err != nil {
		return err
	} else if plot != nil {
		if err := os.WriteFile(filepath.Join(dir, "ratios.svg"), plot, 0o644); err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile(file, append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "tables.md"), []byte(tables.String()), 0o644),
	)
}

// readResults reads results.json; without an error when there is none.
func readResults(file string) (*results, error) {
	r := &results{}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(text, r)
	for i := 0; err == nil && i < len(r.Answers); i++ {
		if r.Answers[i] == nil {
			err = fmt.Errorf("answer %d is null", i)
		} else {
			err = r.Answers[i].Check()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s is there and holds no results, move it away: %w", file, err)
	}
	return r, nil
}

// keep takes what only before has, and puts all in the order of the questions.
func (r *results) keep(before *results) {
	for _, a := range before.Answers {
		if !slices.ContainsFunc(r.Answers, func(n *harness.Answer) bool { return n.Name == a.Name }) {
			r.Answers = append(r.Answers, a)
		}
	}
	place := func(a *harness.Answer) int {
		return slices.IndexFunc(questions, func(q string) bool { return strings.HasPrefix(a.Name, q) })
	}
	slices.SortStableFunc(r.Answers, func(a, b *harness.Answer) int { return place(a) - place(b) })
}
