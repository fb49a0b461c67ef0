package plan

import (
	"fmt"
	"slices"
	"strings"
)

// note adds what a buyer should know and no line says.
func (p *Plan) note(m *Measurements, r redeemFigure) {
	add := func(format string, args ...any) { p.Notes = append(p.Notes, fmt.Sprintf(format, args...)) }
	value := func(key string) (float64, bool) {
		i := slices.IndexFunc(p.Lines, func(l Line) bool { return l.Key == key })
		if i < 0 {
			return 0, false
		}
		return p.Lines[i].Value, true
	}
	if r.headers != p.Target.Batch {
		add("Nothing was measured with %s headers a request: the figures are those of %s, which cost more.", number(p.Target.Batch), number(r.headers))
	}
	if r.suite != p.Target.Suite {
		add("The bank was measured with suite %s; what opening a header of %s costs more is taken from the codec's benchmark.", r.suite, p.Target.Suite)
	}
	if p.Node.Example {
		add("The node types and their prices are examples: describe your own with --node-file.")
	}
	has := func(kind string) bool {
		return slices.ContainsFunc(p.Ledgers, func(l *Ledger) bool { return l.Name == kind })
	}
	if has("index") || has("plain") {
		add("Pebble banks: each account belongs to one bank, and clients go to the bank that a header's key names. The copies are made below the bank, by mirrored or replicated disks; " +
			"they cost disk, writes and network here, and their CPU time was not measured. A bank whose machine is lost stands still until another opens its disks.")
	}
	if has("sql") {
		add("SQL ledger: its figures are those of ledger/pgledger on one PostgreSQL, with tables that fitted into memory. The engine makes the copies and fails over; " +
			"each copy is as large as the first. Its audit was not measured. Once a table outgrows memory, the first change of a page after each checkpoint logs the whole page: " +
			"rarer checkpoints, or an engine that logs less, make the log smaller.")
	}
	for _, l := range p.Ledgers {
		if connects, ok := value("connect_cores"); ok && l.Name != "sql" {
			if cores, _ := value(l.Name + "_cores"); connects > cores/3 {
				add("%s: connects take %s of %s cores at the peak. Sessions that resume (--resumed) and connections that live save most.", kindTitle(l.Name), number(connects), number(cores))
			}
		}
	}
	var waits []string
	for _, l := range p.Ledgers {
		if wait, ok := value(l.Name + "_gather"); ok && wait > 1 {
			waits = append(waits, fmt.Sprintf("%s s (%s)", number(wait), kindTitle(l.Name)))
		}
		if writes, ok := value(l.Name + "_dwpd"); ok && writes > 1 {
			add("%s: the disks are written over %s times a day; many SSDs are made for 1 (DWPD).", kindTitle(l.Name), number(writes))
		}
	}
	if len(waits) > 0 {
		text := fmt.Sprintf("At the mean rate an analyst waits long until it has %s headers for one bank: %s. With fewer a coin costs more", number(p.Target.Batch), strings.Join(waits, ", "))
		if lone, _ := value("lone_us"); r.suite == p.Target.Suite && r.headers > 1 {
			text += fmt.Sprintf(": %s us of the bank's CPU time alone in its request, instead of %s", number(lone), number(round(r.cpuUs.Value)))
		}
		add("%s.", text)
	}
	if c := p.Curve; c != nil && c.R2 < 0.8 {
		add("The curve of the Universal Scalability Law explains only %s of the rates' variance (R^2): the rates vary too much for it, as on a machine with other work. No number of nodes that decides rests on it.", number(round(c.R2)))
	}
	add("The bank was measured on %s processors, which the load's generator shared. CPU time is taken to grow with the rate alone; that a node with more processors does as well on each is not measured.", number(m.processors))
	add("Not in the nodes: directors, analysts, backups, spare nodes, what a network outside costs.")
}

// kindTitle is what a kind of ledger is called in tables.
func kindTitle(kind string) string {
	return map[string]string{"index": "Pebble, index", "plain": "Pebble, no index", "sql": "SQL"}[kind]
}
