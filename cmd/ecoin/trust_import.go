package main

import (
	"context"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

type trustImportCmd struct {
	socketFlags
	From   string `arg:"" help:"CSV file with a header (name, pin or cert, and perhaps role and credit), - for standard input, or a folder of NAME.crt or NAME.pem files."`
	Role   string `help:"Role of those whose line has none: collector or analyst." enum:"collector,analyst," default:""`
	Credit int64  `help:"First grant of those whose line has none." default:"0"`
}

// importRow is one account to be imported, or why it cannot be.
type importRow struct {
	where   string // for messages
	account wire.AddAccount
	err     error
}

// Run imports in steps of wire.MaxImport, each of which is done or not. Accounts that are
// there already stay as they are, so an import that was broken off is run again.
func (c *trustImportCmd) Run(ctx context.Context, std streams) error {
	rows, total, closeRows, err := c.rows()
	if err != nil {
		return err
	}
	defer closeRows()
	run := importRun{c: c, std: std, progress: newProgress(std.err)}
	run.progress.begin("import", total, "accounts")
	for row := range rows {
		if ctx.Err() != nil {
			break
		}
		if row.err != nil {
			run.refuse(row.where, row.err.Error())
			continue
		}
		if run.step = append(run.step, row); len(run.step) == wire.MaxImport {
			if err = run.send(ctx); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = errors.Join(ctx.Err(), run.send(ctx))
	}
	run.progress.end()
	fmt.Fprintf(std.out, "%d accounts added, %d were there already, %d refused\n", run.added, run.unchanged, run.refused)
	switch {
	case err != nil:
		return fmt.Errorf("%w; what was added stays, and the same import again goes on from there", err)
	case run.refused > 0:
		return exitCode(1)
	}
	return nil
}

type importRun struct {
	c        *trustImportCmd
	std      streams
	progress progress
	step     []importRow

	added, unchanged, refused int
}

// maxShownRefusals limits the lines about accounts that were refused.
const maxShownRefusals = 100

func (r *importRun) refuse(where, why string) {
	if r.refused++; r.refused <= maxShownRefusals {
		fmt.Fprintf(r.std.err, "%s: %s\n", where, why)
	} else if r.refused == maxShownRefusals+1 {
		fmt.Fprintln(r.std.err, "and more")
	}
}

// send imports what is in r.step.
func (r *importRun) send(ctx context.Context) error {
	if len(r.step) == 0 {
		return nil
	}
	accounts := make([]wire.AddAccount, len(r.step))
	for i, row := range r.step {
		accounts[i] = row.account
	}
	got, err := r.c.admin().Import(ctx, accounts)
	if err != nil {
		return err
	}
	r.added += got.Added
	r.unchanged += got.Unchanged
	for _, refused := range got.Refused {
		if refused.Index < 0 || refused.Index >= len(r.step) {
			return errors.New("the bank refuses an account that it was not asked for")
		}
		r.refuse(r.step[refused.Index].where, refused.Reason)
	}
	r.progress.add(int64(len(r.step)))
	r.step = r.step[:0]
	return nil
}

// rows returns the accounts to import and how many there are, 0 if that is not known.
func (c *trustImportCmd) rows() (rows iter.Seq[importRow], total int64, closeRows func() error, err error) {
	if c.From == "-" {
		rows, err = c.csvRows("standard input", os.Stdin)
		return rows, 0, func() error { return nil }, err
	}
	fi, err := os.Stat(c.From)
	if err != nil {
		return nil, 0, nil, err
	}
	if fi.IsDir() {
		rows, total, err = c.folderRows()
		return rows, total, func() error { return nil }, err
	}
	f, err := os.Open(c.From)
	if err != nil {
		return nil, 0, nil, err
	}
	if rows, err = c.csvRows(c.From, f); err != nil {
		return nil, 0, nil, errors.Join(err, f.Close())
	}
	return rows, 0, f.Close, nil
}

// folderRows has an account for each certificate, named as its file is.
func (c *trustImportCmd) folderRows() (iter.Seq[importRow], int64, error) {
	if c.Role == "" {
		return nil, 0, errors.New("a folder of certificates says no roles: add --role collector or --role analyst")
	}
	entries, err := os.ReadDir(c.From)
	if err != nil {
		return nil, 0, err
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		return filepath.Ext(e.Name()) != ".crt" && filepath.Ext(e.Name()) != ".pem"
	})
	return func(yield func(importRow) bool) {
		for _, e := range entries {
			path := filepath.Join(c.From, e.Name())
			row := importRow{where: path, account: wire.AddAccount{
				Name: strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), Role: c.Role, Credit: c.Credit,
			}}
			pin, err := identity.ReadPin(path)
			row.account.Pin, row.err = hex.EncodeToString(pin[:]), err
			if !yield(row) {
				return
			}
		}
	}, int64(len(entries)), nil
}

// csvRows reads the header and returns the rows behind it. Columns that an import does
// not know are passed over. Certificates are named relative to the file.
func (c *trustImportCmd) csvRows(name string, from io.Reader) (iter.Seq[importRow], error) {
	in := csv.NewReader(from)
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: no header line: %w", name, err)
	}
	at := map[string]int{}
	for i, column := range header {
		at[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(column, "\ufeff")))] = i
	}
	_, hasPin := at["pin"]
	_, hasCert := at["cert"]
	if _, ok := at["name"]; !ok || hasPin == hasCert {
		return nil, fmt.Errorf("%s: the header must have a column name, and one of pin and cert", name)
	}
	if _, ok := at["role"]; !ok && c.Role == "" {
		return nil, fmt.Errorf("%s has no column role: add one, or --role collector or --role analyst", name)
	}
	return func(yield func(importRow) bool) {
		for {
			record, err := in.Read()
			if err == io.EOF {
				return
			}
			row := importRow{where: name, err: err} // an error names its line
			if err == nil {
				line, _ := in.FieldPos(0)
				row.where = fmt.Sprintf("%s line %d", name, line)
				row.account, row.err = c.csvAccount(filepath.Dir(name), func(column string) string {
					if i, ok := at[column]; ok {
						return strings.TrimSpace(record[i])
					}
					return ""
				})
			}
			if !yield(row) {
				return
			}
		}
	}, nil
}

func (c *trustImportCmd) csvAccount(dir string, value func(column string) string) (a wire.AddAccount, err error) {
	a = wire.AddAccount{Name: value("name"), Role: value("role"), Pin: value("pin"), Credit: c.Credit}
	if a.Role == "" {
		a.Role = c.Role
	}
	if text := value("credit"); text != "" {
		if a.Credit, err = strconv.ParseInt(text, 10, 64); err != nil {
			return a, fmt.Errorf("the credit %q is no whole number", text)
		}
	}
	if cert := value("cert"); cert != "" {
		if !filepath.IsAbs(cert) {
			cert = filepath.Join(dir, cert)
		}
		pin, err := identity.ReadPin(cert)
		if err != nil {
			return a, err
		}
		a.Pin = hex.EncodeToString(pin[:])
	}
	return a, nil
}
