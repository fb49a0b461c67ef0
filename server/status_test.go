package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ecoin/internal/wire"
	"ecoin/ledger"
)

func (h *harness) status(query string) status {
	h.t.Helper()
	code, text := h.health("/status.json" + query)
	var out status
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); code != 200 || err != nil {
		h.t.Fatalf("status: %d, %v\n%.500s", code, err, text)
	}
	return out
}

// TestStatus compares what the status says with what was called.
func TestStatus(t *testing.T) {
	h := start(t)
	if s := h.status(""); s.State != "ready" || s.Address != h.s.addr().String() || s.Version == "" || s.Redeem.P50 != nil || len(s.Refusals) != 0 || len(s.Shards) != 2 {
		t.Errorf("before the first call: %+v", s)
	}
	one, two := h.collector(), h.client("cam-2", ledger.RoleCollector, 100)
	lab := h.analyst()
	coins := append(one.withdraw(30), two.withdraw(12)...)
	records := h.records(coins[:20])
	length := len(records) / 20
	lab.do("POST", wire.PathRedeem, records).want(t, "redeem", 200)
	lab.do("POST", wire.PathRedeem, records[:5*length]).want(t, "a retry", 200)
	other := h.client("lab-2", ledger.RoleAnalyst, 0)
	other.do("POST", wire.PathRedeem, h.records(coins[:3])).want(t, "double spend", 200)
	other.do("POST", wire.PathRedeem, h.records(coins[20:21])).want(t, "redeem", 200)
	lab.do("POST", wire.PathReturn, records[:4*length]).want(t, "return", 200)
	var asked []byte
	for _, c := range coins[38:42] {
		asked = append(asked, c[:]...)
	}
	two.do("POST", wire.PathRefund, asked).want(t, "refund", 200)

	lab.do("POST", wire.PathWithdraw+"?n=1", nil, wire.HeaderIdempotencyKey, key(1)).want(t, "wrong role", 403)
	lab.do("POST", wire.PathWithdraw+"?n=1", nil, wire.HeaderIdempotencyKey, key(1)).want(t, "wrong role", 403)
	two.do("POST", wire.PathWithdraw+"?n=1000", nil, wire.HeaderIdempotencyKey, key(2)).want(t, "poor", 402)
	if _, err := h.stranger(newIdentity(t, "nobody", time.Hour)).try("GET", wire.PathKeys, nil); err == nil {
		t.Error("a stranger was answered")
	}

	eventually(t, "the stranger's handshake is counted", func() bool { return h.status("").Events.Failed == 1 })
	s := h.status("")
	if want := (statusCoins{Live: 42 - 21 - 4, Issued: 42, Redeemed: 21, Returned: 4, Refunded: 4}); s.Coins != want {
		t.Errorf("coins: %+v, want %+v", s.Coins, want)
	}
	e := s.Events
	if e.Requests != 2+4+1+1+3 || e.Refused != 3 || e.ServerErrors != 0 || e.DoubleSpends != 3 || e.Retries != 5 || e.Handshakes < 4 {
		t.Errorf("events: %+v", e)
	}
	if s.Redeem.Calls != 4 || s.Redeem.P50 == nil || *s.Redeem.P50 <= 0 || *s.Redeem.P99 < *s.Redeem.P50 || *s.Redeem.P999 < *s.Redeem.P99 {
		t.Errorf("redeem: %+v", s.Redeem)
	}
	if got, want := fmt.Sprint(s.Redeemers.Accounts), "[{lab-1 20 20} {lab-2 1 1}]"; got != want {
		t.Errorf("top redeemed: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(s.Withdrawers.Accounts), "[{cam-1 30 30} {cam-2 12 12}]"; got != want {
		t.Errorf("top withdrawn: %s, want %s", got, want)
	}
	if s.Connections.Open != 4 || s.Connections.Max != 16384 || s.Store.FreeBytes <= 0 || s.Process.MemoryBytes <= 0 || s.Process.Goroutines <= 0 {
		t.Errorf("%+v %+v %+v", s.Connections, s.Store, s.Process)
	}
	var live int64
	for _, sh := range s.Shards {
		live += sh.Live
	}
	if live != s.Coins.Live {
		t.Errorf("the shards hold %d live coins of %d", live, s.Coins.Live)
	}
	var got []string
	for _, r := range s.Refusals {
		got = append(got, fmt.Sprintf("%s %d %s (%s) x%d", r.What, r.Status, r.Reason, r.Account, r.Count))
		if r.Peer != "127.0.0.1" || r.Time.IsZero() {
			t.Errorf("refusal %+v", r)
		}
	}
	want := []string{
		"handshake 0 unknown_key () x1",
		"/v1/withdraw 402 " + ledger.ErrInsufficient.Error() + " (cam-2) x1",
		"/v1/withdraw 403 this account's role does not allow the call (lab-1) x2",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("refusals:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// The sampler has its own goroutine: what was called comes into the charts.
	eventually(t, "the calls are in the charts", func() bool {
		sum := 0.0
		for _, v := range h.status("").Series.Redeemed {
			sum += v
		}
		return sum > 0
	})
	if last := h.status("").Series.Last; h.status(fmt.Sprint("?after=", last+1000)).Series.At != nil {
		t.Error("points from the future")
	}
	if code, _ := h.health("/status.json?after=x"); code != 400 {
		t.Errorf("after=x: %d", code)
	}
}

// TestStatusNamesWhoIsKeptOut: a refused handshake of a key whose account was suspended or
// removed tells whose it is; two such accounts are two lines.
func TestStatusNamesWhoIsKeptOut(t *testing.T) {
	t.Parallel()
	h := start(t)
	refused := func(p *peer) {
		t.Helper()
		before := h.status("").Events.Failed
		h.wantNothing(p.account.Name, p.rawConfig())
		eventually(t, "the refusal is counted", func() bool { return h.status("").Events.Failed == before+1 })
	}
	one, two := h.client("cam-1", ledger.RoleCollector, 0), h.client("cam-2", ledger.RoleCollector, 0)
	h.adminDo("POST", wire.AdminPathAccounts+"/cam-1/suspend", nil).want(t, "suspend", 200)
	h.adminDo("POST", wire.AdminPathAccounts+"/cam-2/suspend", nil).want(t, "suspend", 200)
	refused(one)
	refused(two)
	refused(two)
	h.remove("cam-1")
	refused(one)
	refused(h.stranger(newIdentity(t, "cam-1", time.Hour)))

	var got []string
	for _, r := range h.status("").Refusals {
		got = append(got, fmt.Sprintf("%s %s (%s) x%d", r.What, r.Reason, r.Account, r.Count))
	}
	want := []string{
		"handshake unknown_key () x1",
		"handshake removed_key (cam-1) x1",
		"handshake suspended (cam-2) x2",
		"handshake suspended (cam-1) x1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("refusals:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestStatusKeepsSecrets searches the status, /metrics and the page for every coin and key of a
// run, and for what refused requests carried.
func TestStatusKeepsSecrets(t *testing.T) {
	h := start(t)
	cam, lab := h.collector(), h.analyst()
	coins := cam.withdraw(8)
	var secrets [][]byte
	for _, c := range coins {
		secrets = append(secrets, c[:])
		header := h.record(c)
		secrets = append(secrets, header[len(header)-32:])
		lab.do("POST", wire.PathRedeem, header).want(t, "redeem", 200)
		lab.do("POST", wire.PathRedeem, c[:]).want(t, "a coin instead of a header", 400)
		query := fmt.Sprintf("%s?n=%x", wire.PathWithdraw, c[:])
		cam.do("POST", query, nil, wire.HeaderIdempotencyKey, h.nextKey()).want(t, "a coin as a number", 400)
		cam.do("POST", wire.PathWithdraw+"?n=1", nil, wire.HeaderIdempotencyKey, fmt.Sprintf("%x", c[:])).want(t, "a coin as a key", 400)
		cam.do("GET", fmt.Sprintf("/v1/%x", c[:]), nil).want(t, "a coin as a path", 404)
		raw := cam.dial()
		raw.send(fmt.Sprintf("%x\n\n", c[:]))
		raw.mustRead("a coin as a request", 400)
	}
	for _, p := range []*peer{cam, lab} {
		pin := p.id.Pin
		secrets = append(secrets, pin[:], p.account.ID[:])
	}
	for _, path := range []string{"/status.json", "/", "/metrics"} {
		code, text := h.health(path)
		if code != 200 || path == "/status.json" && !strings.Contains(text, "bad request") {
			t.Fatalf("%s: %d %.2000s", path, code, text)
		}
		for _, secret := range secrets {
			if leak := findSecret(text, secret); leak != "" {
				t.Errorf("%s holds a coin, a header or a key, in %s", path, leak)
			}
		}
	}
}

// TestStatusHost: a web site whose name was made to resolve to this host is refused.
func TestStatusHost(t *testing.T) {
	h := start(t)
	ask := func(path, host string) *http.Response {
		req, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+h.s.healthAddr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	for _, path := range []string{"/", "/status.json"} {
		for host, want := range map[string]int{
			"127.0.0.1:7444": 200, "127.0.0.1": 200, "[::1]:7444": 200, "[::1]": 200, "localhost:1": 200, "LOCALHOST": 200,
			"evil.example": 421, "evil.example:7444": 421, "127.0.0.1.evil.example": 421, "bank.internal:7444": 421,
		} {
			if got := ask(path, host).StatusCode; got != want {
				t.Errorf("%s of host %q: %d, want %d", path, host, got, want)
			}
		}
	}
	h.s.o.Health = "bank.internal:7444"
	h.s.health.Handler = h.s.newHealth().Handler
	if got := ask("/", "bank.internal:7444").StatusCode; got != 200 {
		t.Errorf("the configured name: %d", got)
	}
	if got := ask("/metrics", "prometheus.example").StatusCode; got != 200 {
		t.Errorf("/metrics: %d", got)
	}
	header := ask("/", "localhost").Header
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || bytes.Contains([]byte(policy), []byte("http")) {
		t.Errorf("policy %q", policy)
	}
}

// waitingBank says that records and coins wait.
type waitingBank struct{ Bank }

func (waitingBank) Queued() (records, coins int) { return 7, 900 }

// TestStatusOfACrowd: queues, and connections above a limit, which never become
// requests.
func TestStatusOfACrowd(t *testing.T) {
	h := start(t, func(o *Options) { o.Bank, o.MaxConnsPerAddress, o.DrainTimeout = waitingBank{o.Bank}, 2, time.Minute })
	lab := h.analyst()
	first := lab.dial()
	lab.dial()
	for range 3 {
		c, err := net.Dial("tcp", h.s.addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a third connection of the address is served")
		}
		c.Close()
	}
	var refused []statusRefusal
	eventually(t, "three refusals are listed", func() bool {
		refused = h.status("").Refusals
		return len(refused) == 1 && refused[0].Count == 3
	})
	if r := refused[0]; r.What != "connection" || r.Reason != "limit of the address" || r.Peer != "127.0.0.1" {
		t.Errorf("refusal %+v", r)
	}
	s := h.status("")
	if want := (statusQueues{WaitingRecords: 7, UnderWay: 900}); s.Queues != want {
		t.Errorf("queues: %+v, want %+v", s.Queues, want)
	}
	if s.Events.OverAddress != 3 || s.Events.OverLimit != 0 || s.Connections.Admitted != 2 || s.Connections.Open != 2 {
		t.Errorf("%+v %+v", s.Events, s.Connections)
	}

	// While it drains, the status says so: a request that has begun keeps it alive.
	first.send("GET /v1/keys HTTP/1.1\nHost: b\n")
	eventually(t, "the request has begun", func() bool {
		begun := false
		h.s.conns.each(func(c *conn) { begun = begun || c.idleSince.Load() == 0 })
		return begun
	})
	h.stop()
	eventually(t, "the status says draining", func() bool { return h.status("").State == "draining" })
	first.send("\n")
	first.mustRead("the last request", 200)
}
