package main

import (
	"context"
	"log/slog"
	"time"

	"ecoin/director"
	"ecoin/internal/identity"
)

// identityFlags name the key and certificate a role shows.
type identityFlags struct {
	Cert string `help:"This role's certificate (ecoin keys client makes one)." placeholder:"FILE" required:""`
	Key  string `help:"Key of --cert, mode 0600." placeholder:"FILE" required:""`
}

func (f identityFlags) load() (*identity.Identity, error) { return identity.Load(f.Cert, f.Key) }

type directorCmd struct {
	identityFlags
	Listen        string        `help:"Address to listen on." default:"127.0.0.1:7543"`
	MaxBody       int64         `help:"Longest request or reply." default:"1048576"`
	MaxOperations int           `help:"Most operations under way at once." default:"256"`
	MaxCapacity   int           `help:"Most operations under way at one analyst, whatever it registers." default:"256"`
	MaxAnalysts   int           `help:"Most registered analysts." default:"256"`
	Timeout       time.Duration `help:"Longest time for one operation." default:"30s"`

	MaxConnsPerAddress int `help:"Most connections of one IPv4 address or IPv6 /64 network at once, of 8192 in all. Default: a quarter of them." default:"0"`
}

func (c *directorCmd) Run(ctx context.Context, log *slog.Logger) error {
	id, err := c.load()
	if err != nil {
		return err
	}
	d, err := director.New(director.Options{
		Address:       c.Listen,
		Identity:      id,
		MaxBody:       c.MaxBody,
		MaxOperations: c.MaxOperations,
		MaxCapacity:   c.MaxCapacity,
		MaxAnalysts:   c.MaxAnalysts,
		Timeout:       c.Timeout,
		Logger:        log,

		MaxConnsPerAddress: c.MaxConnsPerAddress,
	})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}
