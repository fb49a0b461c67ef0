package server

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

const (
	rateSpan = 10 * time.Second // what the rates that are shown as numbers look back on
	callSpan = time.Minute      // and the percentiles
	topShown = 10               // accounts in each list
)

// status is /status.json, the operator's page in numbers. It holds no coin, no key and
// nothing that a client sent; names are those that the operator gave.
type status struct {
	Time    time.Time `json:"time"`
	Started time.Time `json:"started"`
	State   string    `json:"state"` // starting, ready, draining
	Address string    `json:"address"`
	Version string    `json:"version"`
	Go      string    `json:"go"`

	Rates       statusRates       `json:"rates"`
	Redeem      statusRedeem      `json:"redeem"`
	Coins       statusCoins       `json:"coins"`
	Queues      statusQueues      `json:"queues"`
	Events      statusEvents      `json:"events"`
	Store       statusStore       `json:"store"`
	Connections statusConnections `json:"connections"`
	Process     statusProcess     `json:"process"`
	Shards      []statusShard     `json:"shards"` // by index
	Redeemers   statusTop         `json:"top_redeemed"`
	Withdrawers statusTop         `json:"top_withdrawn"`
	Refusals    []statusRefusal   `json:"refusals"` // newest first
	Series      *series           `json:"series"`
}

// statusRates are means of the last seconds.
type statusRates struct {
	Over       float64 `json:"over_seconds"`
	Redeemed   float64 `json:"redeemed_coins"`
	Issued     float64 `json:"issued_coins"`
	Returned   float64 `json:"returned_coins"`
	Refunded   float64 `json:"refunded_coins"`
	Requests   float64 `json:"requests"`
	Refused    float64 `json:"refused_requests"`
	Handshakes float64 `json:"handshakes"`
	Failed     float64 `json:"failed_handshakes"`
}

// statusRedeem are estimates from the histogram of redeem calls; null when there were
// none.
type statusRedeem struct {
	Over  float64  `json:"over_seconds"`
	Calls int64    `json:"calls"`
	P50   *float64 `json:"p50_ms"`
	P99   *float64 `json:"p99_ms"`
	P999  *float64 `json:"p999_ms"`
}

// statusCoins count since the ledger was created, live ones now.
type statusCoins struct {
	Live     int64 `json:"live"`
	Issued   int64 `json:"issued"`
	Redeemed int64 `json:"redeemed"`
	Returned int64 `json:"returned"`
	Refunded int64 `json:"refunded"`
}

type statusQueues struct {
	WaitingRecords int64 `json:"waiting_records"` // headers that no worker has taken
	UnderWay       int64 `json:"coins_under_way"` // of all calls in the bank
	LedgerCoins    int64 `json:"ledger_coins"`    // waiting for a commit, or in one
}

// statusEvents count since the process was started.
type statusEvents struct {
	Requests      int64 `json:"requests"`
	Refused       int64 `json:"refused_requests"` // 4xx and 5xx
	ServerErrors  int64 `json:"server_errors"`    // 5xx but 503 and 507
	Panics        int64 `json:"panics"`
	Overloads     int64 `json:"overloads"`
	Retries       int64 `json:"retries"`
	DoubleSpends  int64 `json:"double_spends"`
	NotLive       int64 `json:"not_live"`
	Temporary     int64 `json:"temporary_failures"`
	Corruptions   int64 `json:"corruptions"`
	LowDisk       int64 `json:"low_disk_refusals"`
	Handshakes    int64 `json:"handshakes"`
	Failed        int64 `json:"failed_handshakes"`
	OverLimit     int64 `json:"over_connection_limit"`
	OverAddress   int64 `json:"over_address_limit"`
	AcceptErrors  int64 `json:"accept_errors"`
	ConnectionErr int64 `json:"connection_errors"`
}

