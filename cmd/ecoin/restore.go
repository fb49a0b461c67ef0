package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ecoin/internal/backup"
	"ecoin/internal/bankkeys"
	"ecoin/ledger"
)

type ledgerRestoreCmd struct {
	From      string  `arg:"" help:"Backup: a folder that ledger backup wrote."`
	Dir       bankDir `help:"Folder of the stopped bank, with its keys." default:"${dir}"`
	MoveAside bool    `help:"Keep the ledger that is there as ledger.replaced-TIME. Without this it is not touched."`
}

// Run copies the backup beside the ledger, proves the copy, and only then gives it the
// ledger's name.
func (c *ledgerRestoreCmd) Run(ctx context.Context, log *slog.Logger, std streams) error {
	if running, err := (socketFlags{Dir: c.Dir}).running(); err != nil {
		return err
	} else if running {
		return fmt.Errorf("a bank is running on %s: stop it first", c.Dir)
	}
	keys, err := bankkeys.Open(c.Dir.keys(), "", "")
	if err != nil {
		return fmt.Errorf("restore the keys first, a ledger is nothing without them: %w", err)
	}
	there := false
	if _, err := os.Lstat(c.Dir.ledger()); err == nil {
		if there = true; !c.MoveAside {
			return fmt.Errorf("%s holds a ledger: --move-aside keeps it under another name", c.Dir.ledger())
		}
		// Held until the end, so that no bank starts meanwhile.
		lock, err := ledger.Lock(c.Dir.ledger())
		if err != nil {
			return err
		}
		defer lock.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	staged := c.Dir.ledger() + ".restoring"
	v, err := c.stage(ctx, log, staged, keys, newProgress(std.err))
	if err != nil {
		return err
	}
	if !v.OK {
		return errors.Join(v.print(std.out), os.RemoveAll(staged), errors.New("the backup is not ok: nothing was changed"))
	}
	replaced := ""
	if there {
		replaced = c.Dir.ledger() + ".replaced-" + stamp(time.Now())
		if err := os.Rename(c.Dir.ledger(), replaced); err != nil {
			return err
		}
	}
	err = os.Rename(staged, c.Dir.ledger())
	if err != nil && there {
		err = errors.Join(err, os.Rename(replaced, c.Dir.ledger()))
	}
	if err := errors.Join(err, backup.Sync(string(c.Dir))); err != nil {
		return err
	}
	return c.report(std.out, v, replaced)
}

// stage copies the backup and verifies the copy: against the manifest, if there is one,
// and block by block, with the bank's keys. What it returns without an error is there.
func (c *ledgerRestoreCmd) stage(ctx context.Context, log *slog.Logger, staged string, keys *bankkeys.Keys, p progress) (v verification, err error) {
	m, err := backup.Read(c.From)
	hasManifest := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	if err := os.RemoveAll(staged); err != nil { // of a restore that was broken off
		return v, err
	}
	files, err := copyFolder(ctx, p, "copying", c.From, staged)
	if err != nil {
		return v, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(staged))
		}
	}()
	if hasManifest {
		v.Backup, v.Files = &m.Time, len(files)
		v.Problems = backup.Diff(m.Files, files)
	}
	err = v.checkLedger(ctx, log, staged, "", keys, p)
	return v, err
}

// report says what an operator must know.
func (c *ledgerRestoreCmd) report(w io.Writer, v verification, replaced string) error {
	when := "the backup"
	if v.Backup != nil {
		when = fmt.Sprintf("the backup of %s (%s ago)", v.Backup.Format(time.RFC3339), time.Since(*v.Backup).Round(time.Minute))
	} else {
		fmt.Fprintln(w, "The backup has no manifest: that it is whole was told from its own checksums.")
	}
	fmt.Fprintf(w, "%s now is the ledger of %s: %d accounts, %d live coins.\n", c.Dir.ledger(), when, v.Accounts, v.Live)
	if replaced != "" {
		fmt.Fprintf(w, "The ledger that was there is kept as %s.\n", filepath.Clean(replaced))
	}
	_, err := fmt.Fprintf(w, `What happened after the backup is forgotten:
  - coins redeemed or refunded since ARE LIVE AGAIN: who has them can spend them a second time
  - coins withdrawn since are unknown: nobody can spend them, and their price is back on the accounts
  - credit earned, granted or refunded since is gone, and payouts made since can be asked for again
  - accounts opened since are unknown, and keys removed since ARE TRUSTED AGAIN
Before clients reach it: ecoin audit --dir %s, then reconcile as docs/OPERATIONS.md says under "Restore".
`, c.Dir)
	return err
}
