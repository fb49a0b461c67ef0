package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecoin/loadgen/plan"
	"ecoin/loadgen/result"
)

// planned runs ecoin plan.
func planned(t *testing.T, args ...string) (code int, out, complaints string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"plan"}, args...), streams{&stdout, &stderr})
	return code, stdout.String(), stderr.String()
}

func TestPlan(t *testing.T) {
	code, out, complaints := planned(t)
	golden, err := os.ReadFile("../../loadgen/plan/testdata/default.txt")
	if err != nil {
		t.Fatal(err)
	}
	if code != 0 || complaints != "" || out != string(golden) {
		t.Errorf("exit code %d, %s; the plan without flags is not loadgen/plan/testdata/default.txt:\n%s", code, complaints, out)
	}
}

func TestPlanFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("node.json"), []byte(`{"name": "ours", "cores": 8, "memory_gb": 64, "disks": 4, "disk_tb": 2, "network_gbit_per_s": 25, "price_per_month": 321, "currency": "EUR"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, complaints := planned(t, "--devices=1e6", "--node-file", file("node.json"), "--ledger=index,sql", "--json", file("plan.json"), "--html", file("plan.html"),
		"--from", writePlanRun(t, file("one.json"), nil), "--from", writePlanRun(t, file("two.json"), nil))
	if code != 0 || complaints != "" || !strings.Contains(out, "EUR a month") || strings.Contains(out, "Pebble, no index") || !strings.Contains(out, "median of 2") {
		t.Errorf("exit code %d, %s\n%s", code, complaints, out)
	}
	text, err := os.ReadFile(file("plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p plan.Plan
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	if p.Format != plan.Format || p.Node.Name != "ours" || p.Target.Devices != 1e6 || len(p.Ledgers) != 2 || len(p.Lines) < 100 || p.Ledgers[0].Cost != p.Ledgers[0].Nodes*321 {
		t.Errorf("the JSON holds %+v", p.Ledgers)
	}
	page, err := os.ReadFile(file("plan.html"))
	if err != nil || !bytes.HasPrefix(page, []byte("<!DOCTYPE html>")) || !bytes.Contains(page, []byte("<svg")) {
		t.Errorf("the page is %.80q (%v)", page, err)
	}
	code, out, _ = planned(t, "--json=-")
	if code != 0 || json.Unmarshal([]byte(out), &p) != nil || p.Target.Devices != 1e9 {
		t.Errorf("exit code %d, standard output is not the JSON of a plan: %.200s", code, out)
	}
}

// writePlanRun writes a run of redeem, changed by change.
func writePlanRun(t *testing.T, path string, change func(*result.Run)) string {
	t.Helper()
	r := &result.Run{
		Started: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), Took: 10,
		Setup:  result.Setup{Workload: "redeem", Model: "open", Suite: "x25519", Batch: 100, Conns: 16},
		Kinds:  []result.Kind{{Name: "redeem", Planned: 10, Sent: 10, OK: 10, Coins: 1000}},
		Server: &result.Server{CPUUs: 12},
	}
	if change != nil {
		change(r)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPlanRefuses gives every flag a bad value, and files that are none.
func TestPlanRefuses(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, err := os.ReadFile(writePlanRun(t, filepath.Join(dir, "good.json"), nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--devices=0", 2, "--devices is 0: give a number from 1"},
		{"--devices=many", 2, "--devices"},
		{"--devices=NaN", 2, "--devices is NaN"},
		{"--coins=1.5", 2, "--coins is 1.5: give a whole number"},
		{"--operations-per-device-day=-1", 2, "--operations-per-device-day is -1"},
		{"--suite=rot13", 2, `--suite: core: unknown suite "rot13"`},
		{"--suite=rsa3072", 1, "nothing was measured of suite rsa3072"},
		{"--replicas=0", 2, "--replicas is 0"},
		{"--batch=1001", 2, "--batch is 1001"},
		{"--peak=0.9", 2, "--peak is 0.9"},
		{"--utilisation=2", 2, "--utilisation is 2"},
		{"--connects-per-device-day=-1", 2, "--connects-per-device-day is -1"},
		{"--resumed=2", 2, "--resumed is 2"},
		{"--hold-seconds=-1", 2, "--hold-seconds is -1"},
		{"--connections-per-node=0", 2, "--connections-per-node is 0"},
		{"--coins-per-withdrawal=0", 2, "--coins-per-withdrawal is 0"},
		{"--analysts=0", 2, "--analysts is 0"},
		{"--payload=-1", 2, "--payload is -1"},
		{"--spent-window=1s", 2, "--spent-window is 1"},
		{"--spent-window=1", 2, "--spent-window"},
		{"--refill-days=0", 2, "--refill-days is 0"},
		{"--disk-fill=0", 2, "--disk-fill is 0"},
		{"--memory-share=0", 2, "--memory-share is 0"},
		{"--core-speed=0", 2, "--core-speed is 0"},
		{"--disk-speed=0", 2, "--disk-speed is 0"},
		{"--ledger=redis", 1, `no kind of ledger is called "redis"`},
		{"--node=big", 1, `no node type is called "big"`},
		{"--node-file=" + dir + "/none", 1, "no such file"},
		{"--node-file=" + file("empty", ""), 1, "not the JSON of a node"},
		{"--node=nvme-32c --node-file=x", 2, "can't be used together"},
		{"--from=" + dir + "/none", 1, "no such file"},
		{"--from=" + file("empty", ""), 1, "give a file that ecoin loadgen wrote"},
		{"--from=" + file("half", string(good[:len(good)/2])), 1, "not the JSON of a run"},
		{"--from=" + file("other", `{"machine": "m", "closed": []}`), 1, "format 0"},
		{"--from=" + file("refund", strings.ReplaceAll(string(good), `"redeem"`, `"refund"`)), 1, "runs of redeem or of withdraw alone"},
		{"--from=" + writePlanRun(t, dir+"/invalid", func(r *result.Run) { r.Invalid = []string{"lag"} }), 1, "INVALID (lag)"},
		{"--json=" + dir + "/none/plan.json", 1, "no such file"},
		{"--html=" + dir, 1, "is a directory"},
		{"surplus", 2, "surplus"},
	} {
		code, out, complaints := planned(t, strings.Fields(c.args)...)
		if code != c.code || out != "" || !strings.Contains(complaints, c.says) {
			t.Errorf("%s: exit code %d, %q, want %d and %q", c.args, code, complaints, c.code, c.says)
		}
	}
	if code, _, complaints := planned(t, "--from", filepath.Join(dir, "invalid"), "--allow-invalid"); code != 0 {
		t.Errorf("--allow-invalid: %s", complaints)
	}
}
