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
	"slices"
	"time"

	"ecoin/internal/backup"
	"ecoin/internal/bankkeys"
	"ecoin/ledger"
)

type ledgerRestoreCmd struct {
	From      string   `arg:"" help:"Backup: a folder that ledger backup wrote."`
	Dir       bankDir  `help:"Folder of the stopped bank, with its keys." default:"${dir}"`
	Disk      []string `help:"As for the bank: where the further disks of the backup go." placeholder:"DIR" sep:"none"`
	MoveAside bool     `help:"Keep the ledger that is there as ledger.replaced-TIME, on each disk. Without this it is not touched."`
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
	if n := backup.Disks(c.From); n != 1+len(c.Disk) {
		return fmt.Errorf("%s is of a ledger on %d disks, and %d are named: --disk is for each but the first", c.From, n, 1+len(c.Disk))
	}
	disks := append([]string{c.Dir.ledger()}, c.Disk...)
	var there []string // folders that are in the way
	for _, dir := range disks {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if !c.MoveAside {
			return fmt.Errorf("%s is there already: --move-aside keeps it under another name", dir)
		}
		// Held until the end, so that no bank starts meanwhile.
		lock, err := ledger.Lock(dir)
		if err != nil {
			return err
		}
		defer lock.Close()
		there = append(there, dir)
	}

	staged := make([]string, len(disks))
	for i, dir := range disks {
		staged[i] = filepath.Clean(dir) + ".restoring"
	}
	v, err := c.stage(ctx, log, staged, keys, newProgress(std.err))
	if err != nil {
		return err
	}
	if !v.OK {
		return errors.Join(v.print(std.out), removeAll(staged), errors.New("the backup is not ok: nothing was changed"))
	}
	from, err := filepath.Abs(c.From)
	if err == nil {
		err = c.Dir.journal().Append("ledger restored", map[string]any{"from": from, "live": v.Live, "accounts": v.Accounts})
	}
	if err != nil {
		return errors.Join(removeAll(staged), fmt.Errorf("the journal cannot be written, so nothing was changed: %w", err))
	}
	replaced, err := replace(disks, staged, there)
	if err != nil {
		return errors.Join(err, c.Dir.journal().Append("failed", map[string]any{"what": "ledger restored", "error": err.Error()}))
	}
	return c.report(std.out, v, replaced)
}

// replace gives what is staged its names, after what is there was moved aside to the
// names that it returns. The first disk goes first and comes last: wherever a crash
// ends it, a bank finds a ledger of one time, or refuses to start. After an error
// everything is where it was.
func replace(disks, staged, there []string) (replaced []string, err error) {
	var undo [][2]string // renames that were made
	rename := func(from, to string) error {
		err := os.Rename(from, to)
		if err == nil {
			undo = append(undo, [2]string{from, to})
			err = backup.Sync(filepath.Dir(to))
		}
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		for _, r := range slices.Backward(undo) {
			err = errors.Join(err, os.Rename(r[1], r[0]))
		}
	}()
	now := stamp(time.Now())
	for _, dir := range there {
		aside := filepath.Clean(dir) + ".replaced-" + now
		if err := rename(dir, aside); err != nil {
			return nil, err
		}
		replaced = append(replaced, aside)
	}
	for i, dir := range slices.Backward(disks) {
		if err := rename(staged[i], filepath.Clean(dir)); err != nil {
			return nil, err
		}
	}
	return replaced, nil
}

func removeAll(dirs []string) (err error) {
	for _, d := range dirs {
		err = errors.Join(err, os.RemoveAll(d))
	}
	return err
}

// stage copies the backup and verifies the copy: against the manifest, if there is one,
// and block by block, with the bank's keys. What it returns without an error is there.
func (c *ledgerRestoreCmd) stage(ctx context.Context, log *slog.Logger, staged []string, keys *bankkeys.Keys, p progress) (v verification, err error) {
	m, err := backup.Read(c.From)
	hasManifest := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	if err := removeAll(staged); err != nil { // of a restore that was broken off
		return v, err
	}
	files, err := copyFolder(ctx, p, "copying", c.From, staged)
	if err != nil {
		return v, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeAll(staged))
		}
	}()
	if hasManifest {
		v.Backup, v.Files = &m.Time, len(files)
		v.Problems = backup.Diff(m.Files, files)
	}
	err = v.checkLedger(ctx, log, staged[0], staged[1:], "", keys, p)
	return v, err
}

// report says what an operator must know.
func (c *ledgerRestoreCmd) report(w io.Writer, v verification, replaced []string) error {
	when := "the backup"
	if v.Backup != nil {
		when = fmt.Sprintf("the backup of %s (%s ago)", v.Backup.Format(time.RFC3339), time.Since(*v.Backup).Round(time.Minute))
	} else {
		fmt.Fprintln(w, "The backup has no manifest: that it is whole was told from its own checksums.")
	}
	fmt.Fprintf(w, "%s now is the ledger of %s: %d accounts, %d live coins.\n", c.Dir.ledger(), when, v.Accounts, v.Live)
	for _, dir := range replaced {
		fmt.Fprintf(w, "What was there is kept as %s.\n", dir)
	}
	_, err := fmt.Fprintf(w, `What happened after the backup is forgotten:
  - coins redeemed or refunded since ARE LIVE AGAIN: who has them can spend them a second time
  - coins withdrawn since are unknown: nobody can spend them, and their price is back on the accounts
  - credit earned, granted or refunded since is gone, and payouts made since can be asked for again
  - accounts opened since are unknown, and keys removed since ARE TRUSTED AGAIN
Before clients reach it: ecoin audit --dir %s%s, then reconcile as docs/OPERATIONS.md says under "Restore".
`, c.Dir, diskFlags(c.Disk))
	return err
}

// diskFlags returns the flags that name disks, each after a space.
func diskFlags(disks []string) (flags string) {
	for _, d := range disks {
		flags += " --disk " + d
	}
	return flags
}
