package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"ecoin/bench/harness"
	"ecoin/bench/proc"
	"ecoin/bench/transport"
	"ecoin/internal/identity"
	"ecoin/internal/subprocess"
	"ecoin/loadgen/fleet"
)

// transport asks what HTTP over mutual TLS costs, whatever is done with it.
func (b *bench) transport(context.Context) ([]*harness.Question, error) {
	q := &harness.Question{
		Name: "transport", Title: "Transport", Headline: "cpu100",
		Text:   fmt.Sprintf("Posts of headers, %d bytes each, answered with %d bytes each, by a server that does nothing with them: TLS 1.3 with client certificates over loopback, one client in a process of its own. CPU time is the server's.", transport.HeaderLen, transport.AnswerLen),
		Limits: "handshakes, idle connections, slow clients (`make bench-bank` and `make drill` have ours). The client shares the processors.",
	}
	shapes := []shape{{batch: 1, conns: 64}, {batch: 100, conns: 16}}
	for _, s := range shapes {
		q.Columns = append(q.Columns,
			harness.Column{Key: fmt.Sprintf("rate%d", s.batch), Head: fmt.Sprintf("headers/s, %d a post, %d connections", s.batch, s.conns), MoreIsBetter: true},
			harness.Column{Key: fmt.Sprintf("cpu%d", s.batch), Head: fmt.Sprintf("CPU us/header, %d a post", s.batch)})
	}
	for _, kind := range []string{transport.FastHTTP, transport.NetHTTP} {
		c := harness.Contender{Name: kind, Note: "what our bank is built on", Measure: func(ctx context.Context) (harness.Figures, error) { return b.measureTransport(ctx, kind, shapes) }}
		if kind != transport.FastHTTP {
			c.Note, c.Against = "the standard library's server", []string{transport.FastHTTP}
		}
		q.Contenders = append(q.Contenders, c)
	}
	return []*harness.Question{q}, nil
}

func (b *bench) measureTransport(ctx context.Context, kind string, shapes []shape) (f harness.Figures, err error) {
	dir, remove := b.folder("transport")
	defer remove()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p, err := subprocess.Start(kind, nil, b.self, "transport-server", kind, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Stop(time.Minute)) }()
	attrs, err := p.WaitFor(ctx, "listening")
	if err != nil {
		return nil, err
	}
	roots, err := identity.ReadRoots(filepath.Join(dir, "bank.crt"))
	if err != nil {
		return nil, err
	}
	pool := fleet.NewPool(fleet.PoolOptions{Address: fmt.Sprint(attrs["address"]), Name: "127.0.0.1", Roots: roots, Seed: fleet.NewSeed(), Role: "analyst"})
	f = harness.Figures{}
	for _, s := range shapes {
		var before time.Duration
		n, took, err := transport.Load(ctx, pool, s.conns, s.batch, b.sizes.transport, func() (err error) {
			before, err = proc.CPU(p.PID)
			return err
		})
		if err != nil {
			return nil, err
		}
		after, err := proc.CPU(p.PID)
		if err != nil {
			return nil, err
		}
		f[fmt.Sprintf("rate%d", s.batch)] = float64(n) / took.Seconds()
		f[fmt.Sprintf("cpu%d", s.batch)] = float64((after - before).Microseconds()) / float64(n)
	}
	return f, nil
}

// transportServerCmd serves posts of headers.
type transportServerCmd struct {
	Kind string `arg:""`
	Dir  string `arg:"" help:"Folder for certificate and key."`
}

func (c *transportServerCmd) Run(ctx context.Context) error {
	id, err := identity.Create(c.Dir, "bank", []string{"127.0.0.1"})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	slog.New(slog.NewJSONHandler(os.Stderr, nil)).Info("listening", "address", l.Addr().String())
	return transport.Serve(ctx, c.Kind, l, id)
}
