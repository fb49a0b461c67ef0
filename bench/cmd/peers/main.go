// Command peers compares ecoin with what one would use instead, side by side on this
// machine: codec, ledger, whole system, transport. It starts its own servers in a temporary
// folder, on loopback, and ends them. It prints tables in Markdown and writes them with all
// figures to a folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type cli struct {
	Compare         compareCmd         `cmd:"" default:"withargs" help:"Compare (the default)."`
	StoreServer     storeServerCmd     `cmd:"" hidden:""`
	ObviousBank     obviousBankCmd     `cmd:"" hidden:""`
	BetterBank      betterBankCmd      `cmd:"" hidden:""`
	TransportServer transportServerCmd `cmd:"" hidden:""`
}

// questions are what can be asked, in order.
var questions = []string{"codec", "ledger", "system", "transport"}

type compareCmd struct {
	Quick  bool     `help:"Short and rough: a few small rounds, under five minutes."`
	Only   []string `help:"Which questions: codec, ledger, system, transport." default:"codec,ledger,system,transport"`
	Rounds int      `help:"Rounds of each question. Default: 5, or 2 when quick."`
	Source string   `help:"The folder of ecoin's source." default:".." type:"existingdir"`
	Dir    string   `help:"Folder on the disk to measure; what is written there is removed again." default:"${tmp}" type:"existingdir"`
	Out    string   `help:"Folder for tables.md and results.json." default:"." type:"path"`
}

func (c *compareCmd) Validate() error {
	for _, name := range c.Only {
		if !slices.Contains(questions, name) {
			return fmt.Errorf("--only %s: there are %v", name, questions)
		}
	}
	if c.Rounds < 0 || c.Rounds > 100 {
		return errors.New("--rounds: 1 to 100")
	}
	return nil
}

// sizes are how much is measured.
type sizes struct {
	rounds    int
	job       time.Duration // of each job of the codec
	coins     int64         // live ones in each ledger
	load      time.Duration // of each load
	half      time.Duration // of each load at half of the highest rate
	warmup    time.Duration // before each of these
	transport time.Duration
	patience  time.Duration // from the start, until which what was disturbed is repeated
}

func (c *compareCmd) sizes() sizes {
	s := sizes{rounds: 5, job: 300 * time.Millisecond, coins: 1_000_000, load: 2 * time.Second, half: 3 * time.Second, warmup: time.Second, transport: 2 * time.Second, patience: 8 * time.Minute}
	if c.Quick {
		s = sizes{rounds: 2, job: 50 * time.Millisecond, coins: 200_000, load: time.Second, half: time.Second, warmup: 500 * time.Millisecond, transport: 500 * time.Millisecond, patience: 90 * time.Second}
	}
	if c.Rounds > 0 {
		s.rounds = c.Rounds
	}
	return s
}

func main() {
	var c cli
	k := kong.Parse(&c, kong.Name("peers"), kong.Vars{"tmp": os.TempDir()},
		kong.Description("Compare ecoin with what one would use instead."), kong.UsageOnError())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	k.FatalIfErrorf(k.Run())
}
