package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ecoin/internal/wire"
)

func (h *harness) health(path string) (int, string) {
	h.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Get("http://" + h.s.healthAddr().String() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestHealth(t *testing.T) {
	h := start(t)
	coins := h.collector().withdraw(2)
	h.analyst().do("POST", wire.PathRedeem, h.records(coins)).want(t, "redeem", 200)
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ready", "/debug/pprof/": "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
	} {
		if code, body := h.health(path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.100q", path, code, body)
		}
	}
	for path, want := range map[string]int{"/v1/keys": 404, "/admin/accounts": 404, "/x": 404} {
		if code, _ := h.health(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	code, text := h.health("/metrics")
	if code != 200 {
		t.Fatalf("metrics: %d", code)
	}
	for _, want := range []string{
		`ecoin_coins_total{call="redeem",outcome="ok"} 2`, `ecoin_coins_total{call="withdraw",outcome="ok"} 2`,
		`ecoin_http_requests_total{route="/v1/redeem",code="200"} 1`, `ecoin_handshakes_failed_total{reason="unknown_key"} 0`,
		`ecoin_connections 2`, `ecoin_ready 1`, `ecoin_ledger_issued_coins 2`, `ecoin_ledger_redeemed_coins 2`,
		`ecoin_ledger_ballast_bytes 0`, `ecoin_ledger_shard_live_coins{shard="1"} 0`, `ecoin_ledger_shard_waiting_coins{shard="0"} 0`,
		`ecoin_ledger_shard_damaged_total{shard="1"} 0`,
		`ecoin_redeem_seconds_bucket{le="+Inf"} 1`, `ecoin_redeem_seconds_count 1`, "go_goroutines", "process_",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || space < 0 {
			continue
		}
		name, value := line[:space], line[space+1:]
		var v float64
		if _, err := fmt.Sscan(value, &v); err != nil || seen[name] {
			t.Errorf("line %q: %v, or twice", line, err)
		}
		seen[name] = true
	}
}

// TestNewRefuses: what is missing or taken is named, and nothing stays open.
func TestNewRefuses(t *testing.T) {
	h := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	good := Options{Bank: h.s.o.Bank, Accounts: h.store, Certificate: h.id, Listener: ln, Admin: t.TempDir() + "/s"}
	for want, change := range map[string]func(*Options){
		"no bank":         func(o *Options) { o.Bank = nil },
		"no accounts":     func(o *Options) { o.Accounts = nil },
		"no certificate":  func(o *Options) { o.Certificate = nil },
		"no listener":     func(o *Options) { o.Listener = nil },
		"no admin socket": func(o *Options) { o.Admin = "" },
		"negative":        func(o *Options) { o.MaxConns = -1 },
		"health":          func(o *Options) { o.Health = h.s.healthAddr().String() },
		"in use":          func(o *Options) { o.Admin = h.socket },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestListenerFails: when the second listener breaks, Run drains and says so.
func TestListenerFails(t *testing.T) {
	h := start(t)
	h.mayFail = true
	h.s.healthLn.Close()
	if err := h.wait(); err == nil || !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "health") {
		t.Errorf("Run returned %v", err)
	}
	if !strings.Contains(h.log.String(), `"msg":"listening","api":"127.0.0.1:`) {
		t.Errorf("no line \"listening\" in\n%s", h.log.String())
	}
}
