package main

import (
	"context"
	"encoding/json"
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

type ledgerVerifyCmd struct {
	Folder  string   `arg:"" optional:"" help:"Ledger or backup. Default: the ledger in --dir."`
	Dir     bankDir  `help:"Folder of the bank, whose keys must belong to the ledger; without keys in it they are not checked." default:"${dir}"`
	Disk    []string `help:"As for the bank, for a ledger on several disks. A backup of one has all of them in it." placeholder:"DIR" sep:"none"`
	Scratch string   `help:"Folder for a copy to work on; must not exist, and is removed. Default: FOLDER.verify, where tables cost no space." placeholder:"FOLDER"`
	JSON    bool     `name:"json" help:"Print JSON."`
}

// verification is what verify and restore found.
type verification struct {
	OK       bool       `json:"ok"`
	Problems []string   `json:"problems"` // what is wrong; empty when OK
	Damaged  []int      `json:"damaged"`  // shards with coins that cannot be read
	Backup   *time.Time `json:"backup"`   // of the manifest; null without one
	Files    int        `json:"files"`    // checked against the manifest
	Tables   int        `json:"tables"`   // read block by block
	Bytes    int64      `json:"bytes"`    // in them
	Keys     bool       `json:"keys"`     // the bank's keys were there to be checked
	Accounts int        `json:"accounts"`
	Live     int64      `json:"live"`
	Returned int64      `json:"returned"`
	Pending  int64      `json:"pending"` // without keys the number that would be right
	Granted  int64      `json:"granted"`
	Balances int64      `json:"balances"`
}

func (c *ledgerVerifyCmd) Run(ctx context.Context, log *slog.Logger, std streams) error {
	folder := c.Folder
	if folder == "" {
		folder = c.Dir.ledger()
	}
	// A mount point or a symbolic link may be named: the scratch folder is beside what
	// it stands for.
	folder, err := filepath.Abs(folder)
	if err == nil {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return err
	}
	keys, err := c.keys()
	if err != nil {
		return err
	}
	p := newProgress(std.err)
	var v verification
	if err := v.checkManifest(ctx, folder, p); err != nil {
		return err
	}
	if err := v.checkLedger(ctx, log, folder, c.Disk, c.Scratch, keys, p); err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(std.out).Encode(v)
	} else {
		err = v.print(std.out)
	}
	if err == nil && !v.OK {
		err = exitCode(1)
	}
	return err
}

// keys returns the bank's keys, nil without any.
func (c *ledgerVerifyCmd) keys() (*bankkeys.Keys, error) {
	if _, err := os.Stat(c.Dir.keys()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return bankkeys.Open(c.Dir.keys(), "", "")
}

// checkManifest compares the files of folder with its manifest, if it has one.
func (v *verification) checkManifest(ctx context.Context, folder string, p progress) error {
	m, err := backup.Read(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	total, err := backup.Size(folder)
	if err != nil {
		return err
	}
	p.begin("manifest", total, "")
	files, err := backup.Hash(ctx, folder, p.add)
	p.end()
	if err != nil {
		return err
	}
	v.Backup, v.Files = &m.Time, len(files)
	v.Problems = append(v.Problems, backup.Diff(m.Files, files)...)
	return nil
}

// checkLedger reads everything and sums up.
func (v *verification) checkLedger(ctx context.Context, log *slog.Logger, folder string, disks []string, scratch string, keys *bankkeys.Keys, p progress) error {
	o := ledger.VerifyOptions{Disks: disks, Scratch: scratch, Logger: log}
	if v.Keys = keys != nil; v.Keys {
		o.Mint = keys.Mint.AppendFingerprints
	}
	step, last := "", int64(0)
	o.Progress = func(now string, done, total int64) {
		if now != step {
			if step != "" {
				p.end()
			}
			p.begin(now, total, "")
			step, last = now, 0
		}
		p.add(done - last)
		last = done
	}
	found, err := ledger.Verify(ctx, folder, o)
	if step != "" {
		p.end()
	}
	if err != nil {
		return err
	}
	a := found.Audit
	v.Problems = append(append([]string{}, v.Problems...), found.Problems...)
	v.Damaged = append([]int{}, a.Damaged...)
	v.Tables, v.Bytes, v.OK = found.Tables, found.Bytes, len(v.Problems) == 0
	v.Accounts, v.Live, v.Returned, v.Pending, v.Granted, v.Balances = a.Accounts, a.Live, a.Returned, a.Pending, a.Granted, a.Balances
	return nil
}

func (v *verification) print(w io.Writer) error {
	if v.Backup != nil {
		fmt.Fprintf(w, "backup of %s: %d files compared with its manifest\n", v.Backup.Format(time.RFC3339), v.Files)
	}
	fmt.Fprintf(w, "%d tables with %s read block by block\n", v.Tables, size(v.Bytes))
	fmt.Fprintf(w, "%d accounts; granted %d = balances %d + live %d + returned %d + under way %d\n", v.Accounts, v.Granted, v.Balances, v.Live, v.Returned, v.Pending)
	if !v.Keys {
		fmt.Fprintln(w, "no keys here: whether they belong to this ledger was not checked")
	}
	for _, p := range v.Problems {
		fmt.Fprintf(w, "WRONG: %s\n", p)
	}
	if len(v.Damaged) > 0 {
		fmt.Fprintf(w, "damaged shards: %v\n", v.Damaged)
	}
	verdict := "ok"
	if !v.OK {
		verdict = "NOT OK"
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}
