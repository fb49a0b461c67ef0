package plan

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestNodes(t *testing.T) {
	for _, n := range Nodes {
		got, err := FindNode(n.Name)
		if err != nil || got != n || got.validate() != nil || !got.Example {
			t.Errorf("%s: %+v, %v, %v", n.Name, got, err, got.validate())
		}
	}
	if _, err := FindNode("nvme-17c"); err == nil || !strings.Contains(err.Error(), "nvme-16c") || !strings.Contains(err.Error(), "--node-file") {
		t.Errorf("an unknown node: %v", err)
	}
}

func TestReadNode(t *testing.T) {
	n, err := ReadNode(strings.NewReader(nodeExample))
	if err != nil || n.Cores != 16 || n.DiskTB != 3.84 || n.Price != 400 || n.Example {
		t.Fatalf("%+v, %v", n, err)
	}
	p, err := Make(target(t), n, Recorded(), Kinds)
	if err != nil {
		t.Fatal(err)
	}
	if shown := text(t, p); strings.Contains(shown, "example") || len(p.Others) != 0 || !strings.Contains(shown, "--node-file") {
		t.Errorf("a node of one's own is said to be an example:\n%s", shown)
	}
	for name, c := range map[string]struct{ from, to, says string }{
		"nothing":            {nodeExample, "", "not the JSON of a node"},
		"cut off":            {`, "currency": "USD"}`, "", "not the JSON of a node"},
		"a misspelt name":    {`"cores"`, `"core"`, "unknown field"},
		"two values":         {`"USD"}`, `"USD"} {}`, "more than one"},
		"a string":           {`16,`, `"16",`, "not the JSON of a node"},
		"no cores":           {`"cores": 16, `, ``, "cores is 0"},
		"negative memory":    {`128`, `-128`, "memory_gb is -128"},
		"too many disks":     {`"disks": 2`, `"disks": 1e9`, "disks is 1e+09"},
		"a disk of nothing":  {`3.84`, `0`, "disk_tb is 0"},
		"no network":         {`_per_s": 10`, `_per_s": 0`, "network_gbit_per_s is 0"},
		"a negative price":   {`400`, `-1`, "price_per_month is -1"},
		"no currency":        {`"USD"`, `""`, "currency"},
		"a line break":       {`"ours"`, `"ou\nrs"`, "letters"},
		"a name in brackets": {`"ours"`, `"<b>"`, "letters"},
		"too much":           {`"ours"`, `"` + strings.Repeat("x", 1<<17) + `"`, "64 KiB"},
	} {
		changed := strings.Replace(nodeExample, c.from, c.to, 1)
		if changed == nodeExample {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := ReadNode(strings.NewReader(changed)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// FuzzReadNode checks that a node that is read can be planned with, and read again.
func FuzzReadNode(f *testing.F) {
	f.Add([]byte(nodeExample))
	f.Add([]byte(`{"name":"x","cores":1,"memory_gb":1,"disks":1,"disk_tb":1,"network_gbit_per_s":1,"price_per_month":0,"currency":"E"}`))
	f.Add([]byte(`{"cores":1e999}`))
	m := Recorded()
	m.concurrency = nil
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ReadNode(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		if p, err := Make(target(t), n, m, Kinds); err == nil {
			text(t, p)
		} else if !strings.Contains(err.Error(), "larger node") {
			t.Errorf("%s: %v", b, err)
		}
		again, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadNode(strings.NewReader(string(again))); err != nil || got != n {
			t.Errorf("%s read again is %+v, %v", again, got, err)
		}
	})
}
