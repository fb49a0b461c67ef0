package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// demoFigures is the JSON object the demonstration prints.
type demoFigures struct {
	Operations       int    `json:"operations"`
	Results          int    `json:"results"`
	CoinsIssued      int64  `json:"coins_issued"`
	CoinsRedeemed    int64  `json:"coins_redeemed"`
	CoinsRefunded    int64  `json:"coins_refunded"`
	CoinsLive        int64  `json:"coins_live"`
	AttacksTried     int    `json:"attacks_tried"`
	AttacksSucceeded int    `json:"attacks_succeeded"`
	Audit            string `json:"audit"`
}

// TestDemo runs the demonstration with real processes, on this machine's telemetry
// and on a CSV file, and checks what it prints for programs and for people.
func TestDemo(t *testing.T) {
	csv := filepath.Join("..", "..", "testdata", "occupancy-datatest.csv")
	t.Run("telemetry", func(t *testing.T) {
		t.Parallel() // it mostly waits
		stdout, stderr, err := runDemo(t, "--json", "--operations", "3")
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		checkDemo(t, stdout)
	})
	t.Run("suite=xwing", func(t *testing.T) {
		t.Parallel() // it mostly waits
		stdout, stderr, err := runDemo(t, "--json", "--operations", "3", "--suite", "xwing")
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		checkDemo(t, stdout)
	})
	t.Run("csv", func(t *testing.T) {
		t.Parallel() // it mostly waits
		stdout, stderr, err := runDemo(t, "--csv", csv)
		if err != nil {
			t.Fatalf("%v\n%s%s", err, stdout, stderr)
		}
		// The whole file in one operation; figures computed independently of this
		// program (see the analysis package's tests), here as people see them.
		for _, says := range []string{
			"Temperature", "21.4339", "1.02802", "hostile director", "got nothing", "coins refunded", "attacks succeeded  0",
		} {
			if !strings.Contains(stdout, says) {
				t.Errorf("the demonstration does not say %q:\n%s", says, stdout)
			}
		}
		if strings.Contains(stdout, "SUCCEEDED") || strings.Contains(stdout, "WRONG") {
			t.Errorf("something is not as it must be:\n%s", stdout)
		}
	})
	t.Run("a file that is not there", func(t *testing.T) {
		if _, stderr, err := runDemo(t, "--csv", csv+"x"); err == nil || !strings.Contains(stderr, "occupancy-datatest.csvx") {
			t.Errorf("%v\n%s", err, stderr)
		}
	})
}

func runDemo(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := command(t.Context(), append([]string{"demo"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func checkDemo(t *testing.T, stdout string) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	var f demoFigures
	if err := dec.Decode(&f); err != nil {
		t.Fatalf("standard output is not the object it should be: %v\n%s", err, stdout)
	}
	if dec.More() {
		t.Errorf("standard output holds more than one object:\n%s", stdout)
	}
	switch {
	case f.Audit != "ok",
		f.AttacksTried < 10 || f.AttacksSucceeded != 0,
		f.Operations < 3 || f.Results < 3 || f.Results > f.Operations,
		f.CoinsIssued != f.CoinsRedeemed+f.CoinsRefunded+f.CoinsLive,
		f.CoinsRefunded == 0 || f.CoinsRedeemed < int64(f.Results):
		t.Errorf("figures are not as they must be: %+v", f)
	}
}

// TestDemoInterrupted ends the demonstration in the middle: it must take its
// processes and its folder with it.
func TestDemoInterrupted(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*exec.Cmd, io.Closer)
	}{
		{"SIGTERM", func(cmd *exec.Cmd, _ io.Closer) { cmd.Process.Signal(syscall.SIGTERM) }},
		{"the terminal is closed", func(cmd *exec.Cmd, _ io.Closer) { cmd.Process.Signal(syscall.SIGHUP) }},
		{"nobody reads on", func(_ *exec.Cmd, out io.Closer) { out.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			t.Setenv("TMPDIR", folder)
			cmd := command(t.Context(), "demo")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var roles []int
			for lines := bufio.NewScanner(out); len(roles) < 4 && lines.Scan(); {
				if m := regexp.MustCompile(`process (\d+)$`).FindStringSubmatch(lines.Text()); m != nil {
					pid, err := strconv.Atoi(m[1])
					if err != nil {
						t.Fatal(err)
					}
					roles = append(roles, pid)
				}
			}
			c.end(cmd, out)
			_, _ = io.Copy(io.Discard, out) // closed in one case
			if err := cmd.Wait(); err == nil {
				t.Error("an interrupted demonstration reports success")
			}
			if len(roles) < 4 {
				t.Fatalf("only %d roles were started", len(roles))
			}
			for _, pid := range roles {
				if syscall.Kill(pid, 0) == nil {
					t.Errorf("process %d is still there", pid)
					syscall.Kill(pid, syscall.SIGKILL)
				}
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
