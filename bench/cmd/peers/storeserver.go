package main

import (
	"context"
	"log/slog"
	"net"
	"os"

	"ecoin/bench/store"
	"ecoin/internal/coins"
)

// storeServerCmd serves a ledger on one of the engines that are libraries.
type storeServerCmd struct {
	Engine string `arg:""`
	Dir    string `arg:"" help:"Folder that is not there yet."`
	Coins  int64  `arg:""`
}

func (c *storeServerCmd) Run(ctx context.Context) error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	e, err := store.Open(c.Engine, c.Dir)
	if err != nil {
		return err
	}
	if err := e.Load(coins.New(c.Coins).Ascending()); err != nil {
		return err
	}
	bytes, err := e.LiveBytes()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	log.Info("listening", "address", l.Addr().String(), "live_bytes", bytes)
	if err := store.Serve(ctx, l, e); err != nil {
		return err
	}
	return e.Close()
}
