package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"ecoin/internal/journal"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// listedAccounts answers for any key and counts how often it is asked.
type listedAccounts struct {
	accounts
	asked  int
	during func() // called while a lookup is under way
}

func (l *listedAccounts) ClientByPin(_ context.Context, pin ledger.Pin) (ledger.Client, error) {
	l.asked++
	if pin[0] == 0xff {
		return ledger.Client{}, ledger.ErrNoAccount
	}
	c := ledger.Client{ID: ledger.AccountID{pin[0], pin[1]}, Role: ledger.Role(l.asked)} // tells when it was read
	if l.during != nil {
		l.during()
	}
	return c, nil
}

// TestTruststoreMemory: what came last is remembered, no more than may be, and nothing
// that changed meanwhile.
func TestTruststoreMemory(t *testing.T) {
	list := &listedAccounts{}
	ts := newTruststore(list, 100, metrics.NewSet())
	get := func(pin ledger.Pin) ledger.Client {
		t.Helper()
		c, err := ts.client(t.Context(), pin)
		if err != nil || c.ID != (ledger.AccountID{pin[0], pin[1]}) {
			t.Fatalf("%v is %v, %v", pin, c.ID, err)
		}
		return c
	}
	for i := range 1000 {
		get(ledger.Pin{1})
		get(ledger.Pin{2, byte(i), byte(i >> 8)})
		if n := len(ts.recent) + len(ts.older); n > 100 {
			t.Fatalf("%d are remembered", n)
		}
	}
	if list.asked != 1001 {
		t.Errorf("%d lookups, want one of the busy client and 1000 of the others", list.asked)
	}
	if hits := ts.hits.Get(); hits != 999 || ts.misses.Get() != 1001 {
		t.Errorf("%d hits, %d misses", hits, ts.misses.Get())
	}
	for range 2 {
		if _, err := ts.client(t.Context(), ledger.Pin{0xff}); !errors.Is(err, ledger.ErrNoAccount) {
			t.Errorf("a stranger: %v", err)
		}
	}
	if list.asked != 1003 {
		t.Error("a stranger is remembered")
	}

	get(ledger.Pin{3})
	get(ledger.Pin{4})
	ts.forget(ledger.AccountID{9}, ledger.AccountID{3})
	before := list.asked
	get(ledger.Pin{4})
	get(ledger.Pin{3})
	ts.forgetKey(ledger.Pin{3})
	get(ledger.Pin{3})
	if list.asked != before+2 {
		t.Error("a changed account is remembered, or another is not")
	}
	// A change between the lookup and its end.
	list.during = func() { ts.forgetKey(ledger.Pin{5}) }
	stale := get(ledger.Pin{5})
	list.during = nil
	if fresh := get(ledger.Pin{5}); fresh == stale {
		t.Error("what was read before a change is remembered after it")
	}
	none := newTruststore(list, 0, metrics.NewSet())
	before = list.asked
	for range 2 {
		if _, err := none.client(t.Context(), ledger.Pin{1}); err != nil {
			t.Fatal(err)
		}
	}
	if list.asked != before+2 {
		t.Error("a truststore without memory remembers")
	}
}

// TestRemovalWithMemory removes, suspends and resumes a client that the truststore
// remembers, also during its handshake.
func TestRemovalWithMemory(t *testing.T) {
	t.Parallel()
	var h *harness
	var once sync.Once
	hooked := &hookedAccounts{after: func(int64) {}}
	h = start(t, func(o *Options) { hooked.accounts, o.Accounts = o.Accounts, hooked })
	collector := h.collector()
	c := collector.dial()
	c.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	c.mustRead("before", 200)
	if n := hooked.n.Load(); n != 1 {
		t.Errorf("%d lookups for one connection, want 1", n)
	}
	change := func(action string) wire.ChangedAccount {
		t.Helper()
		return parse[wire.ChangedAccount](t, h.adminDo("POST", wire.AdminPathAccounts+"/cam-1/"+action, nil).want(t, action, 200))
	}
	if got := change("suspend"); got.State != "suspended" || got.ConnectionsClosed != 1 {
		t.Errorf("suspended: %+v", got)
	}
	c.wantEnd("suspended")
	h.wantNothing("suspended", collector.rawConfig())
	eventually(t, "refusal counted", func() bool { return h.refusals("suspended") == 1 })
	h.adminDo("POST", wire.AdminPathAccounts, wire.AddAccount{Name: "cam-1", Role: "collector", Pin: collector.account.Pin.String()}).want(t, "add a suspended one", 409)
	if got := change("resume"); got.State != "active" || got.ConnectionsClosed != 0 {
		t.Errorf("resumed: %+v", got)
	}
	collector.do("GET", wire.PathKeys, nil).want(t, "resumed", 200)
	collector.http.CloseIdleConnections()

	change("suspend")
	change("resume") // forgotten, so that the next handshake asks
	hooked.after = func(int64) { once.Do(func() { h.remove("cam-1") }) }
	h.wantNothing("removed during the handshake", collector.rawConfig())
	h.adminDo("POST", wire.AdminPathAccounts+"/"+collector.account.ID.String()+"/resume", nil).want(t, "resume a removed one", 409)
}

