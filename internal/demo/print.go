package demo

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes what people read.
type print struct{ w io.Writer }

func (p print) say(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }
func (p print) title(s string)                 { p.say("\n%s", s) }

// operation shows one honest operation as it ends.
func (p print) operation(o outcome) {
	state := "ok"
	if !o.OK {
		state = "FAILED " + o.Error
	}
	p.say("  %3d  %-8s %-24s %6.1f ms  %s", o.Operation, o.Analysis, o.Batch, o.Ms, state)
}

// attack shows how one attack went.
func (p print) attack(a attack, accepted int, kept int64, gains []string) {
	verdict := "got nothing"
	if len(gains) > 0 {
		verdict = "SUCCEEDED: " + strings.Join(gains, "; ")
	}
	p.say("  %-20s %-70s %s", a.name, a.tries, verdict)
	if accepted > 0 || kept > 0 {
		p.say("  %-20s (honest all the same: replies accepted %d, credits earned by work %d)", "", accepted, kept)
	}
}

// refunds shows what came of the refunds.
func (p print) refunds(r refunds) {
	p.say("  %d coins refunded: they never reached the bank, or the analyst gave them back", r.Refunded)
	for _, e := range r.Redeemed {
		p.say("  1 coin was redeemed at %s by account %s: the analyst worked, the reply was lost", e.At.Format(time.TimeOnly), e.Redeemer)
	}
}

// table is the end of the demonstration.
func (p print) table(s Summary, took time.Duration) {
	p.title("Summary")
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, row := range []struct {
		name  string
		value any
	}{
		{"operations", s.Operations},
		{"results accepted", s.Results},
		{"coins issued", s.CoinsIssued},
		{"coins redeemed", s.CoinsRedeemed},
		{"coins refunded", s.CoinsRefunded},
		{"coins live", s.CoinsLive},
		{"attacks tried", s.AttacksTried},
		{"attacks succeeded", s.AttacksSucceeded},
		{"audit", s.Audit},
		{"took", took.Round(10 * time.Millisecond)},
	} {
		fmt.Fprintf(w, "  %s\t%v\n", row.name, row.value)
	}
	w.Flush()
}
