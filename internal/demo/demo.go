// Package demo runs the whole system on one machine: bank, director, analysts
// and collector as processes of their own, over mutual TLS on loopback, first
// with an honest director and then with a hostile one. It checks every figure
// that must come out, and ends with refunds and an audit of the ledger.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"ecoin/client"
	"ecoin/internal/identity"
	"ecoin/internal/subprocess"
)

// Options configure Run. Exe and Out are required.
type Options struct {
	Exe        string    // the ecoin binary, for the roles' processes
	CSV        string    // file with readings; empty means this machine's telemetry
	Rows       int       // rows (samples) an operation; 0 means 256 of a CSV file, 8 samples of telemetry
	Operations int       // honest operations; 0 means the whole CSV file, 9 of telemetry
	Suite      string    // of the bank's header key; empty means the bank's default
	Out        io.Writer // what people read
}

// Summary is what a demonstration comes to. Coins are counted over the whole
// run; of those issued, each is redeemed (and not returned), refunded, or live.
type Summary struct {
	Operations       int    `json:"operations"` // sent by the collector, attacked ones too
	Results          int    `json:"results"`    // replies it accepted and decrypted
	CoinsIssued      int64  `json:"coins_issued"`
	CoinsRedeemed    int64  `json:"coins_redeemed"`
	CoinsRefunded    int64  `json:"coins_refunded"`
	CoinsLive        int64  `json:"coins_live"`
	AttacksTried     int    `json:"attacks_tried"`
	AttacksSucceeded int    `json:"attacks_succeeded"`
	Audit            string `json:"audit"` // "ok", or what is wrong
}

const (
	analysts   = 2
	credit     = 100_000   // of the collector
	wholeFile  = 900 << 10 // bytes of a CSV file that go into one operation
	settleTime = 10 * time.Second
)

// run is one demonstration under way.
type run struct {
	o Options
	*parties
	print
	summary  Summary
	failures []error         // what is not as it must be
	kept     int64           // credits analysts may keep, by the table of attacks
	shown    map[string]bool // analyses of which a result was shown
}

// Run runs the demonstration and returns what it came to, with an error when
// anything was not as it must be. Cancelling ctx ends it and its processes.
func Run(ctx context.Context, o Options) (Summary, error) {
	dir, err := os.MkdirTemp("", "ecoin-demo-")
	if err != nil {
		return Summary{}, err
	}
	d := &run{o: o, parties: &parties{exe: o.Exe, dir: dir}, print: print{w: o.Out}, shown: map[string]bool{}}
	err = d.run(ctx)
	err = errors.Join(err, d.stopAll(), os.RemoveAll(dir))
	return d.summary, errors.Join(append(d.failures, err)...)
}

func (d *run) run(ctx context.Context) error {
	started := time.Now()
	d.title("Four roles, each a process, over mutual TLS on loopback")
	if err := d.startAll(ctx, d.suite(), analysts, credit); err != nil {
		return err
	}
	for _, p := range d.processes {
		d.say("  %-10s process %d", p.Name, p.PID)
	}
	if err := d.honestly(ctx); err != nil {
		return err
	}
	if err := d.hostilely(ctx); err != nil {
		return err
	}
	if err := d.refund(ctx); err != nil {
		return err
	}
	if err := d.audit(ctx); err != nil {
		return err
	}
	d.table(d.summary, time.Since(started))
	return nil
}

// must records a figure that is not as it must be.
func (d *run) must(ok bool, format string, args ...any) {
	if !ok {
		err := fmt.Errorf(format, args...)
		d.failures = append(d.failures, err)
		d.say("  WRONG: %v", err)
	}
}

// honestly runs operations through the honest director and shows results.
func (d *run) honestly(ctx context.Context) error {
	if d.o.CSV != "" {
		d.title("An honest director: readings of " + d.o.CSV)
		info, err := os.Stat(d.o.CSV)
		if err != nil {
			return err
		}
		if info.Size() <= wholeFile {
			if err := d.operate(ctx, d.source("summary", 0, 1)); err != nil {
				return err
			}
		}
	} else {
		d.title("An honest director: readings of this machine")
	}
	operations := d.o.Operations
	if operations == 0 && d.o.CSV == "" {
		operations = 9
	}
	return d.operate(ctx, d.source("summary,anomaly,trend", d.rows(), operations))
}

