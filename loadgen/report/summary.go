package report

import (
	"fmt"
	"strings"
	"time"

	"ecoin/internal/columns"
	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// A verdict is what to think of a run before reading its figures.
type verdict struct {
	level   columns.Level
	nothing bool     // was answered
	valid   string   // "valid" or "INVALID"
	audit   string   // "audit ok", "AUDIT BREACH" or "not audited"
	checks  string   // "2 of 3 thresholds met", "" without thresholds
	reasons []string // why it is not good, the worst first
}

func judge(r *result.Run) verdict {
	v := verdict{valid: "valid", audit: "not audited"}
	all := r.Total()
	if all.OK <= 0 {
		v.nothing = true
		v.reasons = append(v.reasons, "no request was answered as it should be")
	}
	if r.Audit != nil {
		v.audit = "audit ok"
		if !r.Audit.OK || len(r.Audit.Problems) > 0 {
			v.audit = "AUDIT BREACH"
			for _, p := range r.Audit.Problems {
				v.reasons = append(v.reasons, "audit: "+p)
			}
			if len(r.Audit.Problems) == 0 {
				v.reasons = append(v.reasons, "audit: not ok, and nothing more is known")
			}
		}
	}
	if len(r.Invalid) > 0 {
		v.valid = "INVALID"
		for _, why := range r.Invalid {
			v.reasons = append(v.reasons, "invalid: "+why)
		}
	}
	met := 0
	for _, c := range r.Checks {
		if c.OK {
			met++
		} else {
			v.reasons = append(v.reasons, "threshold: "+c.Name+" is not met: "+c.Value)
		}
	}
	if len(r.Checks) > 0 {
		v.checks = fmt.Sprintf("%d of %d thresholds met", met, len(r.Checks))
	}
	switch {
	case v.nothing || v.audit == "AUDIT BREACH" || met < len(r.Checks):
		v.level = columns.Bad
	case len(r.Invalid) > 0:
		v.level = columns.Doubtful
	default:
		v.level = columns.Good
	}
	return v
}

func (v *verdict) line() string {
	parts := []string{v.valid, v.audit}
	if v.nothing {
		parts[0] = "NOTHING ANSWERED, " + parts[0]
	}
	if v.checks != "" {
		parts = append(parts, v.checks)
	}
	s := strings.Join(parts, ", ")
	return strings.ToUpper(s[:1]) + s[1:]
}

// A fact is a figure with its name, and what it means.
type fact struct {
	Name, Value, Means string
	Bad                bool // a reader should worry
}

func setupFacts(r *result.Run) []fact {
	s := &r.Setup
	load := s.Model + " model"
	if s.Schedule != "" {
		load += ", " + s.Schedule
	}
	facts := []fact{
		{Name: "Workload", Value: s.Workload, Means: "kinds of request, by weight"},
		{Name: "Load", Value: load, Means: "open: requests leave by a schedule, whether or not the server keeps up; closed: the next leaves after an answer"},
		{Name: "Target", Value: s.Target, Means: "where the requests went; self-contained: to a bank that the load started"},
		{Name: "Suite", Value: s.Suite, Means: "cryptography of the headers"},
		{Name: "Batch", Value: coins(int64(s.Batch)) + " a request"},
		{Name: "Connections", Value: figure.Count(int64(s.Conns)), Means: "at most at once"},
		{Name: "Identities", Value: figure.Count(int64(s.Fleet)), Means: "collectors with keys of their own"},
		{Name: "Workers", Value: figure.Count(int64(s.Workers)), Means: "processes that made the load"},
		{Name: "Warm-up", Value: figure.Seconds(s.WarmupS), Means: "before the first second that counts"},
		{Name: "Started", Value: r.Started.UTC().Format("2006-01-02 15:04:05 UTC")},
		{Name: "Length", Value: figure.Seconds(r.Took), Means: "until the last planned send"},
		{Name: "Machine", Value: r.Machine},
	}
	shown := facts[:0]
	for _, f := range facts {
		if f.Value != "" {
			shown = append(shown, f)
		}
	}
	return shown
}

func coins(n int64) string {
	if n == 1 {
		return "1 coin"
	}
	return figure.Count(n) + " coins"
}

func generatorFacts(g *result.Generator) []fact {
	facts := []fact{
		{Name: "Send lag", Value: spread(&g.Lag), Means: "how late sends left that no busy connection explains; it should be small beside the latencies"},
		{Name: "Waits", Value: fmt.Sprintf("p99 %s for a thread, %s in all for a processor", figure.Microseconds(g.RunnableP99*1e3), figure.Seconds(g.RunDelay)), Means: "of work that could have been done, and of threads; other processes take the processors, or the rate is too high"},
		{Name: "CPU", Value: fmt.Sprintf("%s of %d cores", figure.Number(g.Cores), g.CoresHave), Means: "used by the generator; near all of them, its figures describe itself"},
		{Name: "CPU a request", Value: figure.Microseconds(g.CPUUs)},
		{Name: "GC", Value: fmt.Sprintf("%s, max %s, together %s", times(g.GCs), figure.Microseconds(g.GCPauseMax*1e3), figure.Microseconds(g.GCPauseAll*1e3)),
			Means: "garbage collections, and the pauses they made"},
		{Name: "Memory", Value: figure.Bytes(g.MemoryBytes), Means: "resident, at most"},
		{Name: "Connects", Value: fmt.Sprintf("%s, %s of them resumed", figure.Count(g.Connects), figure.Count(g.Resumed)), Means: "TLS handshakes"},
	}
	if g.Connect.Count() > 0 {
		facts = append(facts, fact{Name: "Connect", Value: spread(&g.Connect), Means: "time of a connect, until the end of its handshake"})
	}
	return facts
}

func spread(l *result.Latency) string {
	if l.Count() == 0 {
		return "not known"
	}
	return fmt.Sprintf("p50 %s, p99 %s, max %s", at(l, .5), at(l, .99), at(l, 1))
}

func times(n int64) string {
	if n == 1 {
		return "1 time"
	}
	return figure.Count(n) + " times"
}

func serverFacts(r *result.Run) []fact {
	s := r.Server
	// Of the seconds of sending: what was answered later took time of its own.
	cpu, seconds := 0.0, 0.0
	for i := range r.Seconds {
		if r.Seconds[i].At+1 <= r.Took {
			cpu += r.Seconds[i].CPU
			seconds++
		}
	}
	cores := ratio(cpu, seconds)
	return []fact{
		{Name: "CPU a coin", Value: figure.Microseconds(s.CPUUs)},
		{Name: "CPU a request", Value: figure.Microseconds(s.CPURequest)},
		{Name: "CPU", Value: figure.Number(cores) + " cores", Means: "used on average"},
		{Name: "Memory", Value: figure.Bytes(s.MemoryBytes), Means: "resident, at most"},
		{Name: "Disk", Value: figure.Bytes(s.DiskBytes), Means: "of the ledger, at the end"},
		{Name: "Live coins", Value: figure.Count(s.Live), Means: "at the end"},
	}
}

func auditFacts(a *result.Audit) []fact {
	of := func(name string, done, tried int64, means string) fact {
		return fact{Name: name, Value: figure.Count(done) + " of " + figure.Count(tried), Means: means, Bad: done != tried}
	}
	facts := []fact{
		{Name: "Issued", Value: figure.Count(a.Issued), Means: "coins that the run withdrew"},
		{Name: "Redeemed", Value: figure.Count(a.Redeemed), Means: "of them, for good, each exactly once"},
		{Name: "Refunded", Value: figure.Count(a.Refunded), Means: "of them, for their credit"},
		{Name: "Live", Value: figure.Count(a.Live), Means: "of them, still to be spent"},
		{Name: "Asked for", Value: figure.Count(a.Proved) + " of " + figure.Count(a.Issued), Means: "coins whose refund the bank was asked for at the end: it must give back what is live, and name the redeemer of what is not"},
		of("Double spends refused", a.DoubleSpendsRefused, a.DoubleSpends, "coins redeemed again on purpose: each must be refused"),
		of("Retries answered alike", a.RetriesSame, a.Retries, "requests sent again on purpose: each must get the same answer"),
		of("Bad headers refused", a.BadHeadersRefused, a.BadHeaders, "headers that do not open: each must be refused"),
		of("Lost answers settled", a.UnansweredSettled, a.Unanswered, "coins of requests without an answer: each was asked for until it got one"),
	}
	if a.Bank != "" {
		facts = append(facts, fact{Name: "Bank's audit", Value: a.Bank, Means: "granted = balances + live + returned + under way, in one snapshot"})
	}
	return facts
}

// recovery says how long a fault was felt.
func recovery(f *result.Fault) string {
	if f.RecoveryS < 0 {
		return "never recovered"
	}
	return "recovered after " + figure.Seconds(f.RecoveryS)
}

// quantiles are the rows of latency tables; 1 is the longest.
var quantiles = []struct {
	name string
	q    float64
}{{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}, {"max", 1}}

// at is a quantile as text, "-" of nothing.
func at(l *result.Latency, q float64) string {
	var d time.Duration
	switch {
	case l.Count() == 0:
		return "-"
	case q == 1:
		d = l.Max()
	default:
		d = l.Quantile(q)
	}
	return figure.Duration(d)
}

// ratio is a/b, 0 where b is.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
