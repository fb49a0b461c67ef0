package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"ecoin/core"
	"ecoin/internal/bankkeys"
	"ecoin/ledger/pgledger"
)

// expiresSoon is when a certificate's end is worth a warning.
const expiresSoon = 30 * 24 * time.Hour

// Validate is called by kong with the parsed command line.
func (c *bankCmd) Validate() error {
	switch {
	case c.MaxConns < 1:
		return fmt.Errorf("--max-conns=%d: want at least 1", c.MaxConns)
	case c.MaxConnsPerAddress < 0 || c.MaxConnsPerAddress > c.MaxConns:
		return fmt.Errorf("--max-conns-per-address=%d: want 1 to --max-conns, or 0 for a quarter of it", c.MaxConnsPerAddress)
	case c.BodyMemory < 2<<20:
		return fmt.Errorf("--body-memory=%d: want at least 2097152, of which an account alone gets half", c.BodyMemory)
	case c.LedgerConns < 1:
		return fmt.Errorf("--ledger-conns=%d: want at least 1", c.LedgerConns)
	case c.Ledger != "" && (len(c.Disk) > 0 || c.Shards != 0):
		return errors.New("--disk and --shards are for a ledger in this folder, not with --ledger")
	case c.Rate < 0:
		return fmt.Errorf("--rate=%d: want coins a second, or 0 for no limit", c.Rate)
	}
	return nil
}

// check says of each thing that a start needs whether it is well. It changes nothing and
// leaves a running bank alone.
func (c *bankCmd) check(ctx context.Context, out io.Writer) error {
	bad := 0
	say := func(what string, err error, good string) {
		if err != nil {
			bad++
			fmt.Fprintf(out, "BAD  %s: %v\n", what, err)
			return
		}
		fmt.Fprintf(out, "ok   %s: %s\n", what, good)
	}
	running, err := socketFlags{Dir: c.Dir}.running()
	say("admin socket", err, map[bool]string{true: "a bank is running on " + string(c.Dir), false: "no bank is running on " + string(c.Dir)}[running])

	exists, err := bankkeys.Exists(c.Dir.keys())
	switch {
	case err != nil:
		say("keys", err, "")
	case !exists:
		_, err := os.Stat(c.Dir.ledger())
		if err == nil {
			err = fmt.Errorf("%s has a ledger and no keys: restore them from the backup", c.Dir)
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		say("keys", err, "none yet: the first start makes them")
		if c.Ledger != "" {
			c.checkDatabase(ctx, core.NewMint(new([32]byte), new([32]byte)), say) // of keys that no bank has
		}
	default:
		c.checkKeys(ctx, say)
	}

	for _, a := range []struct{ flag, address string }{{"--listen", c.Listen}, {"--health", c.Health}} {
		if running { // on these very addresses, perhaps
			_, err := net.ResolveTCPAddr("tcp", a.address)
			say(a.flag, err, a.address)
			continue
		}
		ln, err := net.Listen("tcp", a.address)
		if err == nil {
			err = ln.Close()
		}
		say(a.flag, err, a.address+" is free")
	}
	for _, dir := range append([]string{string(c.Dir)}, c.Disk...) {
		say("folder", checkFolder(dir), dir)
	}
	if bad > 0 {
		fmt.Fprintf(out, "%d of these would keep the bank from starting\n", bad)
		return exitCode(1)
	}
	return nil
}

func (c *bankCmd) checkKeys(ctx context.Context, say func(what string, err error, good string)) {
	keys, err := bankkeys.Open(c.Dir.keys(), c.TLSCert, c.TLSKey)
	if err != nil {
		say("keys", err, "")
		return
	}
	say("keys", nil, fmt.Sprintf("%d header keys in %s", len(keys.Ring.Public()), c.Dir.keys()))
	leaf, now := keys.TLS.Certificate.Leaf, time.Now()
	good := "valid until " + leaf.NotAfter.Format(time.DateOnly)
	switch {
	case now.After(leaf.NotAfter):
		err = fmt.Errorf("expired on %s", leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		err = fmt.Errorf("not valid before %s", leaf.NotBefore.Format(time.DateOnly))
	case leaf.NotAfter.Sub(now) < expiresSoon:
		good += ", WHICH IS SOON"
	}
	say("TLS certificate", err, good)
	if c.Ledger == "" {
		say("ledger settings", c.ledgerOptions(keys.Mint, slog.New(slog.DiscardHandler)).Check(), c.Dir.ledger())
		return
	}
	c.checkDatabase(ctx, keys.Mint, say)
}

func (c *bankCmd) checkDatabase(ctx context.Context, mint *core.Mint, say func(what string, err error, good string)) {
	o := c.databaseOptions(mint, slog.New(slog.DiscardHandler))
	say("ledger settings", o.Check(), "in a database")
	version, err := pgledger.Probe(ctx, c.Ledger, o)
	say("database", err, version)
}

// checkFolder checks that a folder can be written to, or made.
func checkFolder(dir string) error {
	fi, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) {
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			fi, err = os.Stat(dir)
			continue
		}
		break
	}
	switch {
	case err != nil:
		return err
	case !fi.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	}
	f, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
