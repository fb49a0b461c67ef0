package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"ecoin/client"
	"ecoin/collector"
	"ecoin/collector/source"
	"ecoin/collector/wallet"
	"ecoin/core"
	"ecoin/internal/identity"
)

type collectorCmd struct {
	Run      collectorRunCmd      `cmd:"" help:"Read, seal, send, and print the results."`
	Refund   collectorRefundCmd   `cmd:"" help:"Bring back the credit of coins whose operation failed."`
	Withdraw collectorWithdrawCmd `cmd:"" help:"Fill the wallet."`
	Status   collectorStatusCmd   `cmd:"" help:"Show the wallet and the account."`
}

// bankFlags are how a client of the bank reaches it, and as whom.
type bankFlags struct {
	identityFlags
	Bank     string `help:"URL of the bank." default:"https://127.0.0.1:7443"`
	BankCert string `help:"Certificate the bank is known by: keys/tls.crt of its folder." default:"ecoin-bank/keys/tls.crt"`
}

func (f bankFlags) client(retry client.Retry) (*client.Client, error) {
	id, err := f.load()
	if err != nil {
		return nil, err
	}
	roots, err := identity.ReadRoots(f.BankCert)
	if err != nil {
		return nil, err
	}
	return client.New(client.Options{URL: f.Bank, Identity: id, Roots: roots, Retry: retry})
}

// walletFlags are what every collector command needs.
type walletFlags struct {
	bankFlags
	Wallet string `help:"Folder of the wallet; made if missing." default:"wallet"`
}

// open opens wallet and collector; the caller calls close when done.
func (f walletFlags) open(o collector.Options) (c *collector.Collector, w *wallet.Wallet, bank *client.Client, close func() error, err error) {
	if bank, err = f.client(client.Retry{Attempts: 3}); err != nil {
		return nil, nil, nil, nil, err
	}
	if w, err = wallet.Open(f.Wallet); err != nil {
		bank.Close()
		return nil, nil, nil, nil, err
	}
	o.Wallet, o.Bank = w, bank
	if c, err = collector.New(o); err != nil {
		bank.Close()
		return nil, nil, nil, nil, errors.Join(err, w.Close())
	}
	return c, w, bank, func() error {
		c.Close()
		bank.Close()
		return w.Close()
	}, nil
}

type collectorRunCmd struct {
	walletFlags
	Director     string        `help:"URL of the director." default:"https://127.0.0.1:7543"`
	DirectorCert string        `help:"Certificate the director is known by." placeholder:"FILE" required:""`
	Analysis     []string      `help:"Analyses; each batch of readings goes through all of them." default:"summary" placeholder:"NAME"`
	CSV          string        `name:"csv" help:"CSV file with a header to read instead of this machine's telemetry." placeholder:"FILE"`
	Rows         int           `help:"Rows or samples an operation; 0 means the whole file, or 30 samples." default:"0"`
	SampleEvery  time.Duration `help:"Time between two samples of telemetry." default:"1s"`
	Operations   int           `help:"Operations in all; 0 means until the source ends." default:"0"`
	Parallel     int           `help:"Operations under way at once." default:"1"`
	Interval     time.Duration `help:"Least time between the beginnings of two operations." default:"0s"`
	Refill       int           `help:"Coins to withdraw when the wallet runs low; 0 means never." default:"32"`
	Low          int           `help:"As many coins are low." default:"4"`
	Suite        string        `help:"Which of the bank's keys to seal for: ${enum}." enum:"x25519,xwing,rsa3072" default:"x25519"`
	Timeout      time.Duration `help:"Longest time for one operation." default:"40s"`
	JSON         bool          `name:"json" help:"Print one JSON object a line."`
}

// operationLine is one line of "ecoin collector run --json".
type operationLine struct {
	Operation int             `json:"operation"`
	Analysis  string          `json:"analysis"`
	Batch     string          `json:"batch"`
	Rows      int             `json:"rows"`
	OK        bool            `json:"ok"`                // the reply was accepted
	Refused   bool            `json:"refused,omitempty"` // the analysis refused this input; result says why
	Ms        float64         `json:"ms"`
	Result    json.RawMessage `json:"result,omitempty"` // JSON results as they are, others as a string
	Error     string          `json:"error,omitempty"`
}

