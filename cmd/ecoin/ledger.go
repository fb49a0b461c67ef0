package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
)

type ledgerCmd struct {
	Backup ledgerBackupCmd `cmd:"" help:"Copy a running bank's ledger, as of one moment, into a new folder."`
	Stats  ledgerStatsCmd  `cmd:"" help:"Show a running bank's counters."`
}

type ledgerBackupCmd struct {
	socketFlags
	To string `arg:"" help:"Folder for the copy; must not exist. On the ledger's file system it costs no space at first."`
}

func (c *ledgerBackupCmd) Run(ctx context.Context, std streams) error {
	to, err := filepath.Abs(c.To) // the bank runs in a folder of its own
	if err != nil {
		return err
	}
	if err := c.admin().Checkpoint(ctx, to); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s\nCopy it off this machine. The keys are not in it: back them up apart.\n", to)
	return nil
}

type ledgerStatsCmd struct {
	socketFlags
	JSON bool `name:"json" help:"Print JSON."`
}

func (c *ledgerStatsCmd) Run(ctx context.Context, std streams) error {
	s, err := c.admin().Stats(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(s)
	}
	_, err = fmt.Fprintf(std.out, "%d coins live, %d returned and not yet refunded, %d client connections\n", s.Live, s.Returned, s.Connections)
	return err
}
