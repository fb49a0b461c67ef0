package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"ecoin/bank"
	"ecoin/core"
	"ecoin/internal/bankkeys"
	"ecoin/internal/journal"
	"ecoin/server"
)

// bankDir names what is where in a bank's folder.
type bankDir string

func (d bankDir) keys() string   { return filepath.Join(string(d), "keys") }
func (d bankDir) ledger() string { return filepath.Join(string(d), "ledger") }
func (d bankDir) socket() string { return filepath.Join(string(d), "admin.sock") }
func (d bankDir) journal() *journal.Journal {
	return journal.New(d.journalFile())
}
func (d bankDir) journalFile() string { return filepath.Join(string(d), "journal.jsonl") }

type bankCmd struct {
	Dir     bankDir  `help:"Folder of the bank: keys, ledger, admin socket." default:"${dir}"`
	Listen  string   `help:"Address of the API." default:"127.0.0.1:7443"`
	Health  string   `help:"Address of the operator's page, health, metrics and profiles; keep it private." default:"127.0.0.1:7444"`
	URL     string   `name:"url" help:"URL by which clients reach the API; announced with the keys. Default: https:// and the bound address."`
	TLSName []string `name:"tls-name" help:"DNS names and IP addresses for the certificate that is made on the first start. Default: localhost, this host's name, and the address of --listen." placeholder:"NAME"`
	TLSCert string   `name:"tls-cert" help:"Certificate to use instead of the one in the key folder." placeholder:"FILE" and:"tls"`
	TLSKey  string   `name:"tls-key" help:"Key of --tls-cert, mode 0600." placeholder:"FILE" and:"tls"`
	Suite   string   `help:"Suite of the header key that is made on the first start: ${enum}." enum:"x25519,xwing,rsa3072" default:"x25519"`

	CheckConfig bool `help:"Check settings, keys, certificate and folders, say what was found, and end. A bank may be running."`

	Ledger             string        `help:"Database to keep the ledger in, instead of this folder: postgres://USER@HOST:PORT,HOST:PORT/NAME?target_session_attrs=read-write. All nodes of a bank share it, the key folder and the windows. Better than a password here: the variable ECOIN_LEDGER, or a password file (PGPASSFILE)." placeholder:"URL"`
	LedgerConns        int           `help:"Connections of this node to that database for redeems, returns and refunds, each with a statement under way; half as many more for all else, and two that look up keys and accounts." default:"16"`
	Disk               []string      `help:"Folder on a further disk to spread the ledger over; can be repeated; fixed on the first start, with the order." placeholder:"DIR" sep:"none"`
	IndexMemory        int64         `help:"Bytes of memory for the index of live coins, about 22 a coin: redeems then need a fraction of the CPU time. Parts of the ledger that do not fit work without. 0 for no index." default:"1073741824"`
	Shards             int           `help:"Parts of the ledger that commit independently, a power of two up to 256; fixed on the first start, 16 if not given." default:"0"`
	SpentWindow        time.Duration `help:"How long, at least, retries and refund evidence work after a redeem." default:"1h"`
	WithdrawalWindow   time.Duration `help:"How long, at least, a withdrawal can be asked for again." default:"24h"`
	MinFree            uint64        `help:"Free bytes on the ledger's disk below which withdrawals are refused." default:"1073741824"`
	Ballast            int64         `help:"Bytes of the file in the ledger's folder that is deleted when the disk is full; --ballast=-1 for none. Default: 1 % of the disk, at most 256 MiB." default:"0"`
	MaxConns           int           `help:"Most client connections at once." default:"16384"`
	MaxConnsPerAddress int           `help:"Most connections of one IPv4 address or IPv6 /64 network at once. Default: a quarter of --max-conns." default:"0"`
	BodyMemory         int           `help:"Bytes of memory for large requests that are arriving, beyond 16 KiB of each connection." default:"268435456"`
	Rate               int           `help:"Most coins a second of one account, with bursts of as many and at least 10,000. 0 for no limit." default:"0"`
}

