package plan

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// target returns the defaults of the flags, changed by args.
func target(t testing.TB, args ...string) Target {
	t.Helper()
	var target Target
	parser, err := kong.New(&target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return target
}

// make_ plans from the recorded measurements, or from m.
func make_(t testing.TB, node string, m *Measurements, args ...string) *Plan {
	t.Helper()
	if m == nil {
		m = Recorded()
	}
	n, err := FindNode(node)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Make(target(t, args...), n, m, Kinds)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func text(t testing.TB, p *Plan) string {
	t.Helper()
	var b strings.Builder
	if err := p.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// at returns the line of a key.
func at(t testing.TB, p *Plan, key string) *Line {
	t.Helper()
	for i := range p.Lines {
		if p.Lines[i].Key == key {
			return &p.Lines[i]
		}
	}
	t.Fatalf("no line %s", key)
	return nil
}

// TestText compares whole plans with testdata; -update rewrites that.
func TestText(t *testing.T) {
	for name, p := range map[string]*Plan{
		"default": make_(t, "nvme-16c", nil),
		"small":   make_(t, "small-4c", nil, "--devices=1e5", "--coins=20", "--batch=10", "--suite=xwing", "--replicas=1"),
	} {
		path := filepath.Join("testdata", name+".txt")
		got := text(t, p)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: the plan differs from %s; look at what changed (go test -update; git diff):\n%s", name, path, got)
		}
		for line := range strings.Lines(got) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > textWidth {
				t.Errorf("%s: a line of %d columns: %s", name, n, line)
			}
		}
	}
}

// TestSizes holds plans of very different sizes to what must be so in all of them.
func TestSizes(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"--devices=1", "--coins=1", "--operations-per-device-day=1"},
		{"--devices=1e6", "--coins=10", "--peak=1", "--utilisation=1"},
		{"--devices=1e12", "--coins=10000", "--operations-per-device-day=1000", "--batch=1"},
		{"--connects-per-device-day=0", "--hold-seconds=0", "--payload=0"},
		{"--suite=xwing", "--batch=7", "--replicas=9"},
		{"--peak=1", "--utilisation=1", "--connects-per-device-day=86400"},
		{"--refill-days=0.1", "--spent-window=24h", "--resumed=1"},
	} {
		for _, node := range Nodes {
			m := Recorded()
			m.concurrency = nil // saves its time
			p := make_(t, node.Name, m, args...)
			if len(p.Ledgers) != 3 {
				t.Fatalf("%v: %d ledgers", args, len(p.Ledgers))
			}
			for _, l := range p.Ledgers {
				most := 0.0
				for _, n := range l.Needs {
					most = max(most, n.Nodes)
				}
				if l.Nodes < most || l.Nodes < 1 || l.DecidedBy == "" || l.Cost != round(l.Nodes*node.Price) {
					t.Errorf("%v on %s: %+v", args, node.Name, l)
				}
			}
			for _, l := range p.Lines {
				if !(l.Value >= 0) {
					t.Errorf("%v on %s: [%d] %s is %v", args, node.Name, l.Number, l.Name, l.Value)
				}
				if (l.Kind == Computed) == (l.Formula == "") || l.Kind != Computed && l.Basis == "" {
					t.Errorf("%v: [%d] %s rests on nothing", args, l.Number, l.Name)
				}
			}
		}
	}
}

// TestDirections checks that more of one thing asks for more of another.
func TestDirections(t *testing.T) {
	m := Recorded()
	m.concurrency = nil
	base := make_(t, "nvme-16c", m)
	for _, c := range []struct {
		flag, key string
		more      bool
	}{
		{"--devices=2e9", "index_n_memory", true},
		{"--coins=2000", "index_n_disk_space", true},
		{"--operations-per-device-day=200", "plain_n_cores", true},
		{"--operations-per-device-day=200", "plain_n_disk_reads", true},
		{"--operations-per-device-day=200", "sql_n_disk_writes", true},
		{"--suite=xwing", "index_n_cores", true},
		{"--batch=1", "index_n_cores", true},
		{"--replicas=1", "index_n_disk_space", false},
		{"--replicas=1", "sql_engine", false},
		{"--peak=6", "plain_n_disk_reads", true},
		{"--utilisation=0.25", "index_n_cores", true},
		{"--connects-per-device-day=5", "index_n_cores", true},
		{"--connects-per-device-day=5", "index_n_connections", true},
		{"--resumed=1", "index_n_cores", false},
		{"--hold-seconds=10", "index_n_connections", false},
		{"--connections-per-node=1e4", "index_n_connections", true},
		{"--coins-per-withdrawal=1", "index_withdraw_us", true},
		{"--spent-window=48h", "index_n_disk_space", true},
		{"--refill-days=1", "withdraws", true},
		{"--disk-fill=0.9", "index_n_disk_space", false},
		{"--memory-share=0.5", "index_n_memory", true},
		{"--core-speed=2", "index_n_cores", false},
		{"--disk-speed=2", "plain_n_disk_reads", false},
		{"--analysts=1000", "index_gather", true},
		{"--payload=4096", "directors", true},
	} {
		got, was := at(t, make_(t, "nvme-16c", m, c.flag), c.key).Value, at(t, base, c.key).Value
		if got == was || got > was != c.more {
			t.Errorf("%s: %s goes from %v to %v", c.flag, c.key, was, got)
		}
	}
}

