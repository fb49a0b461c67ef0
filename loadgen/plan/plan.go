// Package plan calculates what to buy for a fleet: from what was measured and from what is
// asked for to nodes, cores, disks, memory, network and money. Each figure is a line with
// its formula over lines above it, or with the measurement that it rests on; it is rounded
// before it is printed and before anything is calculated from it, so that a reader with a
// pocket calculator gets the same. A figure that is more than ten times what was measured
// is marked.
//
// Start with [Recorded], [FindNode] and [Make].
package plan

import (
	"errors"
	"fmt"
	"slices"
)

// Format is the version of the JSON of a [Plan].
const Format = 1

// Plan is what a target needs.
type Plan struct {
	Format  int       `json:"format"`
	Target  Target    `json:"target"`
	Node    Node      `json:"node"`
	Ledgers []*Ledger `json:"ledgers"`
	Lines   []Line    `json:"lines"`
	Sources []Source  `json:"sources"`
	Notes   []string  `json:"notes"`
	Others  []Other   `json:"on_other_nodes,omitempty"` // in short; "ecoin plan --node" has their lines

	// Curve is nil where the points do not determine one; the notes say why.
	Curve *Curve `json:"curve,omitempty"`
}

// Kinds of ledger, in the order of a plan.
var Kinds = []string{"index", "plain", "sql"}

// Make plans some kinds of ledger.
func Make(t Target, n Node, m *Measurements, kinds []string) (*Plan, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if err := n.validate(); err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Name, err)
	}
	if len(kinds) == 0 {
		return nil, errors.New("no kind of ledger to plan")
	}
	r, err := m.redeem(t.Batch, t.Suite)
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		if !slices.Contains(Kinds, kind) {
			return nil, fmt.Errorf("no kind of ledger is called %q: use index, plain or sql", kind)
		}
	}
	p := &Plan{Format: Format, Target: t, Node: n, Sources: m.Sources}
	switch p.Curve, err = FitCurve(m.concurrency); {
	case errors.Is(err, ErrFewPoints):
		p.Notes = append(p.Notes, "No Universal Scalability Law: "+err.Error()+". Give closed runs with 1, 2, 4, 8, 16 and 32 connections (--from).")
	case err != nil:
		return nil, err
	}
	s := &sheet{}
	if p.Ledgers, err = s.fill(&t, &n, m, r, p.Curve, kinds); err != nil {
		return nil, err
	}
	p.Lines = s.lines
	p.note(m, r)
	p.compare(m, r, kinds)
	return p, nil
}

// fill adds all lines of a plan.
func (s *sheet) fill(t *Target, n *Node, m *Measurements, r redeemFigure, curve *Curve, kinds []string) (ledgers []*Ledger, err error) {
	s.target(t)
	s.node(n)
	s.measured(m, t, r)
	s.load()
	s.notes()
	if curve != nil {
		s.curve(curve, m.curveWhere)
	}
	for _, kind := range Kinds {
		if !slices.Contains(kinds, kind) {
			continue
		}
		var l *Ledger
		if kind == "sql" {
			l, err = s.sql(m, t, n, r)
		} else {
			l, err = s.pebble(m, t, n, r, kind == "index")
		}
		if err != nil {
			return nil, err
		}
		s.summarize(l)
		ledgers = append(ledgers, l)
	}
	return ledgers, s.err
}

// Other is the same target on another node type.
type Other struct {
	Node    string    `json:"node"`
	Ledgers []*Ledger `json:"ledgers"`
}

// compare plans the same for the other built-in node types, where the node is one of them.
// Those that are too small for it are left out.
func (p *Plan) compare(m *Measurements, r redeemFigure, kinds []string) {
	if !p.Node.Example {
		return
	}
	for _, n := range Nodes {
		var s sheet
		if n.Name == p.Node.Name {
			continue
		}
		if ledgers, err := s.fill(&p.Target, &n, m, r, p.Curve, kinds); err == nil {
			p.Others = append(p.Others, Other{n.Name, ledgers})
		}
	}
}
