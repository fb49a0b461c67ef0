package server

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"ecoin/core"
	"ecoin/internal/latency"
)

// instruments are the server's metrics, in Prometheus text format under /metrics.
type instruments struct {
	set *metrics.Set

	accepted, acceptErrors          *metrics.Counter
	overLimit, overAddressLimit     *metrics.Counter
	refusals                        map[string]*metrics.Counter // by reason
	panics, connErrors              *metrics.Counter
	issued                          *metrics.Counter
	redeemed, returned, refunded    outcomes
	redeemSeconds, handshakeSeconds latency.Histogram
}

func newInstruments(s *Server) *instruments {
	set := metrics.NewSet()
	m := &instruments{
		set:              set,
		accepted:         set.NewCounter("ecoin_connections_accepted_total"),
		overLimit:        set.NewCounter(`ecoin_connections_over_limit_total{limit="all"}`),
		overAddressLimit: set.NewCounter(`ecoin_connections_over_limit_total{limit="address"}`),
		acceptErrors:     set.NewCounter("ecoin_accept_errors_total"),
		refusals:         map[string]*metrics.Counter{},
		panics:           set.NewCounter("ecoin_panics_total"),
		connErrors:       set.NewCounter("ecoin_connection_errors_total"),
		issued:           set.NewCounter(`ecoin_coins_total{call="withdraw",outcome="ok"}`),
		redeemed:         newOutcomes(set, "redeem"),
		returned:         newOutcomes(set, "return"),
		refunded:         newOutcomes(set, "refund"),
	}
	for _, why := range refusalReasons {
		m.refusals[why] = set.NewCounter(fmt.Sprintf("ecoin_handshakes_failed_total{reason=%q}", why))
	}
	set.NewGauge("ecoin_connections", func() float64 { return float64(s.conns.len()) })
	set.NewGauge("ecoin_connections_admitted", func() float64 { return float64(s.admission.open.Load()) })
	set.NewGauge("ecoin_handshakes", func() float64 { return float64(len(s.admission.slots)) })
	set.NewGauge("ecoin_ready", func() float64 {
		if s.ready.Load() && !s.databaseAway() {
			return 1
		}
		return 0
	})
	set.RegisterMetricsWriter(func(w io.Writer) { m.redeemSeconds.Write(w, "ecoin_redeem_seconds") })
	set.RegisterMetricsWriter(func(w io.Writer) { m.handshakeSeconds.Write(w, "ecoin_handshake_seconds") })
	set.RegisterMetricsWriter(s.o.Bank.WriteMetrics)
	set.RegisterMetricsWriter(s.writeLedgerMetrics)
	return m
}

func (m *instruments) refused(why string) { m.refusals[why].Inc() }

// writeLedgerMetrics takes one snapshot, so that its figures belong together.
func (s *Server) writeLedgerMetrics(w io.Writer) {
	st := s.o.Accounts.Stats()
	for _, v := range []struct {
		name  string
		value float64
	}{
		{"ecoin_ledger_live_coins", float64(st.Live)},
		{"ecoin_ledger_issued_coins", float64(st.Issued)},
		{"ecoin_ledger_redeemed_coins", float64(st.Redeemed)},
		{"ecoin_ledger_returned_coins", float64(st.Returned)},
		{"ecoin_ledger_refunded_coins", float64(st.Refunded)},
		{"ecoin_ledger_retries_total", float64(st.Retries)},
		{"ecoin_ledger_double_spends_total", float64(st.DoubleSpends)},
		{"ecoin_ledger_not_live_total", float64(st.NotLive)},
		{"ecoin_ledger_temporary_failures_total", float64(st.Temporary)},
		{"ecoin_ledger_corruptions_total", float64(st.Corruptions)},
		{"ecoin_ledger_overloads_total", float64(st.Overloads)},
		{"ecoin_ledger_low_disk_refusals_total", float64(st.LowDisk)},
		{"ecoin_ledger_batches_total", float64(st.Batches)},
		{"ecoin_ledger_batch_coins_total", float64(st.Coins)},
		{"ecoin_ledger_queued_coins", float64(st.Queued)},
		{"ecoin_ledger_indexed_coins", float64(st.Indexed)},
		{"ecoin_ledger_index_bytes", float64(st.IndexBytes)},
		{"ecoin_ledger_unflushed_coins", float64(st.Unflushed)},
		{"ecoin_ledger_disk_bytes", float64(st.DiskBytes)},
		{"ecoin_ledger_log_bytes", float64(st.LogBytes)},
		{"ecoin_ledger_free_bytes", float64(st.FreeBytes)},
		{"ecoin_ledger_ballast_bytes", float64(st.BallastBytes)},
		{"ecoin_ledger_read_amplification", float64(st.ReadAmp)},
		{"ecoin_ledger_compaction_debt_bytes", float64(st.CompactionDebt)},
	} {
		metrics.WriteGaugeFloat64(w, v.name, v.value)
	}
	if d, ok := s.o.Accounts.(shared); ok {
		d.WriteMetrics(w)
	}
	for i, sh := range st.Shards {
		for _, v := range []struct {
			name  string
			value int64
		}{
			{"ecoin_ledger_shard_live_coins", sh.Live},
			{"ecoin_ledger_shard_waiting_coins", sh.Waiting},
			{"ecoin_ledger_shard_damaged_total", sh.Damaged},
		} {
			metrics.WriteGaugeFloat64(w, fmt.Sprintf("%s{shard=%q}", v.name, strconv.Itoa(i)), float64(v.value))
		}
	}
}

func (s *Server) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s.metrics.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}

// outcomes counts coins by the status they were answered with.
type outcomes [core.StatusTemporary + 1]*metrics.Counter

func newOutcomes(set *metrics.Set, call string) outcomes {
	var o outcomes
	for st, name := range []string{"ok", "redeemed_before", "not_open", "not_live", "already_redeemed", "temporary"} {
		o[st] = set.NewCounter(fmt.Sprintf("ecoin_coins_total{call=%q,outcome=%q}", call, name))
	}
	return o
}

// add counts the records of a binary answer, each of which starts with its status, and
// returns how many say "ok".
func (o *outcomes) add(answer []byte, recordLen int) (ok int) {
	for ; len(answer) >= recordLen; answer = answer[recordLen:] {
		if st := int(answer[0]); st < len(o) {
			o[st].Inc()
		}
		if answer[0] == byte(core.StatusOK) {
			ok++
		}
	}
	return ok
}

// statusCounts counts the answers of one route by HTTP status. Counters are made on
// first use: a route gives few of the 500 there could be.
type statusCounts [600]atomic.Pointer[metrics.Counter]

func (c *statusCounts) inc(m *instruments, r *route, status int) {
	if status < 0 || status >= len(c) {
		return
	}
	counter := c[status].Load()
	if counter == nil {
		counter = m.set.GetOrCreateCounter(fmt.Sprintf("ecoin_http_requests_total{route=%q,code=\"%d\"}", r.path, status))
		c[status].Store(counter)
	}
	counter.Inc()
}
