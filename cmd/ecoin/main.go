// Command ecoin is the bank of one-time coins and everything around it: bank,
// director, analyst and collector, the keys and accounts they need, the audit,
// and a demonstration of all of it on one machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line. Every flag can also come from the environment
// (ECOIN_ and the flag's name) or from the file named by --config.
type cli struct {
	Config configFlag `help:"JSON file of settings under the flags' names; a section named after a command applies to that command alone." placeholder:"FILE" env:"-"`
	Log    logFlags   `embed:"" prefix:"log-"`

	Bank      bankCmd      `cmd:"" help:"Run the bank; an empty folder is filled with what it needs."`
	Director  directorCmd  `cmd:"" help:"Run a director: relay operations from collectors to analysts."`
	Analyst   analystCmd   `cmd:"" help:"Run an analyst: redeem coins, analyse, reply."`
	Collector collectorCmd `cmd:"" help:"Run a collector, or bring back the credit of its coins."`
	Keys      keysCmd      `cmd:"" help:"Make and show keys."`
	Trust     trustCmd     `cmd:"" help:"Manage a running bank's accounts through its Unix socket."`
	Ledger    ledgerCmd    `cmd:"" help:"Back up, restore or verify a ledger, or show a running bank's counters."`
	Journal   journalCmd   `cmd:"" help:"Check, and print, the journal of what operators did to a bank."`
	Loadgen   loadgenCmd   `cmd:"" help:"Make load, report and compare runs."`
	Plan      planCmd      `cmd:"" help:"Calculate what to buy for a fleet, from what was measured."`
	Audit     auditCmd     `cmd:"" help:"Check that every coin and every credit is accounted for."`
	Demo      demoCmd      `cmd:"" help:"Run everything on this machine, attack it, audit it."`
}

// streams are what a command may read and write, so that tests can replace them.
type streams struct {
	out io.Writer // results, for people or programs
	err io.Writer // logs and hints
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run parses args, runs the command, and returns the exit code: 0 for success,
// 1 for a failure, 2 for a command line that does not parse, and what a command
// documents of its own.
func run(ctx context.Context, args []string, std streams) int {
	var c cli
	exited := -1
	options := []kong.Option{
		kong.Name("ecoin"),
		kong.Description("A bank of one-time coins: each pays for one analysis and is its AES-256 key."),
		kong.DefaultEnvars("ECOIN"),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"dir": "ecoin-bank"},
	}
	if path := os.Getenv("ECOIN_CONFIG"); path != "" {
		s, err := readSettings(path)
		if err != nil {
			fmt.Fprintf(std.err, "ecoin: ECOIN_CONFIG: %v\n", err)
			return 2
		}
		options = append(options, kong.Resolvers(s))
	}
	parser, err := kong.New(&c, options...)
	if err != nil {
		panic("ecoin: command line model: " + err.Error())
	}
	kctx, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(std.err, "ecoin: %v\nRun \"ecoin --help\" for the commands and their flags.\n", err)
		return 2
	}
	log, err := c.Log.logger(std.err)
	if err != nil {
		fmt.Fprintf(std.err, "ecoin: %v\n", err)
		return 2
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	if err := kctx.Run(log, std); err != nil {
		var code exitCode
		if errors.As(err, &code) {
			return int(code)
		}
		fmt.Fprintf(std.err, "ecoin %s: %v\n", kctx.Command(), err)
		return 1
	}
	return 0
}

// exitCode is a failure whose report has been printed already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }
