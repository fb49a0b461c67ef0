// Package result is what a run of load showed: the file that "ecoin loadgen --json"
// writes, and what every report, comparison and plan reads. Latencies are
// HdrHistograms and are kept whole, so that runs can be merged, and percentiles asked for
// that nobody thought of before. Start with [Read], [Run.Write] and [Merge].
package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Format is the version of the file; [Read] refuses others.
const Format = 1

// Run is what one run showed, after its warm-up.
type Run struct {
	Format    int       `json:"format"`
	Command   string    `json:"command"`
	Machine   string    `json:"machine"`
	Started   time.Time `json:"started"` // of the first second that counts
	Took      float64   `json:"took_s"`  // from then until the last planned send; answers may come later
	Setup     Setup     `json:"setup"`
	Kinds     []Kind    `json:"kinds"`   // by name
	Seconds   []Second  `json:"seconds"` // by time
	Errors    []Error   `json:"errors"`  // by kind and reason
	Generator Generator `json:"generator"`
	Server    *Server   `json:"server,omitempty"` // nil when the load did not start it
	Faults    []Fault   `json:"faults,omitempty"` // by time
	Audit     *Audit    `json:"audit,omitempty"`
	Checks    []Check   `json:"checks,omitempty"` // the thresholds of the run

	// Invalid says why the figures describe the generator and not the server; empty
	// when they describe the server.
	Invalid []string `json:"invalid,omitempty"`
}

// Setup is what was asked for, in words and numbers.
type Setup struct {
	Target   string  `json:"target"`   // of the requests: a URL, or "self-contained"
	Workload string  `json:"workload"` // "redeem", "mix redeem:8 withdraw:1", ...
	Model    string  `json:"model"`    // "open" or "closed"
	Schedule string  `json:"schedule"` // as the schedule prints itself; empty in a closed model
	Rate     float64 `json:"rate_per_s"`
	Suite    string  `json:"suite"`
	Batch    int     `json:"batch"`       // coins a request
	Conns    int     `json:"connections"` // at most at once
	Fleet    int     `json:"identities"`  // collectors
	Workers  int     `json:"workers"`     // processes that made the load
	WarmupS  float64 `json:"warmup_s"`
}

// Kind is all of one kind of request.
type Kind struct {
	Name     string  `json:"name"` // "redeem", "withdraw", "refund", "operation"
	Planned  int64   `json:"planned"`
	Sent     int64   `json:"sent"`
	Skipped  int64   `json:"skipped"`  // planned and not sent, because no connection was free for too long
	OK       int64   `json:"ok"`       // answered as they should be
	Refused  int64   `json:"refused"`  // answered 503 or 429: come back later
	Failed   int64   `json:"failed"`   // no answer, or a wrong one
	Coins    int64   `json:"coins"`    // moved by the requests that were answered
	Response Latency `json:"response"` // from the planned send to the answer, answered requests alone
	Service  Latency `json:"service"`  // from the send to the answer
}

// Second is one second of a run, all kinds together.
type Second struct {
	At       float64 `json:"at_s"` // since Started
	Planned  int64   `json:"planned"`
	OK       int64   `json:"ok"`
	Refused  int64   `json:"refused"`
	Failed   int64   `json:"failed"` // and skipped
	Coins    int64   `json:"coins"`
	InFlight int64   `json:"in_flight"` // at its end
	Response Latency `json:"response"`
	LagMaxUs int64   `json:"lag_max_us"`
	CPU      float64 `json:"server_cpu_s"` // the server's CPU time in it; 0 when unknown
}

// Error counts one way in which requests failed.
type Error struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"` // without addresses and numbers that differ between requests
	Count  int64  `json:"count"`
}

// Generator is how the generator itself fared.
type Generator struct {
	CPU         float64 `json:"cpu_s"` // of all its processes
	CPUUs       float64 `json:"cpu_us_per_request"`
	Cores       float64 `json:"cores_used"`
	CoresHave   int     `json:"cores"` // of its machine, the server's included where that runs on it
	GCs         int64   `json:"gcs"`
	GCPauseMax  float64 `json:"gc_pause_max_ms"`
	GCPauseAll  float64 `json:"gc_pause_total_ms"`
	RunnableP99 float64 `json:"runnable_p99_ms"` // how long a goroutine that could run waited for a thread
	RunDelay    float64 `json:"run_delay_s"`     // how long threads that could run waited for a processor, all together
	MemoryBytes int64   `json:"memory_bytes"`    // resident, at most
	Connects    int64   `json:"connects"`
	Resumed     int64   `json:"resumed"` // of the connects
	Connect     Latency `json:"connect"` // from a connect to the end of its handshake
	Lag         Latency `json:"lag"`     // of sends behind their plan that no busy connection explains
}

