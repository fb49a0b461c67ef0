package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ecoin/bench/benchtest"
	"ecoin/bench/better"
	"ecoin/bench/daemon"
	"ecoin/bench/harness"
	"ecoin/bench/obvious"
)

// TestMain plays the servers, which are this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"store-server", "obvious-bank", "better-bank", "transport-server"}, os.Args[1]) {
		main()
		return
	}
	os.Exit(m.Run())
}

// tiny is enough to see that everything works.
var tiny = sizes{rounds: 1, job: time.Millisecond, coins: 6400, load: time.Second, half: time.Second, warmup: 50 * time.Millisecond, transport: 20 * time.Millisecond}

// installed skips a test for which a database is missing.
func installed(t *testing.T) {
	t.Helper()
	_, redis := daemon.FindRedis()
	_, postgres := daemon.FindPostgres()
	benchtest.Need(t, redis, postgres)
}

// TestBanks tries to cheat each bank: many double spends, retries and bad headers, all of
// which must be answered as such, and the analysts be paid for the others alone.
func TestBanks(t *testing.T) {
	t.Parallel()
	installed(t)
	b := &bench{sizes: tiny, dir: benchtest.Folder(t)}
	var err error
	if b.self, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.build(t.Context(), "../../.."), b.fleet(t.Context())); err != nil {
		t.Fatal(err)
	}
	parts, err := b.system(t.Context())
	if err != nil || len(parts) != 2 || len(parts[0].Contenders) != 3 || len(parts[1].Contenders) != 3 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	f, err := b.measureBank(t.Context(), b.entrants(oneAPost)[0], shape{10, 4, 100}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range parts[0].Columns {
		if v, ok := f[c.Key]; !ok || v < 0 {
			t.Errorf("%s is %v, %t", c.Head, v, ok)
		}
	}
	b.sizes.warmup = 0 // every coin counts
	for _, e := range b.entrants(manyAPost) {
		t.Run(e.name, func(t *testing.T) {
			dir := filepath.Join(b.dir, "bank")
			if err := os.Mkdir(dir, 0o711); err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			target, err := e.start(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := target.stop(); err != nil {
					t.Error(err)
				}
			}()
			run, cpu, err := b.loadgen(t.Context(), target, shape{batch: 20}, 5*time.Minute, "--closed", "--conns", "4", "--max-coins", "200", // it ends when what is left is less than a post
				"--double-spends", "0.2", "--retries", "0.2", "--bad-headers", "0.2")
			if err != nil {
				t.Fatal(err)
			}
			a := run.Audit
			if !a.OK || a.Redeemed <= 180 || a.DoubleSpends == 0 || a.DoubleSpends != a.DoubleSpendsRefused || a.Retries == 0 || a.Retries != a.RetriesSame || a.BadHeaders != a.BadHeadersRefused {
				t.Errorf("the audit: %+v", a)
			}
			if all := run.Total(); all.Failed > 0 || cpu < 0 {
				t.Errorf("%d requests failed: %v; %v of CPU", all.Failed, run.Errors, cpu)
			}
		})
	}
}

// TestForgetful has banks refuse databases that do not keep what they answer.
func TestForgetful(t *testing.T) {
	installed(t)
	dir := benchtest.Folder(t)
	db, err := daemon.Redis(t.Context(), filepath.Join(dir, "redis"), "no")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := better.New(t.Context(), db.Address, "", nil); err == nil || !strings.Contains(err.Error(), "forgets") {
		t.Errorf("a Redis without a log: %v", err)
	}
	pg, err := daemon.Postgres(t.Context(), filepath.Join(dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := obvious.New(t.Context(), pg.Address+"&synchronous_commit=off", "", nil); err == nil || !strings.Contains(err.Error(), "forgets") {
		t.Errorf("a PostgreSQL that commits later: %v", err)
	}
}

func TestNoteInvalid(t *testing.T) {
	of := func(f harness.Figures) harness.Row { return harness.Row{Rounds: []harness.Measurement{{Figures: f}}} }
	a := &harness.Answer{Limits: "Much.", Rows: []harness.Row{of(harness.Figures{"invalid": 1, "errors": 0, "invalid_fixed": 0, "errors_fixed": 2.5}), of(harness.Figures{"invalid": 0, "errors": 1})}}
	if noteInvalid(a); !strings.HasPrefix(a.Limits, "Much. In 1 of the 3 open loads ") || !strings.Contains(a.Limits, " 2.50 % ") {
		t.Error(a.Limits)
	}
	a = &harness.Answer{Rows: []harness.Row{of(harness.Figures{"rate": 1})}}
	if noteInvalid(a); a.Limits != "" {
		t.Error(a.Limits)
	}
}

// TestCompare asks those questions that take little time.
func TestCompare(t *testing.T) {
	t.Parallel()
	installed(t)
	dir, out := benchtest.Folder(t), t.TempDir()
	c := &compareCmd{Only: []string{"ledger", "transport"}, Source: "../../..", Dir: dir, Out: out}
	if err := c.compare(t.Context(), tiny); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, a := range r.Answers {
		rows[a.Name] = len(a.Rows)
		for _, row := range a.Rows {
			if len(row.Rounds) != 1 {
				t.Fatalf("%s, %s: %d rounds", a.Name, row.Name, len(row.Rounds))
			}
			for _, column := range a.Columns {
				f, ok := row.Rounds[0].Figures[column.Key]
				// What is shorter than a tick of the clock takes no CPU time.
				if free := strings.Contains(column.Key, "cpu"); !ok && row.Name != ledgerBank || f < 0 || f == 0 && !free && ok {
					t.Errorf("%s, %s: %s is %v, %t", a.Name, row.Name, column.Key, f, ok)
				}
			}
		}
	}
	if rows["ledger"] != 7 || rows["transport"] != 2 {
		t.Errorf("contenders: %v", rows)
	}
	tables, err := os.ReadFile(filepath.Join(out, "tables.md"))
	if err != nil || !strings.Contains(string(tables), "| disk bytes/coin | PostgreSQL |") {
		t.Errorf("the tables: %v\n%s", err, tables)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestInterrupted stops in the middle: what was started ends, what was made is removed.
func TestInterrupted(t *testing.T) {
	dir := benchtest.Folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := &compareCmd{Only: []string{"transport"}, Source: "../../..", Dir: dir, Out: t.TempDir()}
	if err := c.compare(ctx, tiny); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOptions(t *testing.T) {
	for name, c := range map[string]compareCmd{"question": {Only: []string{"weather"}}, "rounds": {Rounds: -1}, "many rounds": {Rounds: 101}} {
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c := compareCmd{Only: questions, Quick: true}
	if err := c.Validate(); err != nil || c.sizes().rounds != 2 {
		t.Errorf("%v, %+v", err, c.sizes())
	}
	c.Quick = false
	if full := c.sizes(); full.rounds < 5 || full.coins < 1e6 {
		t.Errorf("%+v", full)
	}
	if c.Rounds = 7; c.sizes().rounds != 7 {
		t.Error("--rounds is not heeded")
	}
}
