package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecoin/internal/wire"
	"ecoin/ledger"
)

// adminDo calls the admin API on its socket; v is sent as JSON, a string as it is.
func (h *harness) adminDo(method, path string, v any) reply {
	h.t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", h.socket)
		},
	}}
	var body []byte
	switch v := v.(type) {
	case nil:
	case string:
		body = []byte(v)
	default:
		var err error
		if body, err = json.Marshal(v); err != nil {
			h.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, "http://bank"+path, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, b}
}

func parse[T any](t testing.TB, r reply) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	return v
}

// list returns the truststore by account.
func (h *harness) list() map[string]wire.AdminAccount {
	h.t.Helper()
	r := h.adminDo("GET", wire.AdminPathAccounts, nil).want(h.t, "list", 200)
	out := map[string]wire.AdminAccount{}
	d := json.NewDecoder(bytes.NewReader(r.body))
	for {
		var line wire.AccountLine
		if err := d.Decode(&line); err != nil || line.End == nil && line.Account == nil {
			h.t.Fatalf("list: %v\n%s", err, r.body)
		}
		if line.End != nil {
			if int(*line.End) != len(out) || d.More() {
				h.t.Errorf("a list of %d ends with %d, or goes on", len(out), *line.End)
			}
			return out
		}
		out[line.Account.ID] = *line.Account
	}
}

// TestAdmin walks an account through everything the operator can do.
func TestAdmin(t *testing.T) {
	h := start(t)
	p := h.stranger(newIdentity(t, "cam-1", time.Hour))
	pin := ledger.Pin(p.id.Pin).String()
	const accounts = wire.AdminPathAccounts

	if list := h.list(); len(list) != 0 {
		t.Errorf("a new bank lists %v", list)
	}
	a := parse[wire.AdminAccount](t, h.adminDo("POST", accounts, wire.AddAccount{Name: "cam-1", Role: "collector", Pin: pin, Credit: 10}).want(t, "add", 200))
	if a.Name != "cam-1" || a.Role != "collector" || a.Pin != pin || a.Balance != 10 || a.Granted != 10 || a.State != "active" || len(a.ID) != 32 || time.Since(a.Created) > time.Minute {
		t.Errorf("added %+v", a)
	}
	coins := p.withdraw(4)
	if a := parse[wire.AdminAccount](t, h.adminDo("POST", accounts+"/cam-1/credit", wire.Credit{Amount: 5}).want(t, "credit", 200)); a.Balance != 11 {
		t.Errorf("credited %+v", a)
	}
	if a := parse[wire.AdminAccount](t, h.adminDo("POST", accounts+"/"+a.ID+"/credit", wire.Credit{Amount: -11}).want(t, "payout", 200)); a.Balance != 0 || a.Issued != 4 {
		t.Errorf("paid out %+v", a)
	}
	h.adminDo("POST", accounts+"/cam-1/credit", wire.Credit{Amount: -1}).want(t, "payout over the balance", 409)
	h.adminDo("POST", accounts+"/cam-1/credit", wire.Credit{Amount: 1e15}).want(t, "more credit than an account can have", 409)

	analyst := h.analyst()
	analyst.do("POST", wire.PathRedeem, h.records(coins[:3])).want(t, "redeem", 200)
	analyst.do("POST", wire.PathRedeem, h.records(coins[:1])).want(t, "double spend", 200)
	st := parse[wire.Stats](t, h.adminDo("GET", wire.AdminPathStats, nil).want(t, "stats", 200))
	if st.Live != 1 || st.Issued != 4 || st.Redeemed != 3 || st.DoubleSpends != 1 || st.Connections != 2 {
		t.Errorf("stats %+v", st)
	}
	if len(st.Shards) != 2 || st.Shards[0].Live+st.Shards[1].Live != 1 || st.Shards[0].Issued+st.Shards[1].Issued != 4 ||
		st.Shards[0].Redeemed+st.Shards[1].Redeemed != 3 || st.Batches == 0 || st.BatchCoins != 8 || st.LogBytes == 0 || st.DiskBytes < st.LogBytes {
		t.Errorf("stats of the parts %+v", st)
	}
	if len(st.Disks) != 1 || st.Disks[0].Dir == "" || st.Disks[0].FreeBytes <= 0 {
		t.Errorf("stats of the disks %+v", st.Disks)
	}
	audit := parse[wire.Audit](t, h.adminDo("POST", wire.AdminPathAudit, nil).want(t, "audit", 200))
	if !audit.OK || audit.Problems == nil || audit.Live != 1 || audit.Granted != 4 || audit.Balances != 3 || audit.Accounts != 2 || audit.Issued != 4 || audit.Redeemed != 3 {
		t.Errorf("audit %+v", audit)
	}
	copyTo := filepath.Join(t.TempDir(), "copy")
	h.adminDo("POST", wire.AdminPathCheckpoint, wire.Checkpoint{Dir: copyTo}).want(t, "checkpoint", 200)
	if l, err := ledger.Open(copyTo, ledger.Options{Mint: h.mint.AppendFingerprints, MinFreeBytes: 1, BallastBytes: -1}); err != nil {
		t.Errorf("the checkpoint does not open: %v", err)
	} else {
		if st := l.Stats(); st.Live != 1 {
			t.Errorf("the checkpoint holds %d live coins", st.Live)
		}
		l.Close()
	}
	h.adminDo("POST", wire.AdminPathCheckpoint, wire.Checkpoint{Dir: copyTo}).want(t, "checkpoint into a folder that exists", 409)
	h.adminDo("POST", wire.AdminPathCheckpoint, wire.Checkpoint{Dir: "relative"}).want(t, "relative folder", 400)
	h.adminDo("POST", wire.AdminPathCheckpoint, wire.Checkpoint{Dir: filepath.Join(st.Disks[0].Dir, "copy")}).want(t, "checkpoint into the ledger's folder", 400)

	// Names are unique among active accounts; keys always.
	other := ledger.Pin{7}.String()
	h.adminDo("POST", accounts, wire.AddAccount{Name: "cam-1", Role: "collector", Pin: other}).want(t, "name taken", 409)
	h.adminDo("POST", accounts, wire.AddAccount{Name: "cam-9", Role: "collector", Pin: pin}).want(t, "key taken", 409)
	removed := parse[wire.ChangedAccount](t, h.adminDo("POST", accounts+"/cam-1/remove", nil).want(t, "remove", 200))
	if removed.State != "removed" || removed.ID != a.ID || removed.ConnectionsClosed != 1 {
		t.Errorf("removed %+v", removed)
	}
	h.adminDo("POST", accounts+"/cam-1/remove", nil).want(t, "remove again by name", 404)
	h.adminDo("POST", accounts+"/cam-1/credit", wire.Credit{Amount: 1}).want(t, "credit a removed name", 404)
	b := parse[wire.AdminAccount](t, h.adminDo("POST", accounts, wire.AddAccount{Name: "cam-1", Role: "analyst", Pin: other}).want(t, "name free again", 200))
	if b.ID == a.ID || b.Balance != 0 {
		t.Errorf("the new cam-1 is the old one: %+v", b)
	}
	h.adminDo("POST", accounts+"/"+a.ID+"/credit", wire.Credit{Amount: 3}).want(t, "credit a removed id", 200)
	h.adminDo("POST", accounts+"/"+a.ID+"/credit", wire.Credit{Amount: -3}).want(t, "payout of a removed id", 200)
	list := h.list()
	if len(list) != 3 || list[a.ID].State != "removed" || list[b.ID].Name != "cam-1" || list[b.ID].State != "active" || list[analyst.account.ID.String()].Redeemed != 3 {
		t.Errorf("list %+v", list)
	}
	for _, path := range []string{"/cam-1", "/" + b.ID} {
		if got := parse[wire.AdminAccount](t, h.adminDo("GET", accounts+path, nil).want(t, "show", 200)); got != list[b.ID] {
			t.Errorf("%s shows %+v", path, got)
		}
	}
}

