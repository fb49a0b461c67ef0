package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"ecoin/analyst"
	"ecoin/analyst/analysis"
	"ecoin/internal/identity"
)

type analystCmd struct {
	banksFlags
	Listen       string            `help:"Address to listen on." default:"127.0.0.1:7643"`
	URL          string            `name:"url" help:"URL by which the director reaches this analyst. Default: https:// and the bound address."`
	ID           string            `name:"id" help:"Name of the registration at the director. Default: made from the key."`
	Director     string            `help:"URL of the director." default:"https://127.0.0.1:7543"`
	DirectorCert string            `help:"The director's certificate; nobody else may send operations." placeholder:"FILE" required:""`
	Analysis     []string          `help:"Analyses to offer, of those built in. Default: all." placeholder:"NAME"`
	Exec         map[string]string `help:"Offer a program as an analysis: standard input to standard output. Repeatable." placeholder:"NAME=COMMAND" mapsep:"none"`
	ExecTimeout  time.Duration     `help:"Longest run of such a program." default:"10s"`
	ExecOutput   int               `help:"Most output of such a program." default:"524288"`
	Capacity     int               `help:"Most operations under way at once." default:"64"`
	MaxBody      int64             `help:"Longest request or reply; no more than the director's." default:"1048576"`
	Timeout      time.Duration     `help:"Longest time for one operation; less than the director's." default:"25s"`
}

func (c *analystCmd) Run(ctx context.Context, log *slog.Logger) error {
	id, err := c.load()
	if err != nil {
		return err
	}
	pin, err := identity.ReadPin(c.DirectorCert)
	if err != nil {
		return err
	}
	analyses, err := c.analyses()
	if err != nil {
		return err
	}
	o := analyst.Options{
		Address:          c.Listen,
		URL:              c.URL,
		ID:               c.ID,
		Identity:         id,
		Director:         c.Director,
		DirectorPin:      pin,
		Analyses:         analyses,
		Capacity:         c.Capacity,
		MaxBody:          c.MaxBody,
		AnalysisTimeout:  max(c.ExecTimeout, 10*time.Second),
		OperationTimeout: c.Timeout,
		Logger:           log,
	}
	closeBanks, err := c.open(ctx, log, &o)
	if err != nil {
		return err
	}
	defer closeBanks()
	a, err := analyst.New(o)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// analyses are those built in that were asked for, and the programs.
func (c *analystCmd) analyses() (map[string]analysis.Func, error) {
	all := analysis.Builtin()
	offered := map[string]analysis.Func{}
	for _, name := range c.Analysis {
		f, known := all[name]
		if !known {
			return nil, fmt.Errorf("--analysis %s: built in are %s; --exec adds programs", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		}
		offered[name] = f
	}
	if len(c.Analysis) == 0 {
		offered = all
	}
	for name, command := range c.Exec {
		if _, taken := offered[name]; taken {
			return nil, fmt.Errorf("--exec %s: an analysis of this name is offered already", name)
		}
		f, err := analysis.Exec(command, analysis.ExecOptions{Timeout: c.ExecTimeout, MaxOutput: c.ExecOutput})
		if err != nil {
			return nil, err
		}
		offered[name] = f
	}
	if len(offered) == 0 {
		return nil, errors.New("no analysis to offer")
	}
	return offered, nil
}
