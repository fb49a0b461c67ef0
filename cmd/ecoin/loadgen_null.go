package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"ecoin/internal/identity"
	"ecoin/loadgen"
	"ecoin/loadgen/result"
)

type loadSelfTestCmd struct {
	Rate     string        `help:"Requests a second, by a schedule." default:"100000"`
	Duration time.Duration `help:"How long." default:"10s"`
	Conns    int           `help:"Requests under way at once, at most." default:"64"`
	outputFlags
}

func (c *loadSelfTestCmd) Run(ctx context.Context, std streams) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	live := newLive(std, "self-test", c.Rate, c.Duration)
	run, err := loadgen.SelfTest(ctx, loadgen.SelfTestOptions{
		Exe: exe, Schedule: c.Rate, Duration: c.Duration, Conns: c.Conns, Command: "ecoin " + strings.Join(os.Args[1:], " "),
		Visit: func(s result.Second) { live.Second(&s) },
	})
	live.Close()
	if err != nil {
		return err
	}
	if err := c.write(std, run); err != nil {
		return err
	}
	return exit(run)
}

type loadNullServerCmd struct {
	Dir string `help:"Folder for its key and certificate." type:"existingdir" required:""`
}

func (c *loadNullServerCmd) Run(ctx context.Context, log *slog.Logger) error {
	id, err := identity.Create(c.Dir, loadgen.NullName, []string{"127.0.0.1"})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	log.Info("listening", "address", l.Addr().String())
	return loadgen.ServeNull(ctx, l, id)
}