// TestChangeOfKey changes a client's key while it works: at no moment is it out, and
// the old key is when it is dropped.
func TestChangeOfKey(t *testing.T) {
	t.Parallel()
	h := start(t)
	old := h.collector()
	next := h.stranger(newIdentity(t, "cam-1", time.Hour))
	pin := func(p *peer) wire.AccountKey { return wire.AccountKey{Pin: ledger.Pin(p.id.Pin).String()} }
	account := wire.AdminPathAccounts + "/cam-1/"
	open := old.dial()
	open.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	open.mustRead("before", 200)
	h.wantNothing("the next key before it is added", next.rawConfig())

	h.adminDo("POST", account+"drop-key", pin(old)).want(t, "drop the only key", 409)
	a := parse[wire.AdminAccount](t, h.adminDo("POST", account+"add-key", pin(next)).want(t, "add key", 200))
	if a.Pin != pin(next).Pin || a.OldPin != pin(old).Pin {
		t.Errorf("the account has %s and %s", a.Pin, a.OldPin)
	}
	h.adminDo("POST", account+"add-key", wire.AccountKey{Pin: ledger.Pin{9}.String()}).want(t, "a third key", 409)
	for _, p := range []*peer{old, next} {
		me := parse[wire.Account](t, p.do("GET", wire.PathAccount, nil).want(t, "either key", 200))
		if me.ID != a.ID {
			t.Errorf("another account: %s", me.ID)
		}
	}
	old.http.CloseIdleConnections()
	eventually(t, "idle connection gone", func() bool { return h.s.conns.len() == 2 })
	dropped := parse[wire.ChangedAccount](t, h.adminDo("POST", account+"drop-key", pin(old)).want(t, "drop key", 200))
	if dropped.ConnectionsClosed != 1 || dropped.OldPin != "" || dropped.Pin != pin(next).Pin {
		t.Errorf("dropped: %+v", dropped)
	}
	open.wantEnd("old key")
	h.wantNothing("old key", old.rawConfig())
	next.do("GET", wire.PathAccount, nil).want(t, "next key", 200)
	h.adminDo("POST", account+"add-key", wire.AccountKey{Pin: pin(next).Pin}).want(t, "its own key again", 200)
}

func TestImport(t *testing.T) {
	h := start(t)
	list := make([]wire.AddAccount, wire.MaxImport)
	for i := range list {
		list[i] = wire.AddAccount{Name: fmt.Sprintf("cam-%d", i), Role: "collector", Pin: ledger.Pin{1, byte(i), byte(i >> 8)}.String(), Credit: 3}
	}
	list[17].Name = "no good"
	list[18].Pin = list[16].Pin
	list[999].Name = list[0].Name
	for i, want := range []wire.Imported{{Added: 997}, {Unchanged: 997}} {
		got := parse[wire.Imported](t, h.adminDo("POST", wire.AdminPathImport, wire.Import{Accounts: list}).want(t, "import", 200))
		if got.Added != want.Added || got.Unchanged != want.Unchanged || len(got.Refused) != 3 {
			t.Fatalf("import %d: %+v", i, got)
		}
		for _, r := range got.Refused {
			if want := map[int]string{17: "characters", 18: "key already", 999: "name already"}[r.Index]; want == "" || !strings.Contains(r.Reason, want) {
				t.Errorf("refused %+v", r)
			}
		}
	}
	if got := h.list(); len(got) != 997 {
		t.Errorf("%d accounts", len(got))
	}
	if a, err := h.store.AccountByName(t.Context(), "cam-998"); err != nil || a.Balance() != 3 {
		t.Errorf("the last one: %+v, %v", a, err)
	}
}

