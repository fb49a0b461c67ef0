package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/shirou/gopsutil/v4/cpu"
	sysload "github.com/shirou/gopsutil/v4/load"
)

// report is what results.json holds.
type report struct {
	Machine    string            `json:"machine"`
	Command    string            `json:"command"`
	Closed     []closedResult    `json:"closed"`
	Open       []openResult      `json:"open"`
	Handshakes []handshakeResult `json:"handshakes"`
	Idle       *idleResult       `json:"idle,omitempty"`
}

// closedResult has one outcome a round.
type closedResult struct {
	Headers   int       `json:"headers"`
	Conns     int       `json:"connections"`
	Rounds    []outcome `json:"rounds"`
	Transport []outcome `json:"transport"` // the same requests, refused unopened
}

type openResult struct {
	Headers int     `json:"headers"`
	Conns   int     `json:"connections"`
	Share   float64 `json:"share"` // of the highest closed rate
	Offered float64 `json:"offered_coins_per_s"`
	outcome
}

type handshakeResult struct {
	Resumed bool    `json:"resumed"`
	PerS    float64 `json:"per_s"`
	CPUUs   float64 `json:"bank_cpu_us"`
}

type idleResult struct {
	Conns int   `json:"connections"`
	Bytes int64 `json:"bytes"` // by which the bank's memory grew
	Total int64 `json:"total_bytes"`
}

func (r *report) of(s shape) *closedResult {
	i := slices.IndexFunc(r.Closed, func(c closedResult) bool { return c.Headers == s.headers && c.Conns == s.conns })
	if i < 0 {
		r.Closed = append(r.Closed, closedResult{Headers: s.headers, Conns: s.conns})
		i = len(r.Closed) - 1
	}
	return &r.Closed[i]
}

func (r *report) closed(s shape, o outcome)    { c := r.of(s); c.Rounds = append(c.Rounds, o) }
func (r *report) transport(s shape, o outcome) { c := r.of(s); c.Transport = append(c.Transport, o) }

// highest returns the highest median rate of requests with so many headers.
func (r *report) highest(headers int) (most float64) {
	for _, c := range r.Closed {
		if c.Headers == headers {
			most = max(most, spreadOf(c.Rounds, outcome.rate).mid)
		}
	}
	return most
}

// spread is the median of some figures, the least and the greatest.
type spread struct{ mid, low, high float64 }

func spreadOf[T any](list []T, figure func(T) float64) spread {
	var v []float64
	for _, x := range list {
		v = append(v, figure(x))
	}
	if len(v) == 0 {
		return spread{}
	}
	slices.Sort(v)
	return spread{(v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[0], v[len(v)-1]}
}

func (s spread) format(verb string) string {
	return fmt.Sprintf(verb+" ["+verb+".."+verb+"]", s.mid, s.low, s.high)
}

func machine() string {
	name := "unknown processor"
	if info, err := cpu.Info(); err == nil && len(info) > 0 {
		name = info[0].ModelName
	}
	s := fmt.Sprintf("%s, %s/%s, %d processors, %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), name)
	if l, err := sysload.Avg(); err == nil {
		s += fmt.Sprintf(", load average %.1f at the start", l.Load1)
	}
	return s
}

// print writes the tables in Markdown: medians, and the lowest and highest of the rounds.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s\n", r.Machine, r.Command)
	if len(r.Closed) > 0 {
		fmt.Fprintf(w, "\n| headers a request | connections | coins/s | bank CPU us/coin | of it transport | p50 / p99 ms |\n|---|---|---|---|---|---|\n")
		for _, c := range r.Closed {
			p50, p99 := spreadOf(c.Rounds, func(o outcome) float64 { return o.P50Ms }), spreadOf(c.Rounds, func(o outcome) float64 { return o.P99Ms })
			fmt.Fprintf(w, "| %d | %d | %s | %s | %s | %.1f / %.1f |\n", c.Headers, c.Conns, spreadOf(c.Rounds, outcome.rate).format("%.0f"),
				spreadOf(c.Rounds, outcome.cpuUs).format("%.2f"), spreadOf(c.Transport, outcome.cpuUs).format("%.2f"), p50.mid, p99.mid)
		}
	}
	if len(r.Open) > 0 {
		fmt.Fprintf(w, "\n| headers a request | offered coins/s | of the highest | redeemed coins/s | refused | skipped requests | p50 / p99 / p99.9 ms |\n|---|---|---|---|---|---|---|\n")
		for _, o := range r.Open {
			fmt.Fprintf(w, "| %d | %.0f | %.0f %% | %.0f | %.0f %% | %d | %.2f / %.2f / %.2f |\n", o.Headers, o.Offered, 100*o.Share, o.rate(),
				100*float64(o.Refused)/float64(max(1, o.Refused+o.Coins)), o.Skipped, o.P50Ms, o.P99Ms, o.P999Ms)
		}
	}
	if len(r.Handshakes) > 0 {
		fmt.Fprintf(w, "\n| handshake | a second | bank CPU us |\n|---|---|---|\n")
		for _, resumed := range []bool{false, true} {
			list := slices.DeleteFunc(slices.Clone(r.Handshakes), func(h handshakeResult) bool { return h.Resumed != resumed })
			fmt.Fprintf(w, "| %s | %s | %s |\n", map[bool]string{false: "full", true: "resumed"}[resumed],
				spreadOf(list, func(h handshakeResult) float64 { return h.PerS }).format("%.0f"), spreadOf(list, func(h handshakeResult) float64 { return h.CPUUs }).format("%.0f"))
		}
	}
	if r.Idle != nil {
		fmt.Fprintf(w, "\n%d idle connections: %.1f MiB, %.1f KiB each; the bank's whole memory is %.1f MiB\n", r.Idle.Conns,
			float64(r.Idle.Bytes)/(1<<20), float64(r.Idle.Bytes)/1024/float64(r.Idle.Conns), float64(r.Idle.Total)/(1<<20))
	}
}