// statusStore is the ledger's store, on all of its disks.
type statusStore struct {
	DiskBytes      int64   `json:"disk_bytes"`
	LogBytes       int64   `json:"log_bytes"`
	FreeBytes      int64   `json:"free_bytes"` // of the disk that has least
	BallastBytes   int64   `json:"ballast_bytes"`
	DebtBytes      int64   `json:"compaction_debt_bytes"`
	ReadAmp        int     `json:"read_amplification"`
	Unflushed      int64   `json:"unflushed_coins"`
	Indexed        int64   `json:"indexed_coins"`
	IndexBytes     int64   `json:"index_bytes"`
	CoinsPerCommit float64 `json:"coins_per_commit"` // mean since the process was started
}

type statusConnections struct {
	Open          int64 `json:"open"`    // handshake done
	Admitted      int64 `json:"entered"` // accepted, those in a handshake among them
	Max           int64 `json:"max"`
	Handshakes    int64 `json:"handshakes"` // under way
	MaxHandshakes int64 `json:"max_handshakes"`
}

type statusProcess struct {
	CPU         float64 `json:"cpu_cores"` // mean of the span of the rates
	Processors  int     `json:"processors"`
	MemoryBytes int64   `json:"memory_bytes"` // of the Go runtime; block cache and index are beside it
	Goroutines  int64   `json:"goroutines"`
}

type statusShard struct {
	Live    int64 `json:"live"`
	Waiting int64 `json:"waiting"`
	Damaged int64 `json:"damaged"`
	Indexed bool  `json:"indexed"`
}

type statusTop struct {
	Over     float64         `json:"over_seconds"`
	Accounts []statusAccount `json:"accounts"`
}

// statusAccount says between what bounds the number of an account's coins is; mostly
// they are one.
type statusAccount struct {
	Name    string `json:"name"`
	AtLeast int64  `json:"coins_at_least"`
	AtMost  int64  `json:"coins_at_most"`
}

type statusRefusal struct {
	Time    time.Time `json:"time"`
	What    string    `json:"what"`
	Status  int       `json:"status,omitzero"`
	Reason  string    `json:"reason"`
	Account string    `json:"account,omitzero"`
	Peer    string    `json:"peer,omitzero"`
	Count   int64     `json:"count"`
}