func (d *run) rows() int {
	switch {
	case d.o.Rows > 0:
		return d.o.Rows
	case d.o.CSV != "":
		return 256
	}
	return 8
}

// suite are the flags of bank and collector that choose it.
func (d *run) suite() []string {
	if d.o.Suite == "" {
		return nil
	}
	return []string{"--suite", d.o.Suite}
}

// source are the collector's flags for what it reads and asks for. Zero
// operations means until the source ends.
func (d *run) source(analyses string, rows, operations int) []string {
	args := []string{"--analysis", analyses, "--rows", strconv.Itoa(rows), "--operations", strconv.Itoa(operations)}
	args = append(args, d.suite()...)
	if d.o.CSV != "" {
		return append(args, "--csv", d.o.CSV)
	}
	return append(args, "--sample-every", "30ms", "--refill", "16")
}

// operate runs operations that must all succeed, and shows the first result of
// each analysis whole.
func (d *run) operate(ctx context.Context, args []string) error {
	var last *outcome
	err := d.collect(ctx, d.director, d.path("director", "director.crt"), func(o outcome) {
		d.count(o)
		d.kept++
		o.Operation = d.summary.Operations
		d.operation(o)
		d.must(o.OK, "operation %d failed: %s", o.Operation, o.Error)
		if o.OK && !d.shown[o.Analysis] {
			d.shown[o.Analysis] = true
			d.result(o)
		}
		last = &o
	}, args...)
	if err == nil && last == nil {
		err = errors.New("the collector ended without an operation")
	}
	return err
}

func (d *run) count(o outcome) {
	d.summary.Operations++
	if o.OK {
		d.summary.Results++
	}
}

// hostilely puts a hostile director in front of the honest one and lets it try
// every attack.
func (d *run) hostilely(ctx context.Context) error {
	h, err := d.startHostile(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	d.title("A hostile director in between")
	for _, a := range attacks {
		if err := d.try(ctx, h, a); err != nil {
			return fmt.Errorf("attack %q: %w", a.name, err)
		}
	}
	return nil
}

// startHostile gives the hostile director what a real one would have: keys of
// its own, the way to the honest director and to the bank, and the bank's
// public key, which is public.
func (d *run) startHostile(ctx context.Context) (*hostile, error) {
	id, err := d.identity("hostile")
	if err != nil {
		return nil, err
	}
	directorRoots, err := identity.ReadRoots(d.path("director", "director.crt"))
	if err != nil {
		return nil, err
	}
	bankRoots, err := identity.ReadRoots(d.bankCert())
	if err != nil {
		return nil, err
	}
	collector, err := identity.Load(d.path(d.collector, d.collector+".crt"), d.path(d.collector, d.collector+".key"))
	if err != nil {
		return nil, err
	}
	bank, err := client.New(client.Options{URL: d.bankURL, Identity: collector, Roots: bankRoots})
	if err != nil {
		return nil, err
	}
	defer bank.Close()
	keys, err := bank.Keys(ctx)
	if err != nil {
		return nil, err
	}
	toDirector := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: identity.ClientConfig(id, directorRoots), MaxIdleConnsPerHost: 16},
	}
	h, err := newHostile(id, identity.ClientConfig(id, bankRoots), toDirector, d.director, d.bankURL, keys[0].Public)
	if err != nil {
		return nil, err
	}
	h.honest = d.analysts[0]
	return h, nil
}

