// Command bankscale measures a bank as its clients meet it: the real process, mutual TLS
// on loopback, durable redeems. It starts the bank, issues coins, seals headers for them,
// and redeems them in closed and open loops from a second process. It prints tables in
// Markdown and writes results.json.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"ecoin/loadgen/host"
)

type options struct {
	Bank   string        `help:"The ecoin binary." default:"bin/ecoin" type:"path"`
	Args   []string      `help:"More flags for the bank, several separated by spaces." sep:" "`
	Shapes []shape       `help:"Headers a request and connections of the closed loops, several separated by spaces." sep:" " default:"100x16 1000x8 10x64 1x256 1x16"`
	Suite  string        `help:"Suite of the headers." default:"x25519" enum:"x25519,xwing"`
	Time   time.Duration `help:"How long each load lasts." default:"8s"`
	Rounds int           `help:"How often the closed loops alternate." default:"3"`
	Idle   int           `help:"Idle connections to hold; 0 leaves that out." default:"10000"`
	Only   []string      `help:"What to measure: closed, open, idle, handshakes." default:"closed,open,idle,handshakes"`
	Dir    string        `help:"Folder on the disk to measure; what is written there is removed again." default:"${tmp}" type:"path"`
	Out    string        `help:"Folder for results.json." default:"." type:"path"`
}

func (o *options) Validate() error {
	switch {
	case o.Time < time.Second:
		return errors.New("a load lasts at least a second")
	case o.Rounds < 1:
		return errors.New("at least one round")
	case o.Idle < 0 || o.Idle > 50_000:
		return errors.New("idle connections: 0 to 50,000")
	}
	for _, name := range o.Only {
		if !slices.Contains([]string{"closed", "open", "idle", "handshakes"}, name) {
			return fmt.Errorf("%q cannot be measured", name)
		}
	}
	return nil
}

func main() {
	var o options
	k := kong.Parse(&o, kong.Name("bankscale"), kong.Vars{"tmp": os.TempDir()},
		kong.Description("Measure a bank through mutual TLS: CPU time a coin, latency, overload, connections."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k.FatalIfErrorf(run(ctx, &o))
}

func run(ctx context.Context, o *options) error {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	b, err := host.StartBank(ctx, host.Options{Exe: o.Bank, Dir: o.Dir, Suite: o.Suite, Args: o.Args})
	if err != nil {
		return err
	}
	r := &report{Machine: machine(), Command: fmt.Sprintf("bankscale: suite %s, %v a load, %d rounds", o.Suite, o.Time, o.Rounds)}
	err = measure(ctx, o, b, r)
	err = errors.Join(err, b.Stop())
	if err != nil {
		return err
	}
	r.print(os.Stdout)
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.Out, "results.json"), append(text, '\n'), 0o644)
}

func measure(ctx context.Context, o *options, b *host.Bank, r *report) error {
	f, err := newParties(ctx, b, o.Suite)
	if err != nil {
		return err
	}
	defer f.close()
	has := func(name string) bool { return slices.Contains(o.Only, name) }
	if has("closed") || has("open") {
		if err := measureClosed(ctx, o, b, f, r); err != nil {
			return err
		}
	}
	if has("open") {
		if err := measureOpen(ctx, o, b, f, r); err != nil {
			return err
		}
	}
	if has("handshakes") {
		if err := measureHandshakes(ctx, o, b, f, r); err != nil {
			return err
		}
	}
	if has("idle") && o.Idle > 0 {
		if err := measureIdle(ctx, o, b, f, r); err != nil {
			return err
		}
	}
	return audit(ctx, b)
}