// Server is what the server used, which the load started itself.
type Server struct {
	CPU         float64 `json:"cpu_s"`
	CPUUs       float64 `json:"cpu_us_per_coin"`
	CPURequest  float64 `json:"cpu_us_per_request"`
	MemoryBytes int64   `json:"memory_bytes"` // resident, at most
	DiskBytes   int64   `json:"disk_bytes"`   // of the ledger, at the end
	Live        int64   `json:"live_coins"`   // at the end
}

// Fault is one thing that was done to the server during the run.
type Fault struct {
	At        float64 `json:"at_s"` // since Started
	What      string  `json:"what"`
	RecoveryS float64 `json:"recovery_s"` // until the rate of good answers was back; negative: it never was
}

// Audit is the account of every coin of the run.
type Audit struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems"` // empty when OK

	Issued   int64 `json:"issued"`   // coins withdrawn by the run
	Redeemed int64 `json:"redeemed"` // of them, for good
	Refunded int64 `json:"refunded"`
	Live     int64 `json:"live"`
	Proved   int64 `json:"proved"`         // of all coins: the bank was asked, and says the same
	Refunds  int64 `json:"refunds"`        // of live coins, by which that was proved
	ByFleet  int64 `json:"redeemed_fleet"` // redeemed by the fleet's own analysts, and not by those of a market

	DoubleSpends        int64 `json:"double_spends"` // tried
	DoubleSpendsRefused int64 `json:"double_spends_refused"`
	Retries             int64 `json:"retries"` // tried on purpose
	RetriesSame         int64 `json:"retries_same_answer"`
	BadHeaders          int64 `json:"bad_headers"`
	BadHeadersRefused   int64 `json:"bad_headers_refused"`
	Unanswered          int64 `json:"unanswered"`         // coins of requests without an answer
	UnansweredSettled   int64 `json:"unanswered_settled"` // of them, asked for again until answered

	Bank string `json:"bank"` // what the bank's own audit said; empty when it was not asked
}

// Check is a threshold and what it was held against.
type Check struct {
	Name  string `json:"name"` // "p99 < 10ms"
	Value string `json:"value"`
	OK    bool   `json:"ok"`
}

// Write writes r as JSON.
func (r *Run) Write(w io.Writer) error {
	r.Format = Format
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Read reads a run that [Run.Write] wrote.
func Read(in io.Reader) (*Run, error) {
	var r Run
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return nil, fmt.Errorf("result: not the JSON of a run: %w", err)
	}
	switch {
	case r.Format != Format:
		return nil, fmt.Errorf("result: format %d, want %d", r.Format, Format)
	case !(r.Took >= 0) || len(r.Kinds) == 0:
		return nil, errors.New("result: a run without time or kinds of request")
	}
	return &r, nil
}

// ReadFile is Read for a file.
func ReadFile(path string) (*Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Total is all kinds together; its name is "all".
func (r *Run) Total() Kind {
	t := Kind{Name: "all"}
	for i := range r.Kinds {
		t.Add(&r.Kinds[i])
	}
	return t
}

// GoodRate is how many coins a second moved, of what was answered before the last planned
// send: what a server answers after that, it had more time for.
func (r *Run) GoodRate() float64 {
	if r.Took <= 0 {
		return 0
	}
	coins, until := 0.0, 0.0
	for i := range r.Seconds {
		s := &r.Seconds[i]
		if s.At >= r.Took {
			break
		}
		share := min(1, r.Took-s.At)
		coins += float64(s.Coins) * share
		until += share
	}
	if until == 0 {
		t := r.Total()
		return float64(t.Coins) / r.Took
	}
	return coins / until
}

// ErrorShare is the share of planned requests that were not answered as they should be, 0 to 1:
// refused, failed and skipped ones.
func (k *Kind) ErrorShare() float64 {
	if k.Planned == 0 {
		return 0
	}
	return float64(k.Planned-k.OK) / float64(k.Planned)
}
