package plan

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// textWidth is how wide a plan is as text, in columns.
const textWidth = 110

// Text writes the plan for a terminal or a file, at most 110 columns wide.
func (p *Plan) Text(w io.Writer) error {
	var b strings.Builder
	wrapped(&b, "", "", p.title()+".")
	b.WriteString("\n")
	p.summary(&b)
	b.WriteString("\nHow to read it: a line calculates with the figures of other lines, [n], as they are printed. \"86,400\" are the\n" +
		"seconds of a day, ceil rounds up, max is the greatest. Whole numbers below a million are exact; all others\n" +
		"have four digits. \"!\" marks what is more than ten times what was measured. Capital letters are the sources at\n" +
		"the end.\n")
	section := ""
	for i := range p.Lines {
		l := &p.Lines[i]
		if l.Section != section {
			section = l.Section
			fmt.Fprintf(&b, "\n%s\n", section)
		}
		l.text(&b)
	}
	b.WriteString("\nNotes\n")
	for _, n := range p.Notes {
		wrapped(&b, "  - ", "    ", n)
	}
	b.WriteString("\nSources\n")
	for _, s := range p.Sources {
		wrapped(&b, "  "+s.Letter+" ", "    ", s.Text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Plan) title() string {
	return fmt.Sprintf("Plan for %s devices with %s coins each, %s operations a device and day, suite %s, on nodes %s",
		number(p.Target.Devices), number(p.Target.Coins), number(p.Target.Operations), p.Target.Suite, p.Node.Name)
}

// summary writes the ledgers beside each other, and what each resource asks for.
func (p *Plan) summary(b *strings.Builder) {
	fmt.Fprintf(b, "  %-16s %7s  %-16s %7s %9s %8s %12s %12s %11s\n", "ledger", "nodes", "decided by", "cores", "memory TB", "disk TB",
		p.Node.Currency+" a month", "a 10^6 coins", "refill days")
	for _, l := range p.Ledgers {
		fmt.Fprintf(b, "%s %-16s %7s  %-16s %7s %9s %8s %12s %12s %11s\n", mark(l.Farthest > Far), kindTitle(l.Name), number(l.Nodes), l.DecidedBy, number(l.Cores),
			number(l.MemoryTB), number(l.DiskTB), number(l.Cost), number(l.PerCoin), number(l.Refill))
	}
	b.WriteString("\nNodes by what they would be needed for alone\n")
	for _, l := range p.Ledgers {
		var needs []string
		for _, n := range l.byNodes() {
			needs = append(needs, n.Resource+" "+number(n.Nodes))
		}
		wrapped(b, fmt.Sprintf("  %-16s ", kindTitle(l.Name)), strings.Repeat(" ", 19), strings.Join(needs, ", "))
	}
	if len(p.Others) > 0 {
		fmt.Fprintf(b, "\n  %-16s", "on other nodes")
		for _, l := range p.Ledgers {
			fmt.Fprintf(b, " %24s", kindTitle(l.Name))
		}
		b.WriteString("\n")
		for _, o := range p.Others {
			fmt.Fprintf(b, "  %-16s", o.Node)
			for _, l := range o.Ledgers {
				fmt.Fprintf(b, " %24s", fmt.Sprintf("%s, %s %s", number(l.Nodes), number(l.Cost), p.Node.Currency))
			}
			b.WriteString("\n")
		}
	}
	if l := p.Cheapest(); l != nil {
		far := ""
		if l.Farthest > Far {
			far = fmt.Sprintf(", but part of it is up to %s times what was measured (lines with \"!\")", number(l.Farthest))
		}
		b.WriteString("\n")
		wrapped(b, "", "", "The cheapest on these nodes is "+kindTitle(l.Name)+far+".")
	}
}

// Cheapest returns the ledger that costs least a month, nil without any.
func (p *Plan) Cheapest() (best *Ledger) {
	for _, l := range p.Ledgers {
		if best == nil || l.Cost < best.Cost {
			best = l
		}
	}
	return best
}

func mark(far bool) string {
	if far {
		return "!"
	}
	return " "
}

// figureWidth is the width of a line's name and value together, unitWidth that of its unit.
const (
	figureWidth = 50
	unitWidth   = 6
)

// text writes a line: number, name, value, and what it comes from.
func (l *Line) text(b *strings.Builder) {
	from := l.Formula
	switch l.Kind {
	case Given, Measured:
		from = l.Basis
	case Assumed:
		from = "assumed: " + l.Basis
	}
	value := number(l.Value)
	head := fmt.Sprintf("%s%5s %s %*s %-*s ", mark(l.Extrapolated()), fmt.Sprintf("[%d]", l.Number), l.Name, figureWidth-utf8.RuneCountInString(l.Name)-1, value, unitWidth, l.Unit)
	indent := strings.Repeat(" ", 1+5+1+figureWidth+1+unitWidth+1)
	wrapped(b, head, indent, from)
	if l.Kind == Computed && l.Basis != "" {
		wrapped(b, indent, indent, "("+l.Basis+")")
	}
	if l.Beyond > 0 {
		wrapped(b, indent, indent, l.beyond())
	}
}

// beyond says how far the line is from what was measured.
func (l *Line) beyond() string {
	text := fmt.Sprintf("%s times %s", number(l.Beyond), l.BeyondOf)
	if l.Extrapolated() {
		return "EXTRAPOLATED: " + text
	}
	return text
}

// wrapped writes text in lines of at most textWidth, the first after head, the others after
// indent.
func wrapped(b *strings.Builder, head, indent, text string) {
	line := head
	room := false // whether line holds a word of text
	for word := range strings.FieldsSeq(text) {
		if room && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > textWidth {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, room = indent, false
		}
		if room {
			line += " "
		}
		line, room = line+word, true
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
