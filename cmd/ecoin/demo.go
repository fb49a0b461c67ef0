package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"ecoin/internal/demo"
)

type demoCmd struct {
	CSV        string `name:"csv" help:"Readings to use instead of this machine's telemetry." type:"existingfile" placeholder:"FILE"`
	Rows       int    `help:"Rows an operation. Default: 256 of a CSV file, 8 samples of telemetry."`
	Operations int    `help:"Honest operations. Default: the whole CSV file, 9 of telemetry."`
	Suite      string `help:"Suite of the bank's header key: ${enum}." enum:"x25519,xwing,rsa3072" default:"x25519"`
	JSON       bool   `name:"json" help:"Print one JSON object on standard output and nothing else there."`
}

func (c *demoCmd) Run(ctx context.Context, std streams) error {
	// A terminal that is closed and a reader that has seen enough ("ecoin demo | head")
	// must not leave the roles behind.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	// Caught and dropped, SIGPIPE is an error of the write instead of this process's end.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var out io.Writer = &untilError{std.out, stop}
	if c.JSON {
		out = io.Discard
	}
	summary, err := demo.Run(ctx, demo.Options{Exe: exe, CSV: c.CSV, Rows: c.Rows, Operations: c.Operations, Suite: c.Suite, Out: out})
	if c.JSON {
		err = errors.Join(err, json.NewEncoder(std.out).Encode(summary))
	}
	return err
}

// untilError writes to w until that fails, and then calls stop.
type untilError struct {
	w    io.Writer
	stop func()
}

func (u *untilError) Write(b []byte) (int, error) {
	n, err := u.w.Write(b)
	if err != nil {
		u.stop()
	}
	return n, err
}