func (c *bankCmd) Run(ctx context.Context, log *slog.Logger, std streams) error {
	if c.CheckConfig {
		return c.check(ctx, std.out)
	}
	if err := c.create(std.out); err != nil {
		return err
	}
	keys, err := bankkeys.Open(c.Dir.keys(), c.TLSCert, c.TLSKey)
	if err != nil {
		return err
	}
	l, err := c.openLedger(ctx, keys.Mint, log)
	if err != nil {
		return err
	}
	return errors.Join(c.serve(ctx, log, keys, l), l.Close())
}

// create fills an empty folder and says so.
func (c *bankCmd) create(out io.Writer) error {
	exists, err := bankkeys.Exists(c.Dir.keys())
	if exists || err != nil {
		return err
	}
	if _, err := os.Stat(c.Dir.ledger()); err == nil {
		return fmt.Errorf("%s holds a ledger but %s no keys: restore them from the backup; no coin in that ledger can be found without them",
			c.Dir, c.Dir.keys())
	}
	suite, err := core.ParseSuite(c.Suite)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(c.Dir), 0o700); err != nil {
		return err
	}
	paths, err := bankkeys.Create(c.Dir.keys(), suite, c.hosts())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "This is a new bank. Created, readable by you alone where secret:\n")
	for _, path := range paths {
		fmt.Fprintf(out, "  %s\n", path)
	}
	fmt.Fprintf(out, `Next, in another terminal: make a key for a collector, give it an account, and check the books.
  ecoin keys client cam-1
  ecoin trust add cam-1 --role collector --cert cam-1.crt --credit 1000 --dir %s
  ecoin audit --dir %s
Clients verify this bank by %s: give it to them.
Back up %s now, apart from the ledger: without it every coin is lost, with it and the ledger coins can be stolen.
`, c.Dir, c.Dir, filepath.Join(c.Dir.keys(), "tls.crt"), c.Dir.keys())
	return nil
}

// hosts are the names in a new certificate.
func (c *bankCmd) hosts() []string {
	if len(c.TLSName) > 0 {
		return c.TLSName
	}
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && name != "localhost" {
		hosts = append(hosts, name)
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil {
		if ip := net.ParseIP(host); ip == nil && host != "" && host != "localhost" || ip != nil && !ip.IsUnspecified() && !ip.IsLoopback() {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// serve runs the bank until ctx ends, and takes up new keys on SIGHUP.
func (c *bankCmd) serve(ctx context.Context, log *slog.Logger, keys *bankkeys.Keys, l bankLedger) error {
	// Bound before the bank is made, because it announces its own address.
	api, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	url := c.URL
	if url == "" {
		url = "https://" + api.Addr().String()
	}
	b, err := bank.New(bank.Options{Ledger: l, Keys: keys.Ring, Mint: keys.Mint, URL: url, Rate: c.Rate})
	if err != nil {
		return errors.Join(err, api.Close())
	}
	defer b.Close()
	s, err := server.New(server.Options{
		Bank:               b,
		Accounts:           l,
		Certificate:        keys.TLS,
		Listener:           api,
		Admin:              c.Dir.socket(),
		Health:             c.Health,
		Journal:            c.Dir.journal(),
		MaxConns:           c.MaxConns,
		MaxConnsPerAddress: c.MaxConnsPerAddress,
		BodyMemory:         c.BodyMemory,
		Logger:             log,
	})
	if err != nil {
		return errors.Join(err, api.Close())
	}
	r := &runningBank{cmd: c, log: log, bank: b, server: s, ledger: l}
	if err := r.record("bank started", keys.Ring); err != nil {
		log.Error("the journal cannot be written", "err", err) // nor can operators do anything then
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { r.manage(ctx); return nil })
	return g.Wait()
}
