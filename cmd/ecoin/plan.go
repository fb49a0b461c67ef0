package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"ecoin/loadgen/plan"
	"ecoin/loadgen/result"
)

type planCmd struct {
	plan.Target `embed:""` // kong calls its Validate

	From         []string `help:"Run that ecoin loadgen wrote with --json, in the place of what it measures; can be repeated. Default: the measurements in docs/plots." placeholder:"FILE" sep:"none"`
	AllowInvalid bool     `help:"Plan from runs whose generator was the limit, or whose audit failed, too."`
	Node         string   `help:"Node type: small-4c, nvme-16c, nvme-32c, memory-32c or nvme-64c. Their prices are examples. Default: nvme-16c." placeholder:"NAME" xor:"node"`
	NodeFile     string   `help:"JSON file that describes a node type of your own, with its price." placeholder:"FILE" xor:"node"`
	Ledger       []string `help:"Kinds of ledger to plan: index (Pebble, with an index of live coins in memory), plain (Pebble alone), sql." default:"index,plain,sql"`
	JSON         string   `name:"json" help:"Write the plan as JSON to a file; - is standard output, in the place of the text." placeholder:"FILE"`
	HTML         string   `name:"html" help:"Write the plan as one HTML page that needs nothing else." placeholder:"FILE"`
}

func (c *planCmd) Run(std streams) error {
	node, err := c.node()
	if err != nil {
		return err
	}
	m := plan.Recorded()
	var runs []plan.NamedRun
	for _, file := range c.From {
		r, err := result.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--from: %w: give a file that ecoin loadgen wrote with --json", err)
		}
		runs = append(runs, plan.NamedRun{File: file, Run: r})
	}
	if err := m.UseRuns(runs, c.AllowInvalid); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	p, err := plan.Make(c.Target, node, m, c.Ledger)
	if err != nil {
		return err
	}
	if err := writeTo(c.HTML, p.HTML); err != nil {
		return err
	}
	text := func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(p)
	}
	if c.JSON == "-" {
		return text(std.out)
	}
	if err := writeTo(c.JSON, text); err != nil {
		return err
	}
	return p.Text(std.out)
}

func (c *planCmd) node() (plan.Node, error) {
	if c.NodeFile == "" {
		return plan.FindNode(cmp.Or(c.Node, "nvme-16c"))
	}
	f, err := os.Open(c.NodeFile)
	if err != nil {
		return plan.Node{}, fmt.Errorf("--node-file: %w", err)
	}
	defer f.Close()
	n, err := plan.ReadNode(f)
	if err != nil {
		return plan.Node{}, fmt.Errorf("--node-file: %s: %w", c.NodeFile, err)
	}
	return n, nil
}