// TestExtrapolation checks that ten times is not marked and more is.
func TestExtrapolation(t *testing.T) {
	var s sheet
	s.given("a", "a", "", 1000, "--a")
	for measured, want := range map[float64]struct {
		beyond float64
		far    bool
	}{2000: {0, false}, 1000: {0, false}, 500: {2, false}, 100: {10, false}, 99.9: {10.01, true}} {
		s.lines[0].Beyond = 0
		s.beyond(measured, "a")
		if l := s.lines[0]; l.Beyond != want.beyond || l.Extrapolated() != want.far {
			t.Errorf("1000 of %v: %v times, marked %t", measured, l.Beyond, l.Extrapolated())
		}
	}
	for conns, want := range map[string]bool{"--connections-per-node=1e5": false, "--connections-per-node=110000": true} {
		l := at(t, make_(t, "small-4c", nil, conns, "--devices=1e10", "--coins=1", "--operations-per-device-day=0.001", "--connects-per-device-day=1"), "plain_idle_node")
		if l.Extrapolated() != want || l.Beyond < 9 || l.Beyond > 11.1 {
			t.Errorf("%s: %v connections, %v times", conns, l.Value, l.Beyond)
		}
	}
	for node, want := range map[string]bool{"nvme-16c": false, "nvme-32c": true} {
		if l := at(t, make_(t, node, nil), "index_n_cores"); l.Extrapolated() != want {
			t.Errorf("%s: %v times the processors, marked %t", node, l.Beyond, l.Extrapolated())
		}
	}
	p := make_(t, "nvme-16c", nil)
	shown := text(t, p)
	times := at(t, p, "index_coins_node").Value / at(t, p, "index_size").Value
	for _, part := range []string{"\n! Pebble, index ", "EXTRAPOLATED: " + number(round(times)) + " times the largest ledger", "\n!", "measured on one PostgreSQL"} {
		if !strings.Contains(shown, part) {
			t.Errorf("the plan does not say %q", part)
		}
	}
}

// TestOtherNodes leaves out node types that are too small.
func TestOtherNodes(t *testing.T) {
	for args, want := range map[string]int{"--memory-share=0.8": len(Nodes) - 1, "--memory-share=0.04": len(Nodes) - 2} {
		p := make_(t, "nvme-16c", nil, args)
		if len(p.Others) != want {
			t.Errorf("%s: %d other nodes, want %d", args, len(p.Others), want)
		}
		for _, o := range p.Others {
			if own := make_(t, o.Node, nil, args); own.Ledgers[1].Cost != o.Ledgers[1].Cost || o.Node == "nvme-16c" {
				t.Errorf("%s costs %v, but planned alone %v", o.Node, o.Ledgers[1].Cost, own.Ledgers[1].Cost)
			}
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	n, err := FindNode("nvme-16c")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Target, *Node)
		kinds  []string
		says   string
	}{
		"an unmeasured suite":    {func(t *Target, _ *Node) { t.Suite = "rsa3072" }, Kinds, "nothing was measured of suite rsa3072"},
		"no kind":                {func(*Target, *Node) {}, nil, "no kind of ledger"},
		"an unknown kind":        {func(*Target, *Node) {}, []string{"index", "redis"}, `"redis"`},
		"a node of no memory":    {func(_ *Target, n *Node) { n.MemoryGB = 0.7 }, Kinds, "memory_gb"},
		"no memory for an index": {func(t *Target, n *Node) { n.MemoryGB, t.MemoryShare = 1, 0.5 }, Kinds, "take a larger node"},
		"an unknown suite":       {func(t *Target, _ *Node) { t.Suite = "rot13" }, Kinds, "--suite"},
		"a bad target":           {func(t *Target, _ *Node) { t.Devices = 0 }, Kinds, "--devices"},
	} {
		target, node := target(t), n
		c.change(&target, &node)
		if _, err := Make(target, node, Recorded(), c.kinds); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
