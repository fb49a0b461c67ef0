package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMeasures runs a short measurement of everything against a real bank.
func TestMeasures(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "ecoin")
	if out, err := exec.Command("go", "build", "-o", binary, "ecoin/cmd/ecoin").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o := &options{Bank: binary, Suite: "x25519", Time: 200 * time.Millisecond, Rounds: 1, Idle: 50, Shapes: []shape{{100, 4}},
		Only: []string{"closed", "open", "idle", "handshakes"}, Dir: dir, Out: filepath.Join(dir, "out")}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "out", "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Closed) != 1 || len(r.Closed[0].Rounds) != 1 || r.Closed[0].Rounds[0].Coins == 0 || r.Closed[0].Transport[0].Coins == 0 {
		t.Errorf("closed: %+v", r.Closed)
	}
	if len(r.Open) != 5 || r.Open[1].P99Ms <= 0 || r.Open[1].Coins == 0 {
		t.Errorf("open: %+v", r.Open)
	}
	cpu := r.Closed[0].Rounds[0].CPU // comes in steps of 10 ms, so one load may show none
	for _, o := range r.Open {
		cpu += o.CPU
	}
	if cpu <= 0 {
		t.Errorf("no load took CPU time: %+v, %+v", r.Closed, r.Open)
	}
	if len(r.Handshakes) != 2 || r.Handshakes[0].PerS <= 0 || r.Idle == nil || r.Idle.Conns != 50 {
		t.Errorf("handshakes %+v, idle %+v", r.Handshakes, r.Idle)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "ecoin-load-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	o.Bank = "/bin/false"
	if err := run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "ecoin binary") {
		t.Errorf("with no bank: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for text, want := range map[string]shape{"100x16": {100, 16}, "1x256": {1, 256}, "0x1": {}, "1001x1": {}, "x": {}, "5": {}, "1x0": {}} {
		var s shape
		if err := s.UnmarshalText([]byte(text)); (err == nil) != (want != shape{}) || err == nil && s != want {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	good := options{Time: time.Second, Rounds: 1, Only: []string{"closed"}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*options){
		"time": func(o *options) { o.Time = 0 }, "rounds": func(o *options) { o.Rounds = 0 },
		"idle": func(o *options) { o.Idle = -1 }, "only": func(o *options) { o.Only = []string{"all"} },
	} {
		bad := good
		change(&bad)
		if bad.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s := spreadOf([]float64{3, 1, 2, 10}, func(x float64) float64 { return x }); s != (spread{2.5, 1, 10}) {
		t.Errorf("spread %v", s)
	}
}
