package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"ecoin/internal/wire"
)

type ledgerCmd struct {
	Backup  ledgerBackupCmd  `cmd:"" help:"Copy a bank's ledger, as of one moment, into a new folder."`
	Restore ledgerRestoreCmd `cmd:"" help:"Put a backup in the place of a stopped bank's ledger."`
	Verify  ledgerVerifyCmd  `cmd:"" help:"Read everything of a ledger or backup that no bank runs on, and check it."`
	Stats   ledgerStatsCmd   `cmd:"" help:"Show a running bank's counters."`
}

type ledgerStatsCmd struct {
	socketFlags
	Shards bool `help:"Show every shard."`
	JSON   bool `name:"json" help:"Print JSON, shards included."`
}

func (c *ledgerStatsCmd) Run(ctx context.Context, std streams) error {
	s, err := c.admin().Stats(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(s)
	}
	printStats(std.out, s)
	if c.Shards {
		return printShards(std.out, s.Shards)
	}
	return nil
}

func printStats(w io.Writer, s wire.Stats) {
	fmt.Fprintf(w, "%d coins live; issued %d, redeemed %d, returned %d, refunded %d\n", s.Live, s.Issued, s.Redeemed, s.Returned, s.Refunded)
	fmt.Fprintf(w, "since the start: %d retries, %d double spends, %d not live, %d temporary failures, %d damaged blocks met\n",
		s.Retries, s.DoubleSpends, s.NotLive, s.Temporary, s.Corruptions)
	fmt.Fprintf(w, "refused: %d calls for overload, %d withdrawals for want of disk space\n", s.Overloads, s.LowDisk)
	fmt.Fprintf(w, "%d coins queued; %d batches of %.1f coins; %d client connections\n", s.Queued, s.Batches, float64(s.BatchCoins)/float64(max(1, s.Batches)), s.Connections)
	fmt.Fprintf(w, "index: %d coins in %s; %d changed coins not in the store yet\n", s.Indexed, size(s.IndexBytes), s.Unflushed)
	fmt.Fprintf(w, "disk %s, of it log %s; ballast %s; read amplification %d, compaction debt %s\n",
		size(s.DiskBytes), size(s.LogBytes), size(s.BallastBytes), s.ReadAmp, size(s.CompactionDebt))
	for _, d := range s.Disks {
		fmt.Fprintf(w, "free: %s on the disk of %s\n", size(d.FreeBytes), d.Dir)
	}
}

func printShards(out io.Writer, shards []wire.ShardStats) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "SHARD\tLIVE\tISSUED\tREDEEMED\tWAITING\tDAMAGED\tINDEXED\t")
	for i, s := range shards {
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%t\t\n", i, s.Live, s.Issued, s.Redeemed, s.Waiting, s.Damaged, s.Indexed)
	}
	return w.Flush()
}

// size writes a number of bytes for people.
func size(bytes int64) string {
	const units = "KMGTPE"
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	v, i := float64(bytes)/1024, 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}