// TestReloadedCertificate replaces the bank's certificate: open connections stay, new
// ones see the new one.
func TestReloadedCertificate(t *testing.T) {
	h := start(t)
	collector := h.collector()
	open := collector.dial()
	next := newIdentity(t, "bank", time.Hour)
	h.s.SetCertificate(next)
	fresh := collector.rawConfig()
	fresh.ClientSessionCache = nil
	open.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	open.mustRead("open connection", 200)
	if c, err := tls.Dial("tcp", h.s.addr().String(), fresh); err == nil {
		c.Close()
		t.Error("a client that trusts the old certificate gets in")
	}
	fresh.RootCAs.AddCert(next.Certificate.Leaf)
	c, err := tls.Dial("tcp", h.s.addr().String(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.ConnectionState().PeerCertificates[0]; !got.Equal(next.Certificate.Leaf) {
		t.Errorf("the bank shows %v", got.SerialNumber)
	}
}

// TestJournal: what an operator does is noted before it is done, and what failed after;
// what cannot be noted is not done.
func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	h := start(t, func(o *Options) { o.Journal = journal.New(path) })
	pin, next := wire.AccountKey{Pin: ledger.Pin{1}.String()}, wire.AccountKey{Pin: ledger.Pin{2}.String()}
	account := wire.AdminPathAccounts + "/cam-1"
	for _, step := range []struct {
		path string
		body any
		want int
	}{
		{wire.AdminPathAccounts, wire.AddAccount{Name: "cam-1", Role: "collector", Pin: pin.Pin, Credit: 7}, 200},
		{wire.AdminPathAccounts, wire.AddAccount{Name: "cam-1", Role: "collector", Pin: pin.Pin, Credit: 7}, 409},
		{wire.AdminPathImport, wire.Import{Accounts: []wire.AddAccount{{Name: "cam-2", Role: "collector", Pin: ledger.Pin{3}.String()}}}, 200},
		{account + "/credit", wire.Credit{Amount: -9}, 409},
		{account + "/credit", wire.Credit{Amount: 2}, 200},
		{account + "/add-key", next, 200},
		{account + "/drop-key", pin, 200},
		{account + "/suspend", nil, 200},
		{account + "/resume", nil, 200},
		{account + "/remove", nil, 200},
		{wire.AdminPathCheckpoint, wire.Checkpoint{Dir: filepath.Join(t.TempDir(), "copy")}, 200},
		{wire.AdminPathAudit, nil, 200},
	} {
		h.adminDo("POST", step.path, step.body).want(t, step.path, step.want)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	_, _, err = journal.Check(bytes.NewReader(b), func(line []byte, _ journal.Hash) error {
		_, rest, _ := strings.Cut(string(line), `"action":"`)
		action, _, _ := strings.Cut(rest, `"`)
		actions = append(actions, action)
		return nil
	})
	want := "account added,account added,failed,accounts imported,credit granted,failed,credit granted,key added,key dropped," +
		"account suspended,account resumed,account removed,checkpoint written"
	if got := strings.Join(actions, ","); err != nil || got != want {
		t.Errorf("the journal says %s, %v; want %s", got, err, want)
	}
	for _, detail := range []string{`"name":"cam-1","pin":"` + pin.Pin, `"amount":-9`, `"credit":7`} {
		if !strings.Contains(string(b), detail) {
			t.Errorf("the journal lacks %s:\n%s", detail, b)
		}
	}

	before := h.list()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	h.adminDo("POST", wire.AdminPathAccounts, wire.AddAccount{Name: "cam-3", Role: "collector", Pin: ledger.Pin{4}.String()}).want(t, "no journal", 507)
	h.adminDo("POST", wire.AdminPathAccounts+"/cam-2/remove", nil).want(t, "no journal", 507)
	h.adminDo("POST", wire.AdminPathAccounts+"/cam-2/credit", wire.Credit{Amount: 2}).want(t, "no journal", 507)
	if after := h.list(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("done without the journal: %v", after)
	}
}
