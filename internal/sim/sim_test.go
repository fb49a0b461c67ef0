package sim

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// steps returns the length of a run. Under the race detector, which has little to find
// where one call follows the other, Pebble takes many times as long.
func steps() int {
	if raceEnabled {
		return 25
	}
	return 250
}

// rounds returns how many seeds are new, and how many are played again.
func rounds() int {
	if raceEnabled {
		return 1
	}
	return 3
}

// fixed are the seeds of every run of the tests. Together they choose every variant.
var fixed = []uint64{1, 2, 14, 3, 4, 6, 22}

// run simulates one seed, and prints what is needed to see it again if it fails.
func run(t *testing.T, seed uint64) (r result) {
	t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
		r = simulate(t, seed, steps())
		if r.err != nil {
			t.Errorf("%v\nthe end of the trace:\n\t%s\nsee it again: make sim SEED=%d",
				r.err, strings.Join(r.trace[max(0, len(r.trace)-30):], "\n\t"), seed)
		}
		t.Logf("%s: %d lines of trace, %d lives, %d coin checks", r.trace[0], len(r.trace), r.lives, r.checks)
	})
	return r
}

// TestFixedSeeds simulates the fixed seeds.
func TestFixedSeeds(t *testing.T) {
	var all result
	seeds := fixed
	if raceEnabled {
		seeds = fixed[:2]
	}
	for _, seed := range seeds {
		r := run(t, seed)
		all.lives += r.lives
		all.checks += r.checks
		all.trace = append(all.trace, r.trace...)
	}
	if t.Failed() || raceEnabled {
		return // too short for all of the following
	}
	if all.lives < 10*len(fixed) || all.checks < 1000*all.lives/2 {
		t.Errorf("only %d lives and %d coin checks", all.lives, all.checks)
	}
	// Whatever can happen does.
	want := []string{"open failed", "fatal;", "power lost, the disk keeps 0%", "power lost, the disk keeps 100%", "a first part", "any sectors",
		"reads fail: true", "power lost at rest", "hold write", "hold the next sync", "break", "-> lost", "again withdraw", "again redeem", "again look",
		"quiet time", "clock", "used salt", " bank ", "another number of coins", "not sufficient", "add a", "remove a", "close"}
	for _, v := range variants() {
		want = append(want, v.name)
	}
	text := strings.Join(all.trace, "\n")
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("%q never happened", s)
		}
	}
}

// TestReplay simulates seeds twice: everything must happen again, word for word.
func TestReplay(t *testing.T) {
	for _, seed := range fixed[:rounds()] {
		first, second := run(t, seed), run(t, seed)
		if slices.Equal(first.trace, second.trace) {
			continue
		}
		for i := range first.trace {
			if i == len(second.trace) || first.trace[i] != second.trace[i] {
				t.Errorf("seed %d, line %d was %q, and then %q", seed, i, first.trace[i], second.trace[min(i, len(second.trace)-1)])
				break
			}
		}
	}
}

// TestNewSeeds simulates seeds that were never tried. ECOIN_SIM_SEED and
// ECOIN_SIM_ROUNDS choose others: make sim SEED=n ROUNDS=n.
func TestNewSeeds(t *testing.T) {
	seed, rounds := envUint(t, "ECOIN_SIM_SEED", uint64(time.Now().UnixNano())), envUint(t, "ECOIN_SIM_ROUNDS", uint64(rounds()))
	for i := range rounds {
		t.Logf("seed %d", seed+i)
		if run(t, seed+i); t.Failed() {
			return
		}
	}
}

func envUint(t *testing.T, name string, value uint64) uint64 {
	if s := os.Getenv(name); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return v
	}
	return value
}