// status reads everything once. after is the newest point of the charts that the
// caller has.
func (s *Server) status(now time.Time, after int64) *status {
	st := s.o.Accounts.Stats()
	p := s.sample(now, st)
	m := s.metrics
	out := &status{
		Time: now.UTC(), Started: s.watch.started.UTC(), State: s.state(), Address: s.addr().String(),
		Version: version(), Go: runtime.Version(),
		Coins:  statusCoins{Live: st.Live, Issued: st.Issued, Redeemed: st.Redeemed, Returned: st.Returned, Refunded: st.Refunded},
		Queues: statusQueues{WaitingRecords: p.waitingRecords, UnderWay: p.underWay, LedgerCoins: p.queued},
		Events: statusEvents{
			Requests: p.requests, Refused: p.refusedRequests, ServerErrors: p.serverErrors,
			Panics: int64(m.panics.Get()), Overloads: st.Overloads, Retries: st.Retries, DoubleSpends: st.DoubleSpends,
			NotLive: st.NotLive, Temporary: st.Temporary, Corruptions: st.Corruptions, LowDisk: st.LowDisk,
			Handshakes: p.handshakes, Failed: p.failedHandshakes,
			OverLimit: int64(m.overLimit.Get()), OverAddress: int64(m.overAddressLimit.Get()),
			AcceptErrors: int64(m.acceptErrors.Get()), ConnectionErr: int64(m.connErrors.Get()),
		},
		Store: statusStore{
			DiskBytes: int64(st.DiskBytes), LogBytes: int64(st.LogBytes), FreeBytes: int64(st.FreeBytes),
			BallastBytes: st.BallastBytes, DebtBytes: int64(st.CompactionDebt), ReadAmp: st.ReadAmp,
			Unflushed: st.Unflushed, Indexed: st.Indexed, IndexBytes: st.IndexBytes,
			CoinsPerCommit: float64(st.Coins) / float64(max(st.Batches, 1)),
		},
		Connections: statusConnections{
			Open: p.connections, Admitted: s.admission.open.Load(), Max: int64(s.o.MaxConns),
			Handshakes: int64(len(s.admission.slots)), MaxHandshakes: int64(s.o.MaxHandshakes),
		},
		Process:     statusProcess{Processors: runtime.GOMAXPROCS(0), MemoryBytes: p.memoryBytes, Goroutines: p.goroutines},
		Shards:      make([]statusShard, len(st.Shards)),
		Redeemers:   topOf(s.watch.redeemed, now),
		Withdrawers: topOf(s.watch.withdrawn, now),
		Refusals:    []statusRefusal{},
		Series:      s.watch.history.after(after),
	}
	if then, ok := s.watch.history.ago(now, rateSpan); ok {
		in := now.Sub(then.at)
		out.Rates = statusRates{
			Over:     in.Seconds(),
			Redeemed: perSecond(p.redeemed-then.redeemed, in), Issued: perSecond(p.issued-then.issued, in),
			Returned: perSecond(p.returned-then.returned, in), Refunded: perSecond(p.refunded-then.refunded, in),
			Requests: perSecond(p.requests-then.requests, in), Refused: perSecond(p.refusedRequests-then.refusedRequests, in),
			Handshakes: perSecond(p.handshakes-then.handshakes, in), Failed: perSecond(p.failedHandshakes-then.failedHandshakes, in),
		}
		out.Process.CPU = cores(&p, &then)
	}
	if then, ok := s.watch.history.ago(now, callSpan); ok {
		calls := p.redeemCalls.Since(then.redeemCalls)
		out.Redeem = statusRedeem{
			Over: now.Sub(then.at).Seconds(), Calls: calls.Total(),
			P50: milliseconds(&calls, 0.5), P99: milliseconds(&calls, 0.99), P999: milliseconds(&calls, 0.999),
		}
	}
	for i, sh := range st.Shards {
		out.Shards[i] = statusShard{Live: sh.Live, Waiting: sh.Waiting, Damaged: sh.Damaged, Indexed: sh.Indexed}
	}
	for _, r := range s.watch.recent.newestFirst() {
		e := statusRefusal{Time: r.last.UTC(), What: r.what, Status: r.status, Reason: r.reason, Account: r.account, Count: r.count}
		if r.peer.IsValid() {
			e.Peer = r.peer.String()
		}
		out.Refusals = append(out.Refusals, e)
	}
	return out
}

func topOf(a *heavyAccounts, now time.Time) statusTop {
	list, from := a.top(topShown)
	out := statusTop{Over: now.Sub(from).Seconds(), Accounts: make([]statusAccount, len(list))}
	for i, c := range list {
		out.Accounts[i] = statusAccount{Name: c.name, AtLeast: c.certain(), AtMost: c.coins}
	}
	return out
}

func (s *Server) state() string {
	switch {
	case s.ready.Load():
		return "ready"
	case s.draining.Load():
		return "draining"
	}
	return "starting"
}

// version is that of the main module, as the build recorded it.
func version() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return "unknown"
	}
	return cmp.Or(info.Main.Version, "(devel)")
}

// serveStatus answers /status.json; after=N leaves the points of the charts out that
// the caller has.
func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	var after int64
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			http.Error(w, "after is the number of a point: series.last of an earlier answer", http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.status(time.Now(), after)) // fails when the caller has gone
}

// forOperator guards what shows names of accounts to whoever reaches the second
// listener, which has no access control: on loopback that is the operator, and also
// his browser on behalf of any web site, should that site's name suddenly resolve to
// 127.0.0.1 (DNS rebinding). Such a request carries the site's name as its Host, so a
// Host must be an IP address, localhost, or the name that --health itself gives.
// Machines that ask for /metrics or /readyz by other names are not concerned.
func (s *Server) forOperator(next http.HandlerFunc) http.HandlerFunc {
	configured, _, _ := net.SplitHostPort(s.o.Health)
	return func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		_, notIP := netip.ParseAddr(strings.Trim(host, "[]"))
		if notIP != nil && !strings.EqualFold(host, "localhost") && (configured == "" || !strings.EqualFold(host, configured)) {
			http.Error(w, "ask by IP address, as localhost, or by the name that --health was given", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next(w, r)
	}
}
