package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

// The drills attack a real bank process while honest clients work. In each the honest
// ones are served, memory stays bounded, and in the end every coin and credit is where
// the answers said. "make drill" runs them at full size, "go test" at a tenth, and at a
// twentieth under the race detector.

// fullDrill says whether the drills are to be at full size.
var fullDrill = os.Getenv("ECOIN_DRILL") != ""

// drillSize is how many connections a drill opens that opens so many at full size.
func drillSize(full int) int {
	switch {
	case fullDrill:
		return full
	case raceEnabled:
		return full / 20
	}
	return full / 10
}

// drill is a bank under attack.
type drill struct {
	t      *testing.T
	bank   *testBank
	honest []*honest
	stop   chan struct{}
	wg     sync.WaitGroup
	before int64 // bytes of memory
}

// honest is a collector and an analyst that withdraw and redeem, one coin after the
// other, and ask again when an answer was lost.
type honest struct {
	collector, analyst *client.Client
	key                *core.PublicKey
	redeemed           atomic.Int64
	slowest            atomic.Int64 // ns, of a round
}

func newDrill(t *testing.T, args ...string) *drill {
	t.Helper()
	d := &drill{t: t, bank: newBank(t, args...), stop: make(chan struct{})}
	for i := range 2 {
		h := &honest{
			collector: d.bank.newClient(fmt.Sprintf("honest-cam-%d", i), "collector", 1_000_000),
			analyst:   d.bank.newClient(fmt.Sprintf("honest-lab-%d", i), "analyst", 0),
		}
		keys, err := h.collector.Keys(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		h.key = keys[0].Public
		d.honest = append(d.honest, h)
		d.wg.Go(func() { h.work(t, d.stop) })
	}
	d.progress(20)
	d.before = d.memory()
	return d
}

func (h *honest) work(t *testing.T, stop <-chan struct{}) {
	ctx := context.Background()
	var s core.Scratch
	for {
		select {
		case <-stop:
			return
		default:
		}
		start := time.Now()
		var id [16]byte
		rand.Read(id[:])
		coins := settle(t, func() ([]core.Coin, error) { return h.collector.Withdraw(ctx, id, 1) })
		if len(coins) != 1 {
			return // settle has said why
		}
		secrets := core.Secrets{Coin: coins[0]}
		rand.Read(secrets.IV[:])
		record, err := h.key.AppendHeader(nil, &s, &secrets)
		if err != nil {
			t.Error(err)
			return
		}
		for {
			got := settle(t, func() ([]client.Redeemed, error) { return h.analyst.Redeem(ctx, [][]byte{record}) })
			if len(got) != 1 {
				return
			}
			if st := got[0].Status; st == core.StatusTemporary {
				continue
			} else if st != core.StatusOK && st != core.StatusRedeemedBefore || got[0].Secrets != secrets {
				t.Errorf("an honest redeem is answered %v", st)
				return
			}
			break
		}
		h.redeemed.Add(1)
		h.slowest.Store(max(h.slowest.Load(), int64(time.Since(start))))
	}
}

// progress waits until each honest client has redeemed n coins more.
func (d *drill) progress(n int64) {
	d.t.Helper()
	for i, h := range d.honest {
		want := h.redeemed.Load() + n
		for deadline := time.Now().Add(60 * time.Second); h.redeemed.Load() < want; time.Sleep(5 * time.Millisecond) {
			if d.t.Failed() || time.Now().After(deadline) {
				log := d.bank.logText()
				d.t.Fatalf("honest client %d is not served: %d coins of %d more; the bank says\n%s", i, n-(want-h.redeemed.Load()), n, log[max(0, len(log)-2000):])
			}
		}
	}
}

// memory returns the bank's resident memory in bytes.
func (d *drill) memory() int64 {
	d.t.Helper()
	p, err := process.NewProcess(int32(d.bank.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	m, err := p.MemoryInfo()
	if err != nil {
		d.t.Fatal(err)
	}
	return int64(m.RSS)
}

// bounded checks that the bank's memory grew by no more than so many MiB.
func (d *drill) bounded(mib int64) {
	d.t.Helper()
	grown := (d.memory() - d.before) >> 20
	d.t.Logf("%s: memory grew by %d MiB", d.t.Name(), grown)
	if raceEnabled {
		mib = 12*mib + 200 // the detector's shadow
	}
	if grown > mib {
		d.t.Errorf("the bank's memory grew by %d MiB, want at most %d", grown, mib)
	}
}

// end lets the honest clients finish and balances the books. It is deferred, and not a
// cleanup, which would come after that of a bank that was started again.
func (d *drill) end() {
	close(d.stop)
	d.wg.Wait()
	if d.t.Failed() {
		return
	}
	ctx := context.Background()
	var slowest time.Duration
	for i, h := range d.honest {
		a := settle(d.t, func() (wire.Account, error) { return h.analyst.Account(ctx) })
		if a.Redeemed != h.redeemed.Load() {
			d.t.Errorf("analyst %d was told of %d coins and is credited %d", i, h.redeemed.Load(), a.Redeemed)
		}
		c := settle(d.t, func() (wire.Account, error) { return h.collector.Account(ctx) })
		if c.Issued != a.Redeemed {
			d.t.Errorf("collector %d withdrew %d coins, of which %d were redeemed", i, c.Issued, a.Redeemed)
		}
		slowest = max(slowest, time.Duration(h.slowest.Load()))
	}
	d.t.Logf("%s: %d honest coins, the slowest round took %v", d.t.Name(), d.honest[0].redeemed.Load()+d.honest[1].redeemed.Load(), slowest.Round(time.Millisecond))
	if out := mustEcoin(d.t, "audit", "--dir", d.bank.dir); !strings.HasSuffix(out, "ok\n") {
		d.t.Errorf("audit:\n%s", out)
	}
}

// many runs open n times, from a few goroutines, and keeps what it opens until the test
// ends. What fails to open is no matter: it is the attacker's.
func (d *drill) many(n int, open func(i int) net.Conn) []net.Conn {
	var mu sync.Mutex
	var out []net.Conn
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := g; i < n; i += 16 {
				if c := open(i); c != nil {
					mu.Lock()
					out = append(out, c)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	d.t.Cleanup(func() {
		for _, c := range out {
			c.Close()
		}
	})
	return out
}

func (d *drill) tcp(int) net.Conn {
	c, err := net.DialTimeout("tcp", d.bank.listen, 5*time.Second)
	if err != nil {
		return nil
	}
	return c
}

// attacker is a client with an account, that speaks by hand.
type attacker struct {
	d      *drill
	config *tls.Config
}

func (d *drill) attacker(role string) *attacker {
	d.t.Helper()
	cert, key := d.bank.party("attacker-"+role, role, 1000)
	id, err := identity.Load(cert, key)
	if err != nil {
		d.t.Fatal(err)
	}
	roots, err := identity.ReadRoots(d.bank.cert())
	if err != nil {
		d.t.Fatal(err)
	}
	config := identity.ClientConfig(id, roots)
	config.ServerName = "127.0.0.1"
	return &attacker{d, config}
}

// dial connects and sends text with CRLF line ends, nil if the bank does not let it.
func (a *attacker) dial(text string) net.Conn {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", a.d.bank.listen, a.config)
	if err != nil {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		c.Close()
		return nil
	}
	return c
}

// status sends a request and returns the status of its answer, "" for none.
func (a *attacker) status(text string, body []byte) string {
	c := a.dial(text)
	if c == nil {
		return ""
	}
	defer c.Close()
	_, _ = c.Write(body)
	b := make([]byte, 12)
	if _, err := io.ReadFull(c, b); err != nil {
		return ""
	}
	return string(b[9:])
}

func TestDrillSlowLoris(t *testing.T) {
	d := newDrill(t)
	defer d.end()
	a := d.attacker("collector")
	conns := d.many(drillSize(1000), func(i int) net.Conn {
		if i%2 == 0 { // half stop in the handshake
			c := d.tcp(i)
			if c != nil {
				_, _ = io.WriteString(c, "\x16\x03\x01\x02\x00\x01")
			}
			return c
		}
		return a.dial("POST /v1/refund HTTP/1.1\nHost: b\n")
	})
	if len(conns) < drillSize(1000)/2 {
		t.Fatalf("only %d connections", len(conns))
	}
	for range 30 {
		for _, c := range conns {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = c.Write([]byte("X"))
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.progress(20)
	d.bounded(int64(drillSize(1000))*100>>10 + 50)
}

func TestDrillSilentConnectionsOverTheLimit(t *testing.T) {
	d := newDrill(t, "--max-conns", "120", "--max-conns-per-address", "100")
	defer d.end()
	other := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if c, err := other.Dial("tcp", d.bank.listen); err != nil {
		skip(t, fmt.Sprintf("this system has one loopback address: %v", err))
	} else {
		c.Close()
	}
	for range 3 {
		d.many(drillSize(2000), func(int) net.Conn {
			c, err := other.Dial("tcp", d.bank.listen)
			if err != nil {
				return nil
			}
			return c
		})
		d.progress(10)
	}
	d.bounded(50)
}

// TestDrillDescriptors takes all file descriptors that the bank may have.
func TestDrillDescriptors(t *testing.T) {
	d := newDrill(t)
	defer d.end()
	// The running bank's limit, lowered from outside to a little above what it uses.
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.bank.cmd.Process.Pid))
	if err != nil {
		skip(t, fmt.Sprintf("this system does not show a process's descriptors: %v", err))
	}
	limit := len(fds) + 40
	if out, err := exec.Command("prlimit", "--pid", fmt.Sprint(d.bank.cmd.Process.Pid), fmt.Sprintf("--nofile=%d:%d", limit, limit)).CombinedOutput(); err != nil {
		skip(t, fmt.Sprintf("prlimit cannot limit the bank's descriptors: %v %s", err, out))
	}
	conns := d.many(limit+200, d.tcp)
	d.bank.says("accept failed, trying again")
	d.progress(10) // on the connections that they have
	for _, c := range conns {
		c.Close()
	}
	late := d.bank.newClient("late", "collector", 5)
	if a := settle(t, func() (wire.Account, error) { return late.Account(context.Background()) }); a.Balance != 5 {
		t.Errorf("somebody who comes after the attack: %+v", a)
	}
	d.bounded(50)
}

func TestDrillDeclaredBodies(t *testing.T) {
	d := newDrill(t, "--max-conns", "20000", "--max-conns-per-address", "20000")
	defer d.end()
	a := d.attacker("analyst")
	n := drillSize(10_000)
	conns := d.many(n, func(int) net.Conn {
		return a.dial(fmt.Sprintf("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: %d\n\n\x01", wire.MaxRecordsBody))
	})
	t.Logf("%d bodies of %d bytes declared", len(conns), wire.MaxRecordsBody)
	if len(conns) < n*9/10 {
		t.Errorf("only %d of %d connections", len(conns), n)
	}
	d.progress(20)
	d.bounded(int64(n)*100>>10 + 50) // a connection costs what an idle one does
}

func TestDrillHeaderFlood(t *testing.T) {
	d := newDrill(t)
	defer d.end()
	a := d.attacker("collector")
	long := "GET /v1/keys HTTP/1.1\nHost: b\nX: " + strings.Repeat("x", 1<<20)
	many := "GET /v1/keys HTTP/1.1\nHost: b\n" + strings.Repeat("A: b\n", 100_000)
	d.many(drillSize(500), func(i int) net.Conn { return a.dial([]string{long, many}[i%2]) })
	if got := a.status("GET /v1/keys HTTP/1.1\nHost: b\nX: "+strings.Repeat("x", 5000)+"\n\n", nil); got != "431" {
		t.Errorf("a header of 5000 bytes: %q", got)
	}
	d.progress(20)
	d.bounded(100)
}

func TestDrillPipelinedGarbage(t *testing.T) {
	d := newDrill(t)
	defer d.end()
	a := d.attacker("analyst")
	d.many(drillSize(500), func(i int) net.Conn {
		rng := mrand.NewChaCha8([32]byte{byte(i)})
		garbage := make([]byte, 64<<10)
		rng.Read(garbage)
		request := strings.Repeat("GET /v1/keys HTTP/1.1\nHost: b\n\n", 1000) // answers that nobody reads
		switch i % 3 {
		case 0:
			request = ""
		case 1:
			request = "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 108\n\n"
		}
		c := a.dial(request)
		if c != nil {
			_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
			_, _ = c.Write(garbage)
		}
		return c
	})
	d.progress(20)
	d.bounded(100)
}

func TestDrillRevokedKey(t *testing.T) {
	d := newDrill(t)
	defer d.end()
	a := d.attacker("collector")
	a.config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	const request = "GET /v1/account HTTP/1.1\nHost: b\n\n"
	for i := range 3 {
		if got := a.status(request, nil); got != "200" {
			t.Fatalf("visit %d before: %q", i, got)
		}
	}
	live := d.many(20, func(int) net.Conn { return a.dial("") })
	mustEcoin(t, "trust", "remove", "attacker-collector", "--dir", d.bank.dir)
	for i, c := range live {
		_, _ = io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n"))
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("live connection %d of a revoked key is served", i)
		}
	}
	for range 20 {
		if got := a.status(request, nil); got != "" {
			t.Fatalf("a resumed session of a revoked key is answered %q", got)
		}
	}
	d.progress(20)
	d.bounded(50)
}

func TestDrillWrongRoleAndOversizedBatches(t *testing.T) {
	d := newDrill(t)
	defer d.end()
	analyst, collector := d.attacker("analyst"), d.attacker("collector")
	record := make([]byte, 108)
	var s core.Scratch
	record, err := d.honest[0].key.AppendHeader(record[:0], &s, &core.Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, body []byte, header ...string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\nHost: b\n%sContent-Length: %d\n\n", path, strings.Join(header, ""), len(body))
	}
	for range drillSize(100) {
		for name, c := range map[string]struct {
			who  *attacker
			path string
			body []byte
			want string
		}{
			"an analyst withdraws": {analyst, "/v1/withdraw?n=1", nil, "403"},
			"an analyst refunds":   {analyst, "/v1/refund", make([]byte, 32), "403"},
			"a collector redeems":  {collector, "/v1/redeem", record, "403"},
			"1001 records":         {analyst, "/v1/redeem", bytes.Repeat(record, 1001), "413"},
			"1001 coins":           {collector, "/v1/refund", make([]byte, 32*1001), "413"},
			"too many bytes":       {analyst, "/v1/return", make([]byte, wire.MaxRecordsBody+1), "413"},
			"too much money":       {collector, "/v1/withdraw?n=10000", nil, "402"},
		} {
			key := ""
			if strings.HasPrefix(c.path, "/v1/withdraw") {
				key = "Idempotency-Key: " + strings.Repeat("ab", 16) + "\n"
			}
			if got := c.who.status(post(c.path, c.body, key), c.body); got != c.want {
				t.Fatalf("%s: %q, want %s", name, got, c.want)
			}
		}
	}
	d.progress(20)
	d.bounded(100)
}

// TestDrillFlood lets one analyst flood the bank with full batches: the others go on.
func TestDrillFlood(t *testing.T) {
	d := newDrill(t)
	defer d.end()
	a := d.attacker("analyst")
	var s core.Scratch
	record, err := d.honest[0].key.AppendHeader(nil, &s, &core.Secrets{Coin: core.Coin{1}}) // never issued
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat(record, 1000)
	var busy, answered atomic.Int64
	var wg sync.WaitGroup
	until := time.Now().Add(4 * time.Second)
	for range 64 {
		wg.Go(func() {
			for time.Now().Before(until) {
				switch a.status(fmt.Sprintf("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: %d\n\n", len(body)), body) {
				case "503":
					busy.Add(1)
				case "200":
					answered.Add(1)
				}
			}
		})
	}
	d.progress(20)
	wg.Wait()
	t.Logf("the flood: %d requests of 1000 answered, %d refused", answered.Load(), busy.Load())
	if answered.Load() == 0 || busy.Load() == 0 {
		t.Error("there was no flood")
	}
	d.bounded(300)
}

func TestDrillKillAndTerminate(t *testing.T) {
	d := newDrill(t)
	defer d.end()
	for i := range max(2, drillSize(30)) {
		if i%2 == 0 {
			d.bank.kill()
		} else {
			d.bank.terminate()
		}
		d.bank.start()
		d.progress(5)
	}
}

// TestDrillCorruptShard flips bytes in the tables of a stopped bank: what is not there
// works, and what is damaged is neither "redeemed" nor "not live".
func TestDrillCorruptShard(t *testing.T) {
	d := newDrill(t, "--index-memory", "0")
	ctx := context.Background()
	collector, analyst := d.bank.newClient("victim-cam", "collector", 20_000), d.bank.newClient("victim-lab", "analyst", 0)
	coins := settle(t, func() ([]core.Coin, error) { return collector.Withdraw(ctx, [16]byte{1}, 10_000) })
	d.end()
	d.bank.terminate()
	mustEcoin(t, "audit", "--dir", d.bank.dir) // opens and closes the ledger, which puts the log into tables
	tables, err := filepath.Glob(filepath.Join(d.bank.dir, "ledger", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables: %v, %v", tables, err)
	}
	largest, size := "", int64(0)
	for _, path := range tables {
		if fi, err := os.Stat(path); err == nil && fi.Size() > size {
			largest, size = path, fi.Size()
		}
	}
	f, err := os.OpenFile(largest, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at := size / 4; at < size/2; at += size / 16 {
		var b [1]byte
		_, err := f.ReadAt(b[:], at)
		b[0] ^= 0x40
		if _, e := f.WriteAt(b[:], at); err != nil || e != nil {
			t.Fatal(err, e)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	d.bank.start()
	// Some withdrawals meet the damage, where nobody can tell whether a coin was live
	// before, and wait for its repair; the next one is another.
	withdrawn := 0
	for i := 0; withdrawn < 50; i++ {
		if got, err := collector.Withdraw(ctx, [16]byte{2, byte(i), byte(i >> 8)}, 1); err == nil && len(got) == 1 {
			withdrawn++
		} else if i > 500 {
			t.Fatalf("%d of %d withdrawals beside the damage: %v", withdrawn, i, err)
		}
	}
	if !fullDrill { // Pebble spends 30 ms on each read of a damaged block, and more under the race detector
		coins = coins[:500]
	}
	var s core.Scratch
	counts := map[core.Status]int{}
	for part := range slices.Chunk(coins, 500) {
		var records [][]byte
		for _, c := range part {
			r, err := d.honest[0].key.AppendHeader(nil, &s, &core.Secrets{Coin: c})
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, r)
		}
		for _, r := range settle(t, func() ([]client.Redeemed, error) { return analyst.Redeem(ctx, records) }) {
			if r.Status == core.StatusRedeemedBefore { // of a call whose answer was lost
				r.Status = core.StatusOK
			}
			counts[r.Status]++
		}
	}
	t.Logf("of %d coins beside the damage: %v", len(coins), counts)
	if counts[core.StatusTemporary] == 0 || counts[core.StatusOK] == 0 || counts[core.StatusOK]+counts[core.StatusTemporary] != len(coins) {
		t.Errorf("answers %v, want redeemed and temporary ones alone", counts)
	}
	// The books do not balance with a part unread, and the audit says so.
	if code, out, _ := ecoin(t, "audit", "--dir", d.bank.dir); code != 1 || !strings.Contains(out, "WRONG: shard") {
		t.Errorf("audit of a damaged ledger: %d\n%s", code, out)
	}
}
