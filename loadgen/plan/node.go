package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Node is a machine one can buy or rent.
type Node struct {
	Name     string  `json:"name"`
	Cores    float64 `json:"cores"`
	MemoryGB float64 `json:"memory_gb"` // 10^9 bytes
	Disks    float64 `json:"disks"`     // for the ledger
	DiskTB   float64 `json:"disk_tb"`   // each, 10^12 bytes
	Gbits    float64 `json:"network_gbit_per_s"`
	Price    float64 `json:"price_per_month"`
	Currency string  `json:"currency"`

	// Example marks the nodes of this package: their prices are invented.
	Example bool `json:"-"`
}

// Nodes are the built-in node types. Their prices are examples, of the size that such
// machines cost.
var Nodes = []Node{
	{"small-4c", 4, 16, 1, 0.48, 1, 60, "USD", true},
	{"nvme-16c", 16, 128, 2, 3.84, 10, 400, "USD", true},
	{"nvme-32c", 32, 256, 4, 7.68, 25, 900, "USD", true},
	{"memory-32c", 32, 1024, 2, 7.68, 25, 1800, "USD", true},
	{"nvme-64c", 64, 512, 8, 7.68, 50, 2000, "USD", true},
}

// FindNode returns the built-in node type called name.
func FindNode(name string) (Node, error) {
	i := slices.IndexFunc(Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		names := make([]string, len(Nodes))
		for i, n := range Nodes {
			names[i] = n.Name
		}
		return Node{}, fmt.Errorf("no node type is called %q: use %s, or describe your own in a JSON file (--node-file)", name, strings.Join(names, ", "))
	}
	return Nodes[i], nil
}

// ReadNode reads the JSON of a Node, in which nothing may be missing or misspelt.
func ReadNode(in io.Reader) (Node, error) {
	const most = 1 << 16
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return Node{}, err
	}
	if len(text) > most {
		return Node{}, errors.New("more than 64 KiB: not the description of a node")
	}
	var n Node
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&n); err != nil {
		return Node{}, fmt.Errorf(`not the JSON of a node, like %s: %w`, nodeExample, err)
	}
	if d.More() {
		return Node{}, errors.New("more than one JSON value: describe one node type")
	}
	return n, n.validate()
}

const nodeExample = `{"name": "ours", "cores": 16, "memory_gb": 128, "disks": 2, "disk_tb": 3.84, "network_gbit_per_s": 10, "price_per_month": 400, "currency": "USD"}`

func (n *Node) validate() error {
	if n.Name == "" || len(n.Name) > 24 || strings.ContainsFunc(n.Name, notPlain) {
		return fmt.Errorf("name %q: give a node type a name of 1 to 24 letters, digits, dots, dashes and underscores", n.Name)
	}
	if len(n.Currency) == 0 || len(n.Currency) > 4 || strings.ContainsFunc(n.Currency, notPlain) {
		return fmt.Errorf("currency %q: give 1 to 4 letters, like EUR", n.Currency)
	}
	for _, f := range []struct {
		name      string
		value     float64
		low, high float64
	}{
		{"cores", n.Cores, 1, 4096},
		{"memory_gb", n.MemoryGB, 1, 1e6},
		{"disks", n.Disks, 1, 1000},
		{"disk_tb", n.DiskTB, 0.001, 1e4},
		{"network_gbit_per_s", n.Gbits, 0.01, 1e4},
		{"price_per_month", n.Price, 0, 1e9},
	} {
		if !(f.value >= f.low && f.value <= f.high) {
			return fmt.Errorf("%s is %v: give a number from %s to %s", f.name, f.value, number(f.low), number(f.high))
		}
	}
	return nil
}

func notPlain(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
}
