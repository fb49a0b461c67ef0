package plan

import (
	"cmp"
	"slices"
	"strings"
)

// Ledger is the plan of one kind of ledger in short. Its lines have all of it.
type Ledger struct {
	Name      string  `json:"name"` // "index", "plain" or "sql"
	Title     string  `json:"title"`
	Nodes     float64 `json:"nodes"`
	DecidedBy string  `json:"decided_by"` // the resource that needs most nodes
	Needs     []Need  `json:"needs"`
	Cores     float64 `json:"cores"`
	MemoryTB  float64 `json:"memory_tb"`
	DiskTB    float64 `json:"disk_tb"`
	Cost      float64 `json:"cost_per_month"`
	PerCoin   float64 `json:"cost_per_month_and_million_coins"`
	Refill    float64 `json:"refill_days"`
	Farthest  float64 `json:"farthest_beyond_measured"` // of its lines; 0: nothing is beyond
}

// Need is how many nodes a resource asks for by itself.
type Need struct {
	Resource string  `json:"resource"`
	Nodes    float64 `json:"nodes"` // of all copies
	Line     int     `json:"line"`  // of an SQL engine it is for one copy

	key string
}

// need adds how many nodes a resource asks for.
func (s *sheet) need(l *Ledger, resource, expr string) {
	key := "n_" + strings.ReplaceAll(resource, " ", "_")
	s.line(key, "nodes for "+resource, "", expr)
	line := s.at(key)
	l.Needs = append(l.Needs, Need{resource, line.Value, line.Number, key})
}

func (l *Ledger) keys() string {
	var keys []string
	for _, n := range l.Needs {
		keys = append(keys, n.key)
	}
	return strings.Join(keys, ", ")
}

// byNodes returns the needs, the greatest first.
func (l *Ledger) byNodes() []Need {
	needs := slices.Clone(l.Needs)
	slices.SortStableFunc(needs, func(a, b Need) int { return cmp.Compare(b.Nodes, a.Nodes) })
	return needs
}

// decide finds the resource that needs most nodes; of several the first.
func (l *Ledger) decide() {
	most := 0.0
	for _, n := range l.Needs {
		if n.Nodes > most {
			most, l.DecidedBy = n.Nodes, n.Resource
		}
	}
}

// nodes adds how many nodes are bought, and what they are together.
func (s *sheet) nodes(l *Ledger) {
	l.decide()
	s.line("nodes", "nodes", "", "max("+l.keys()+")")
	s.note("decided by " + l.DecidedBy)
	s.bought(l)
}

func (s *sheet) bought(l *Ledger) {
	s.line("all_cores", "their cores", "", "nodes * node_cores")
	s.line("all_memory", "their memory", "TB", "nodes * node_memory / 1000")
	s.line("all_disk", "their disks", "TB", "nodes * node_disks * node_disk")
	s.line("cost", "cost a month", s.at("node_price").Unit, "nodes * node_price")
	s.line("cost_coins", "of it for a million live coins", s.at("node_price").Unit, "cost / total * 1e6")
	s.line("cost_redeems", "and for a million redeems", s.at("node_price").Unit, "cost / (mean * 30 * 86400) * 1e6")
}

// summarize takes from the lines what stands in front.
func (s *sheet) summarize(l *Ledger) {
	s.prefix = l.Name + "_"
	l.Nodes, l.Cores, l.MemoryTB, l.DiskTB = s.value("nodes"), s.value("all_cores"), s.value("all_memory"), s.value("all_disk")
	l.Cost, l.PerCoin, l.Refill = s.value("cost"), s.value("cost_coins"), s.value("refill")
	for i := range s.lines {
		if strings.HasPrefix(s.lines[i].Key, s.prefix) {
			l.Farthest = max(l.Farthest, s.lines[i].Beyond)
		}
	}
}
