package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"strings"

	"ecoin/internal/wire"
	"ecoin/loadgen"
)

// loadCommon is what all kinds of load have.
type loadCommon struct {
	stageFlags
	loadFlags
	outputFlags
}

func (c *loadCommon) run(ctx context.Context, std streams, mix []loadgen.Weight, op *operationFlags) error {
	run, err := runLoad(ctx, std, &c.stageFlags, &c.loadFlags, mix, op)
	if err != nil {
		return err
	}
	if err := c.write(std, run); err != nil {
		return err
	}
	return exit(run)
}

type loadRedeemCmd struct{ loadCommon }

func (c *loadRedeemCmd) Run(ctx context.Context, std streams) error {
	return c.run(ctx, std, []loadgen.Weight{{Kind: loadgen.Redeem, Weight: 1}}, nil)
}

type loadWithdrawCmd struct{ loadCommon }

func (c *loadWithdrawCmd) Run(ctx context.Context, std streams) error {
	return c.run(ctx, std, []loadgen.Weight{{Kind: loadgen.Withdraw, Weight: 1}}, nil)
}

type loadRefundCmd struct{ loadCommon }

func (c *loadRefundCmd) Run(ctx context.Context, std streams) error {
	return c.run(ctx, std, []loadgen.Weight{{Kind: loadgen.Refund, Weight: 1}}, nil)
}

// operationFlags are for loads with whole operations.
type operationFlags struct {
	Analysis       string `group:"Operation" help:"Analysis that operations ask for." default:"summary"`
	Payload        int    `group:"Operation" help:"Bytes of readings of an operation." default:"1024"`
	MarketAnalysts int    `group:"Operation" help:"Analysts behind the director of a self-contained load." default:"2"`
}

type loadOperationCmd struct {
	loadCommon
	operationFlags
}

func (c *loadOperationCmd) Run(ctx context.Context, std streams) error {
	return c.run(ctx, std, []loadgen.Weight{{Kind: loadgen.Operation, Weight: 1}}, &c.operationFlags)
}

type loadMixCmd struct {
	loadCommon
	operationFlags
	Mix []string `arg:"" help:"Kinds and weights, as in redeem:8 withdraw:1 refund:1 operation:1."`
}

func (c *loadMixCmd) Run(ctx context.Context, std streams) error {
	mix, err := parseMix(c.Mix)
	if err != nil {
		return err
	}
	return c.run(ctx, std, mix, &c.operationFlags)
}

func parseMix(words []string) (mix []loadgen.Weight, err error) {
	seen := map[loadgen.Kind]bool{}
	for _, word := range words {
		name, weight, found := strings.Cut(word, ":")
		w := loadgen.Weight{Weight: 1}
		if err := w.Kind.UnmarshalText([]byte(name)); err != nil {
			return nil, err
		}
		if found {
			if w.Weight, err = strconv.Atoi(weight); err != nil || w.Weight < 1 || w.Weight > 1000 {
				return nil, fmt.Errorf("%q: a weight is a number from 1 to 1000", word)
			}
		}
		if seen[w.Kind] {
			return nil, fmt.Errorf("%s is in the mix twice", name)
		}
		seen[w.Kind] = true
		mix = append(mix, w)
	}
	return mix, nil
}

type loadWorkerCmd struct{}

func (c *loadWorkerCmd) Run(ctx context.Context) error {
	return loadgen.Serve(ctx, os.Stdin, os.Stdout)
}

type loadAccountsCmd struct {
	FleetSeed string `help:"File with the seed of the fleet's keys; made if it is not there." required:"" placeholder:"FILE"`
	Fleet     int    `help:"Collectors." default:"16"`
	Analysts  int    `help:"Analysts." default:"4"`
	Credit    int64  `help:"Credit granted to each collector." default:"1000000000"`
}

func (c *loadAccountsCmd) Run(std streams) error {
	seed, err := (&stageFlags{FleetSeed: c.FleetSeed}).seed()
	if err != nil {
		return err
	}
	w := csv.NewWriter(std.out)
	_ = w.Write([]string{"name", "role", "pin", "credit"})
	if err := loadgen.Accounts(seed, c.Fleet, c.Analysts, c.Credit, func(a wire.AddAccount) error {
		return w.Write([]string{a.Name, a.Role, a.Pin, strconv.FormatInt(a.Credit, 10)})
	}); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}