func TestAdminRefuses(t *testing.T) {
	h := start(t)
	pin := ledger.Pin{1}.String()
	add := func(name, role, pin string, credit int64) wire.AddAccount {
		return wire.AddAccount{Name: name, Role: role, Pin: pin, Credit: credit}
	}
	const accounts = wire.AdminPathAccounts
	for _, c := range []struct {
		name, method, path string
		body               any
		want               int
	}{
		{"no name", "POST", accounts, add("", "analyst", pin, 0), 400},
		{"long name", "POST", accounts, add(strings.Repeat("a", 65), "analyst", pin, 0), 400},
		{"name with a space", "POST", accounts, add("cam 1", "analyst", pin, 0), 400},
		{"name with a slash", "POST", accounts, add("a/b", "analyst", pin, 0), 400},
		{"name with a newline", "POST", accounts, add("a\nb", "analyst", pin, 0), 400},
		{"name not ASCII", "POST", accounts, add("käm", "analyst", pin, 0), 400},
		{"name like an id", "POST", accounts, add(strings.Repeat("0a", 16), "analyst", pin, 0), 400},
		{"name ..", "POST", accounts, add("..", "analyst", pin, 0), 400},
		{"no role", "POST", accounts, add("a", "", pin, 0), 400},
		{"unknown role", "POST", accounts, add("a", "director", pin, 0), 400},
		{"short pin", "POST", accounts, add("a", "analyst", pin[:63], 0), 400},
		{"pin not hexadecimal", "POST", accounts, add("a", "analyst", "x"+pin[1:], 0), 400},
		{"negative credit", "POST", accounts, add("a", "analyst", pin, -1), 400},
		{"not JSON", "POST", accounts, "name=a", 400},
		{"empty", "POST", accounts, "", 400},
		{"unknown field", "POST", accounts, `{"name":"a","role":"analyst","pin":"` + pin + `","balance":5}`, 400},
		{"two values", "POST", accounts, `{"name":"a","role":"analyst","pin":"` + pin + `"}{}`, 400},
		{"credit as text", "POST", accounts, `{"name":"a","role":"analyst","pin":"` + pin + `","credit":"5"}`, 400},
		{"credit beyond 64 bits", "POST", accounts, `{"name":"a","role":"analyst","pin":"` + pin + `","credit":9223372036854775808}`, 400},
		{"huge", "POST", accounts, `{"name":"` + strings.Repeat("a", maxAdminBody) + `"}`, 400},
		{"credit nobody", "POST", accounts + "/nobody/credit", wire.Credit{Amount: 1}, 404},
		{"credit an unknown id", "POST", accounts + "/" + strings.Repeat("0a", 16) + "/credit", wire.Credit{Amount: 1}, 404},
		{"credit nothing", "POST", accounts + "/nobody/credit", wire.Credit{}, 400},
		{"remove nobody", "POST", accounts + "/nobody/remove", nil, 404},
		{"suspend nobody", "POST", accounts + "/nobody/suspend", nil, 404},
		{"show nobody", "GET", accounts + "/nobody", nil, 404},
		{"zero pin", "POST", accounts, add("a", "analyst", ledger.Pin{}.String(), 0), 400},
		{"a key for nobody", "POST", accounts + "/nobody/add-key", wire.AccountKey{Pin: pin}, 404},
		{"half a key", "POST", accounts + "/nobody/add-key", wire.AccountKey{Pin: pin[1:]}, 400},
		{"drop no key", "POST", accounts + "/nobody/drop-key", wire.AccountKey{}, 400},
		{"an empty import", "POST", wire.AdminPathImport, wire.Import{}, 400},
		{"an import of 1001", "POST", wire.AdminPathImport, wire.Import{Accounts: make([]wire.AddAccount, 1001)}, 400},
		{"no checkpoint folder", "POST", wire.AdminPathCheckpoint, wire.Checkpoint{}, 400},
		{"wrong method", "DELETE", accounts, nil, 405},
		{"audit by GET", "GET", wire.AdminPathAudit, nil, 405},
		{"unknown path", "GET", "/admin/nothing", nil, 404},
		{"unknown action", "POST", accounts + "/a/pay", nil, 404},
		{"API path", "GET", wire.PathKeys, nil, 404},
	} {
		r := h.adminDo(c.method, c.path, c.body).want(t, c.name, c.want)
		if c.want == 405 && r.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", c.name)
		}
	}
	if list := h.list(); len(list) != 0 {
		t.Errorf("a refused request made %+v", list)
	}
}

