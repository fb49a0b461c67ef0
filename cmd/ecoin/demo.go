package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"ecoin/internal/demo"
)

type demoCmd struct {
	CSV        string `name:"csv" help:"Readings to use instead of this machine's telemetry." type:"existingfile" placeholder:"FILE"`
	Rows       int    `help:"Rows an operation. Default: 256 of a CSV file, 8 samples of telemetry."`
	Operations int    `help:"Honest operations. Default: the whole CSV file, 9 of telemetry."`
	JSON       bool   `name:"json" help:"Print one JSON object on standard output and nothing else there."`
}

func (c *demoCmd) Run(ctx context.Context, std streams) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	out := std.out
	if c.JSON {
		out = io.Discard
	}
	summary, err := demo.Run(ctx, demo.Options{Exe: exe, CSV: c.CSV, Rows: c.Rows, Operations: c.Operations, Out: out})
	if c.JSON {
		err = errors.Join(err, json.NewEncoder(std.out).Encode(summary))
	}
	return err
}