func (c *collectorRunCmd) Run(ctx context.Context, log *slog.Logger, std streams) (err error) {
	suite, err := core.ParseSuite(c.Suite)
	if err != nil {
		return err
	}
	roots, err := identity.ReadRoots(c.DirectorCert)
	if err != nil {
		return err
	}
	col, _, _, done, err := c.open(collector.Options{
		DirectorURL:   c.Director,
		DirectorRoots: roots,
		Suite:         suite,
		Refill:        c.Refill,
		Low:           c.Low,
		Timeout:       c.Timeout,
		Logger:        log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	src, closeSource, err := c.source(col.MaxBody())
	if err != nil {
		return err
	}
	defer closeSource()

	n, failed := 0, 0
	err = col.Run(ctx, collector.RunOptions{
		Sources:  []collector.Source{src},
		Analyses: c.Analysis,
		Parallel: c.Parallel,
		Count:    c.Operations,
		Interval: c.Interval,
		Visit: func(o collector.Outcome) {
			n++
			if o.Err != nil {
				failed++
			}
			c.show(std.out, n, o)
		},
	})
	if err == nil && failed > 0 {
		fmt.Fprintf(std.err, "%d of %d operations failed; their coins are in %s/bad: \"ecoin collector refund\" brings back what it can\n", failed, n, c.Wallet)
		err = exitCode(3)
	}
	return err
}

func (c *collectorRunCmd) source(maxBody int) (collector.Source, func(), error) {
	if c.CSV == "" {
		s, err := source.NewHost(source.HostOptions{Interval: c.SampleEvery, Rows: c.Rows})
		return s, func() {}, err
	}
	s, err := source.OpenCSV(c.CSV, source.CSVOptions{Rows: c.Rows, MaxBytes: maxBody})
	if err != nil {
		return nil, nil, err
	}
	return s, func() { _ = s.Close() }, nil // only read from
}

// show prints how one operation ended.
func (c *collectorRunCmd) show(w io.Writer, n int, o collector.Outcome) {
	line := operationLine{
		Operation: n,
		Analysis:  o.Analysis,
		Batch:     o.Batch,
		Rows:      o.Rows,
		OK:        o.Err == nil,
		Refused:   o.Err == nil && o.Result.Status == core.ReplyRefused,
		Ms:        float64(o.Result.Took.Microseconds()) / 1000,
	}
	if o.Err != nil {
		line.Error = o.Err.Error()
	} else if line.Result = o.Result.Body; !json.Valid(o.Result.Body) {
		line.Result, _ = json.Marshal(string(o.Result.Body)) // a string always has a JSON form
	}
	if c.JSON {
		b, err := json.Marshal(line)
		if err != nil {
			panic("ecoin: " + err.Error()) // strings, numbers and valid JSON
		}
		fmt.Fprintf(w, "%s\n", b)
		return
	}
	switch {
	case o.Err != nil:
		fmt.Fprintf(w, "%d  %s  %s  FAILED: %s\n", n, o.Analysis, o.Batch, line.Error)
	case line.Refused:
		fmt.Fprintf(w, "%d  %s  %s  %.1f ms  refused: %s\n", n, o.Analysis, o.Batch, line.Ms, printable(o.Result.Body))
	default:
		fmt.Fprintf(w, "%d  %s  %s  %.1f ms\n%s\n", n, o.Analysis, o.Batch, line.Ms, printable(o.Result.Body))
	}
}

// printable makes what a stranger wrote safe to show on a terminal.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, string(b))
}

type collectorRefundCmd struct {
	walletFlags
	All    bool `help:"Give back the unused coins too, of a device that is retired."`
	Forget bool `help:"Remove coins that the bank will not refund; an analyst may still have returned one."`
	JSON   bool `name:"json" help:"Print one JSON object."`
}

// refundReport is what "ecoin collector refund --json" prints.
type refundReport struct {
	Refunded int        `json:"refunded"`
	NotLive  int        `json:"not_live"`
	Unknown  int        `json:"unknown"` // ask again
	Redeemed []evidence `json:"redeemed"`
	Kept     int        `json:"kept"` // coins still in the wallet's bad/
}

// evidence says who redeemed a coin that is not refunded. Time and account are empty
// once the bank no longer keeps it.
type evidence struct {
	Coin     string    `json:"coin"` // its file in the wallet
	At       time.Time `json:"at,omitzero"`
	Redeemer string    `json:"redeemer,omitempty"`
}

func (c *collectorRefundCmd) Run(ctx context.Context, log *slog.Logger, std streams) (err error) {
	col, _, _, done, err := c.open(collector.Options{Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	report := refundReport{Redeemed: []evidence{}}
	err = col.Refund(ctx, collector.RefundOptions{All: c.All, Forget: c.Forget}, func(r collector.Refunded) {
		switch r.Status {
		case core.StatusOK:
			report.Refunded++
		case core.StatusNotLive:
			report.NotLive++
		case core.StatusRedeemed:
			e := evidence{Coin: r.Coin, At: r.At}
			if r.Redeemer != ([16]byte{}) {
				e.Redeemer = hex.EncodeToString(r.Redeemer[:])
			}
			report.Redeemed = append(report.Redeemed, e)
		default:
			report.Unknown++
		}
		if r.Kept {
			report.Kept++
		}
	})
	if c.JSON {
		return errors.Join(err, json.NewEncoder(std.out).Encode(report))
	}
	fmt.Fprintf(std.out, "%d coins refunded\n", report.Refunded)
	for _, e := range report.Redeemed {
		if e.Redeemer == "" {
			fmt.Fprintf(std.out, "coin %s was redeemed; the evidence is no longer kept\n", e.Coin)
			continue
		}
		fmt.Fprintf(std.out, "coin %s was redeemed at %s by account %s\n", e.Coin, e.At.Local().Format(time.DateTime), e.Redeemer)
	}
	if report.NotLive > 0 {
		fmt.Fprintf(std.out, "%d coins are not live, and the bank keeps nothing about them any more\n", report.NotLive)
	}
	if report.Unknown > 0 {
		fmt.Fprintf(std.out, "%d coins could not be looked up just now: ask again\n", report.Unknown)
	}
	if report.Kept > 0 {
		fmt.Fprintf(std.out, "%d coins stay in %s/bad: an analyst may still return one; --forget removes them\n", report.Kept, c.Wallet)
	}
	return err
}

type collectorWithdrawCmd struct {
	walletFlags
	Coins int `arg:"" help:"How many; fewer come if the balance allows no more."`
}

func (c *collectorWithdrawCmd) Run(ctx context.Context, log *slog.Logger, std streams) (err error) {
	col, w, _, done, err := c.open(collector.Options{Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	n, err := col.Withdraw(ctx, c.Coins)
	fmt.Fprintf(std.out, "%d coins withdrawn, %d in the wallet\n", n, w.Counts().Coins)
	return err
}

type collectorStatusCmd struct {
	walletFlags
}

func (c *collectorStatusCmd) Run(ctx context.Context, log *slog.Logger, std streams) (err error) {
	_, w, bank, done, err := c.open(collector.Options{Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	n := w.Counts()
	fmt.Fprintf(std.out, "wallet: %d coins, %d bad, %d withdrawals under way\n", n.Coins, n.Bad, n.Requests)
	for _, p := range w.Problems() {
		fmt.Fprintf(std.out, "  %s: %s\n", p.Path, p.Text)
	}
	a, err := bank.Account(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "account %s (%s, %s): balance %d; granted %d, issued %d, refunded %d\n", a.Name, a.Role, a.ID, a.Balance, a.Granted, a.Issued, a.Refunded)
	return nil
}
