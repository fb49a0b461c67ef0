package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ecoin/internal/backup"
	"ecoin/ledger"
)

type ledgerBackupCmd struct {
	socketFlags
	To   string   `arg:"" help:"Folder for the copy; must not exist. On the ledger's file system it costs no space at first."`
	Copy bool     `help:"Make a copy of its own, for another disk: with every byte synced and a manifest (backup.json) by which restore and verify prove it."`
	Disk []string `help:"As for the bank, where none is running." placeholder:"DIR" sep:"none"`
}

func (c *ledgerBackupCmd) Run(ctx context.Context, log *slog.Logger, std streams) error {
	to, err := filepath.Abs(c.To) // the bank runs in a folder of its own
	if err != nil {
		return err
	}
	if !c.Copy {
		if err := c.checkpoint(ctx, log, to); err != nil {
			return err
		}
		fmt.Fprintf(std.out, "%s\nIt shares its files with the ledger: copy it off this machine. The keys are not in it: back them up apart.\n", to)
		return nil
	}
	m, err := c.copy(ctx, log, to, newProgress(std.err))
	if err != nil {
		return err
	}
	var bytes int64
	for _, f := range m.Files {
		bytes += f.Size
	}
	fmt.Fprintf(std.out, "%s\n%d files, %s, as of %s. The keys are not in it: back them up apart.\n", to, len(m.Files), size(bytes), m.Time.Format(time.RFC3339))
	return nil
}

// checkpoint has the bank that runs, or the ledger itself, make a copy with hard links.
func (c *ledgerBackupCmd) checkpoint(ctx context.Context, log *slog.Logger, to string) error {
	running, err := c.running()
	switch {
	case err != nil:
		return err
	case running:
		return c.admin().Checkpoint(ctx, to)
	}
	l, _, err := openOffline(c.Dir, c.Disk, log)
	if err != nil {
		return err
	}
	return errors.Join(l.Checkpoint(to), l.Close())
}

// copy makes a checkpoint beside the ledger, copies it, and removes it. The copy has
// its name only once it is whole.
func (c *ledgerBackupCmd) copy(ctx context.Context, log *slog.Logger, to string, p progress) (m backup.Manifest, err error) {
	if _, err := os.Lstat(to); err == nil {
		return m, fmt.Errorf("%s exists already: name a new folder", to)
	}
	dir, err := c.bank()
	if err != nil {
		return m, err
	}
	for _, own := range append([]string{filepath.Join(dir, "ledger")}, c.Disk...) {
		if in(own, to) {
			return m, ledger.ErrOwnFolder
		}
	}
	now := time.Now().UTC()
	from := filepath.Join(dir, "ledger.checkpoint-"+stamp(now))
	defer func() { err = errors.Join(err, os.RemoveAll(from)) }()
	if err := c.checkpoint(ctx, log, from); err != nil {
		return m, err
	}
	d, err := ledger.Describe(from)
	if err != nil {
		return m, err
	}
	partial := to + ".partial"
	files, err := copyFolder(ctx, p, "copying", from, []string{partial})
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: remove what a backup that was broken off has left", err)
	}
	if err != nil {
		return m, err
	}
	m = backup.Manifest{Time: now, Ledger: backup.Ledger(d), Files: files}
	err = backup.Write(partial, m)
	if err == nil {
		err = os.Rename(partial, to)
	}
	if err == nil {
		err = backup.Sync(filepath.Dir(to))
	}
	return m, err
}

// in reports whether a path is in a folder, or is that folder, by their names.
func in(folder, path string) bool {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(abs, path)
	return err == nil && filepath.IsLocal(rel)
}

// copyFolder is backup.Copy with progress.
func copyFolder(ctx context.Context, p progress, step, from string, to []string) ([]backup.File, error) {
	total, err := backup.Size(from)
	if err != nil {
		return nil, err
	}
	p.begin(step, total, "")
	defer p.end()
	return backup.Copy(ctx, from, to, p.add)
}

// stamp is a time in a file name.
func stamp(t time.Time) string { return t.UTC().Format("20060102T150405Z") }