// TestSocketFile: mode, owner's neighbours, stale and live sockets, long paths.
func TestSocketFile(t *testing.T) {
	h := start(t)
	fi, err := os.Stat(h.socket)
	if err != nil || fi.Mode().Perm() != 0o600 || fi.Mode().Type() != fs.ModeSocket {
		t.Fatalf("socket %v, %v", fi, err)
	}
	if _, err := listenUnix(h.socket); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a live socket was taken: %v", err)
	}
	h.adminDo("GET", wire.AdminPathStats, nil).want(t, "after that", 200)
	h.stop()
	h.wait()
	if _, err := os.Stat(h.socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there after the stop: %v", err)
	}

	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	ln, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // as kill -9 leaves it
	ln.Close()
	ln, err = listenUnix(stale)
	if err != nil {
		t.Fatalf("a stale socket is not replaced: %v", err)
	}
	if fi, err := os.Stat(stale); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the new socket: %v, %v", fi, err)
	}
	ln.Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(file); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file: %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("the file is gone")
	}
	long := filepath.Join(dir, strings.Repeat("x", maxSocketPath))
	if _, err := listenUnix(long); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("a long path: %v", err)
	}
	if _, err := listenUnix(filepath.Join(dir, "no", "folder", "s")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// TestAdminProblems: what changed nothing is told from what may have.
func TestAdminProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err      error
		status   int // 0: not expected
		retrying bool
	}{
		{fmt.Errorf("grant: %w", ledger.ErrUnavailable), 503, true},
		{fmt.Errorf("grant: %w", ledger.ErrOverload), 503, true},
		{ledger.ErrRemoved, 409, false},
		{errors.New("grant: its outcome is not known"), 0, false},
	} {
		p, expected := adminProblem(c.err)
		if expected != (c.status != 0) {
			t.Errorf("%v: expected is %v", c.err, expected)
		} else if expected && (p.Status != c.status || p.RetryAfter > 0 != c.retrying) {
			t.Errorf("%v: %d, again after %v", c.err, p.Status, p.RetryAfter)
		}
	}
}