// try runs one attack and judges it.
func (d *run) try(ctx context.Context, h *hostile, a attack) error {
	before, err := d.totals(ctx)
	if err != nil {
		return err
	}
	h.begin(a.act)
	parallel := 1
	if a.parallel {
		parallel = a.operations
	}
	accepted, sent := 0, 0
	rows := 8
	args := append(d.source("summary", rows, a.operations), "--parallel", strconv.Itoa(parallel))
	err = d.collect(ctx, h.url, d.path("hostile", "hostile.crt"), func(o outcome) {
		d.count(o)
		sent++
		if o.OK {
			accepted++
		}
	}, args...)
	if err != nil {
		return err
	}
	kept, err := d.settled(ctx, before.redeemed+a.credits)
	if err != nil {
		return err
	}
	kept -= before.redeemed
	d.kept += kept
	gains := h.won()
	if accepted > a.accepted {
		gains = append(gains, fmt.Sprintf("the collector accepted %d replies, %d at most are honest", accepted, a.accepted))
	}
	if kept > a.credits {
		gains = append(gains, fmt.Sprintf("analysts kept %d credits for %d pieces of work", kept, a.credits))
	}
	d.summary.AttacksTried++
	if len(gains) > 0 {
		d.summary.AttacksSucceeded++
	}
	d.attack(a, accepted, kept, gains)
	d.must(len(gains) == 0, "attack %q: %v", a.name, gains)
	d.must(sent == a.operations, "attack %q: the collector sent %d operations of %d", a.name, sent, a.operations)
	d.must(accepted >= a.accepted, "attack %q: the collector accepted %d replies of %d honest ones", a.name, accepted, a.accepted)
	d.must(kept >= a.credits, "attack %q: analysts kept %d credits for %d pieces of work", a.name, kept, a.credits)
	return nil
}

// settled waits until the credits analysts keep are as expected: they return
// coins in the background. After settleTime it returns what there is.
func (d *run) settled(ctx context.Context, expected int64) (int64, error) {
	deadline := time.Now().Add(settleTime)
	for {
		t, err := d.totals(ctx)
		if err != nil {
			return 0, err
		}
		if t.redeemed == expected || time.Now().After(deadline) {
			return t.redeemed, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// refund brings back the credit of every coin the hostile director destroyed.
func (d *run) refund(ctx context.Context) error {
	d.title("Refunds of what the hostile director destroyed")
	var r refunds
	out := &lines{visit: func(line []byte) error { return json.Unmarshal(line, &r) }}
	proc, err := subprocess.Start("collector", out, d.exe, append([]string{"collector", "refund", "--json",
		"--wallet", d.path("wallet"), "--bank", d.bankURL, "--bank-cert", d.bankCert()},
		d.identityArgs(d.collector)...)...)
	if err != nil {
		return err
	}
	d.processes = append(d.processes, proc)
	if err := proc.Wait(ctx); err != nil {
		return fmt.Errorf("collector refund: %w; its log:\n%s", err, proc.Log())
	}
	d.processes = d.processes[:len(d.processes)-1]
	if out.err != nil {
		return out.err
	}
	d.refunds(r)
	destroyed := int64(d.summary.Operations) - d.kept
	d.must(r.Refunded == destroyed, "%d coins were refunded, %d were destroyed", r.Refunded, destroyed)
	return nil
}

// refunds is what "ecoin collector refund --json" prints.
type refunds struct {
	Refunded int64 `json:"refunded"`
	NotLive  int64 `json:"not_live"`
	Unknown  int64 `json:"unknown"`
	Redeemed []struct {
		At       time.Time `json:"at"`
		Redeemer string    `json:"redeemer"`
	} `json:"redeemed"`
}

// audit scans the ledger and balances the whole run.
func (d *run) audit(ctx context.Context) error {
	d.title("Audit")
	t, err := d.totals(ctx)
	if err != nil {
		return err
	}
	a, err := d.admin.Audit(ctx)
	if err != nil {
		return err
	}
	s := &d.summary
	s.CoinsIssued, s.CoinsRedeemed, s.CoinsRefunded, s.CoinsLive = t.issued, t.redeemed, t.refunded, a.Live
	s.Audit = "ok"
	if !a.OK {
		s.Audit = fmt.Sprint(a.Problems)
	}
	d.must(a.OK, "audit: %v", a.Problems)
	d.must(t.issued == t.redeemed+t.refunded+a.Live, "issued %d coins; redeemed %d, refunded %d and live %d do not add up to it",
		t.issued, t.redeemed, t.refunded, a.Live)
	d.must(t.redeemed == d.kept, "analysts keep %d credits for %d pieces of work", t.redeemed, d.kept)
	d.must(a.Returned == 0 && a.Pending == 0, "%d returned coins are not refunded, %d coins are under way", a.Returned, a.Pending)
	d.say("  granted %d = balances %d + live %d + returned %d + under way %d", a.Granted, a.Balances, a.Live, a.Returned, a.Pending)
	return nil
}
