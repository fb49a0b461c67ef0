package proc

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const good = "12 (a) b) S 7 12 12 0 -1 4194304 100 0 0 0 150 50 30 20 20 0 1 0 300"
	s, err := parseStat([]byte(good))
	if err != nil || s != (stat{7, 2 * time.Second, 500 * time.Millisecond}) {
		t.Errorf("%+v, %v", s, err)
	}
	for name, text := range map[string]string{
		"empty": "", "no name": "12 a S 7", "short": "12 (a) S 7 12", "no parent": "12 (a) S x 12 12 0 -1 4194304 100 0 0 0 150 50 30 20 20 0 1 0 300",
		"no time": "12 (a) S 7 12 12 0 -1 4194304 100 0 0 0 150 x 30 20 20 0 1 0 300",
	} {
		if _, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseMachine(t *testing.T) {
	busy, stolen, all, err := parseMachine("cpu  100 20 30 1000 40 5 6 7 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
	if err != nil || busy != 1500*time.Millisecond || stolen != 70*time.Millisecond || all != 12080*time.Millisecond {
		t.Errorf("%v %v %v %v", busy, stolen, all, err)
	}
	for name, text := range map[string]string{"empty": "", "one processor": "cpu0 1 2 3 4 5 6 7 8 9 10", "short": "cpu 1 2 3", "no number": "cpu 1 2 3 4 5 6 x 8 9 10"} {
		if _, _, _, err := parseMachine(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTree(t *testing.T) {
	list := map[int]stat{1: {parent: 0}, 5: {parent: 1}, 6: {parent: 5}, 7: {parent: 6}, 8: {parent: 1}}
	got := tree(list, 5)
	slices.Sort(got)
	if !slices.Equal(got, []int{5, 6, 7}) {
		t.Errorf("the tree of 5 is %v", got)
	}
}

// TestCPU burns time in a grandchild that ends, which stays on its parent's account.
func TestCPU(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "/bin/sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo done; read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cpu, err := CPU(cmd.Process.Pid)
	if err != nil || cpu < 20*time.Millisecond {
		t.Errorf("the shell used %v, %v", cpu, err)
	}
	if m, err := Memory(cmd.Process.Pid); err != nil || m < 50<<10 {
		t.Errorf("it has %d bytes, %v", m, err)
	}
	ours, err := CPU(os.Getpid())
	if err != nil || ours < cpu {
		t.Errorf("we used %v, less than our child's %v, %v", ours, cpu, err)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if _, err := CPU(cmd.Process.Pid); err == nil {
		t.Error("a process that ended has CPU time")
	}
	if _, err := Memory(cmd.Process.Pid); err == nil {
		t.Error("a process that ended has memory")
	}
}

func TestMeter(t *testing.T) {
	_, _, before, err := Meter{}.Usage()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
	}
	others, stolen, after, err := Meter{}.Usage()
	if err != nil || after <= before || others < 0 || others > after || stolen > after {
		t.Errorf("others %v, stolen %v, all %v to %v, %v", others, stolen, before, after, err)
	}
	if Machine() == "" {
		t.Error("no machine")
	}
}

func TestSampler(t *testing.T) {
	zero := time.Now()
	at1 := func(s float64) time.Time { return zero.Add(time.Duration(s * 1e9)) }
	s := &Sampler{points: []point{{at1(0), 0}, {at1(1), 1e9}, {at1(3), 2e9}}}
	for _, c := range []struct {
		name     string
		from, to float64
		want     time.Duration
	}{{"whole", 0, 3, 2e9}, {"the first", 0, 1, 1e9}, {"from 0.5 s of the first to half of the second: 1.5 - 0.5", 0.5, 2, 1e9}} {
		if got, err := s.Between(at1(c.from), at1(c.to)); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if _, err := s.Between(at1(-1), at1(1)); err == nil {
		t.Error("before the first look")
	}
	if _, err := s.Between(at1(1), at1(4)); err == nil {
		t.Error("after the last look")
	}
	live := Sample(time.Hour, os.Getpid())
	from := time.Now()
	for time.Since(from) < 30*time.Millisecond {
	}
	to := time.Now()
	live.Stop()
	if got, err := live.Between(from, to); err != nil || got <= 0 {
		t.Errorf("%v, %v", got, err)
	}
	gone := Sample(time.Hour, -1)
	gone.Stop()
	if _, err := gone.Between(from, to); err == nil {
		t.Error("a process that is not there has CPU time")
	}
}
