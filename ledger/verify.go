package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// VerifyOptions configures Verify. The zero value works.
type VerifyOptions struct {
	// Mint is as in Options. Without it, as where a backup is kept apart from the
	// keys, all is checked but whether the keys belong to the ledger and which coins
	// of withdrawals under way are live.
	Mint func(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint

	// Disks are as in Options. Without any, those of a checkpoint are its own.
	Disks []string

	// Scratch is a folder for the copy to work on, which must not exist and is removed
	// in the end. "" means the name of each disk's folder with ".verify" behind it: on
	// the same file system it takes little space, because tables are linked.
	Scratch string

	// Progress is called as each step goes on, with the bytes that it has read and
	// those that it will read; 0 of 0 means that nobody knows. It may be nil.
	Progress func(step string, done, total int64)

	Logger *slog.Logger // nil means slog.Default()
	FS     vfs.FS       // nil means the operating system's
}

// Verification is what Verify found.
type Verification struct {
	Description
	Tables   int      // files with coins
	Bytes    int64    // in them
	Problems []string // the audit's among them; empty when all is well
	Audit    Audit    // zero if the ledger does not open
}

// Description tells ledgers apart.
type Description struct {
	Format int    // of the store
	Shards int    // parts that commit independently
	Disks  int    // folders
	Keys   string // of the bank's keys, which it does not reveal; hexadecimal
}

func (m meta) describe() Description {
	return Description{Format: int(m.format), Shards: m.shards, Disks: m.disks, Keys: hex.EncodeToString(m.mint[:])}
}

// Verify reads everything of a ledger that nobody works with, a checkpoint for example,
// and changes nothing of it: the checksum of every block of every table, then, on a
// copy, whether it opens, the order of its records, and an audit. What is wrong is in
// Problems. An error means that there was no verification; ctx can break it off.
func Verify(ctx context.Context, dir string, o VerifyOptions) (v Verification, err error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	dirs := append([]string{dir}, o.Disks...)
	if len(o.Disks) == 0 {
		dirs = append(dirs, parts(o.FS, dir)...)
	}
	if err := distinctFolders(o.FS, dirs); err != nil {
		return v, err
	}
	for _, d := range dirs {
		if desc, err := pebble.Peek(d, o.FS); err != nil || !desc.Exists {
			return v, errors.Join(fmt.Errorf("ledger: %s holds no ledger", d), err)
		}
	}
	for _, d := range dirs {
		if _, err := o.FS.Stat(o.FS.PathJoin(d, "LOCK")); err == nil { // a checkpoint has none, and gets none
			lock, err := lockDir(d, o.FS)
			if err != nil {
				return v, err
			}
			defer func() { err = errors.Join(err, lock.Close()) }()
		}
	}
	options, err := (Options{
		Mint: o.Mint, keyless: o.Mint == nil, FS: o.FS, Logger: o.Logger,
		BallastBytes: -1, MinFreeBytes: 1,
		tune: func(po *pebble.Options) { po.DisableAutomaticCompactions = true },
	}).withDefaults()
	if err != nil {
		return v, err
	}
	if err := v.checkTables(ctx, dirs, options, o.Progress); err != nil {
		return v, err
	}
	copies, names, err := makeScratch(ctx, dirs, o)
	defer func() {
		for _, c := range copies {
			err = errors.Join(err, o.FS.RemoveAll(c))
		}
	}()
	if err != nil {
		return v, err
	}
	options.Disks = copies[1:]
	o.Progress("records", 0, 0)
	err = v.checkRecords(ctx, copies[0], options, names)
	return v, err
}

// Lock keeps every other process from opening the ledger in dir until it is closed.
func Lock(dir string) (io.Closer, error) { return lockDir(dir, vfs.Default) }

func lockDir(dir string, fs vfs.FS) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, fmt.Errorf("ledger: %s cannot be locked; is another process using it? %w", dir, err)
	}
	return lock, nil
}

// Describe reads the description of the ledger in dir, which nobody works with.
func Describe(dir string) (d Description, err error) {
	o, err := (Options{keyless: true}).withDefaults()
	if err != nil {
		return d, err
	}
	cache := pebble.NewCache(1 << 20)
	defer cache.Unref()
	po := pebbleOptions(o, cache, nil, &storeLog{logger: o.Logger, fatal: o.Fatal})
	po.ReadOnly = true
	db, err := pebble.Open(dir, po)
	if err != nil {
		return d, fmt.Errorf("ledger: open %s: %w", dir, err)
	}
	m, found, err := get(db, metaKey(), decodeMeta)
	if err == nil && !found {
		err = errors.New("it holds no ledger")
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return d, fmt.Errorf("ledger: open %s: %w", dir, err)
	}
	return m.describe(), nil
}

func (v *Verification) problem(format string, args ...any) {
	line, _, _ := strings.Cut(fmt.Sprintf(format, args...), "\n") // Pebble's errors have more
	v.Problems = append(v.Problems, line)
}

// tablesOf returns the names and sizes of the tables in dir.
func tablesOf(fs vfs.FS, dir string) (names []string, sizes []int64, total int64, err error) {
	all, err := fs.List(dir)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("ledger: list %s: %w", dir, err)
	}
	for _, name := range all {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return nil, nil, 0, fmt.Errorf("ledger: %w", err)
		}
		names, sizes, total = append(names, name), append(sizes, info.Size()), total+info.Size()
	}
	return names, sizes, total, nil
}

func (v *Verification) checkTables(ctx context.Context, dirs []string, o Options, progress func(string, int64, int64)) error {
	cache := pebble.NewCache(1 << 20)
	defer cache.Unref()
	po := pebbleOptions(o, cache, nil, &storeLog{logger: o.Logger, fatal: o.Fatal})
	po.EnsureDefaults()
	type table struct {
		path, name string
		size       int64
	}
	var tables []table
	var total int64
	for i, d := range dirs {
		names, sizes, bytes, err := tablesOf(o.FS, d)
		if err != nil {
			return err
		}
		total += bytes
		for j, name := range names {
			t := table{o.FS.PathJoin(d, name), name, sizes[j]}
			if i > 0 { // the disks have files of the same names
				t.name = strings.TrimPrefix(t.path, dirs[0]+"/")
			}
			tables = append(tables, t)
		}
	}
	for _, t := range tables {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		progress("blocks", v.Bytes, total)
		if err := checkTable(ctx, o.FS, t.path, po.MakeReaderOptions()); err != nil {
			// A reader alone does not know the number of its file.
			v.problem("file %s: %s", t.name, strings.TrimPrefix(err.Error(), "pebble: file 000000: "))
		}
		v.Tables++
		v.Bytes += t.size
	}
	progress("blocks", v.Bytes, total)
	return nil
}

// checkTable reads every block of a table.
func checkTable(ctx context.Context, fs vfs.FS, path string, o sstable.ReaderOptions) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(ctx, readable, o)
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

// makeScratch copies every disk to work on, and returns the folders of the copies, those
// to remove after an error, and what replaces their names by those of the originals.
func makeScratch(ctx context.Context, dirs []string, o VerifyOptions) (copies []string, names *strings.Replacer, err error) {
	var pairs []string
	for i, d := range dirs {
		to := d + ".verify"
		switch {
		case o.Scratch != "":
			to = partDir(o.FS, o.Scratch, i)
		case len(o.Disks) == 0: // in the first copy, which is beside its folder
			to = partDir(o.FS, dirs[0]+".verify", i)
		}
		if _, err := o.FS.Stat(to); err == nil || !errors.Is(err, os.ErrNotExist) {
			return copies, nil, fmt.Errorf("ledger: %s is in the way of the copy to verify: remove it, or name another folder: %w", to, errors.Join(err, os.ErrExist))
		}
		copies = append(copies, to)
		pairs = append([]string{to, d}, pairs...) // a later one may be in the first
		if err := copyStore(ctx, d, to, o); err != nil {
			return copies, nil, err
		}
	}
	return copies, strings.NewReplacer(pairs...), nil
}

// copyStore copies dir with its log. Tables never change and are linked, or copied
// where that fails; everything else is copied, because opening the copy may write into
// it.
func copyStore(ctx context.Context, dir, to string, o VerifyOptions) error {
	if err := o.FS.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("ledger: make a copy to verify: %w", err)
	}
	o.Progress("copy", 0, 0)
	names, err := o.FS.List(dir)
	if err != nil {
		return fmt.Errorf("ledger: list %s: %w", dir, err)
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		from := o.FS.PathJoin(dir, name)
		if info, err := o.FS.Stat(from); err == nil && info.IsDir() {
			if name == redoName {
				if err := copyStore(ctx, from, o.FS.PathJoin(to, name), o); err != nil {
					return err
				}
			}
			continue
		}
		if name == "LOCK" || name == ballastName || name == ballastNewName {
			continue
		}
		copyFile := vfs.Copy
		if strings.HasSuffix(name, ".sst") {
			copyFile = vfs.LinkOrCopy
		}
		if err := copyFile(o.FS, from, o.FS.PathJoin(to, name)); err != nil {
			return fmt.Errorf("ledger: make a copy to verify: %w", err)
		}
	}
	return nil
}

// checkRecords opens the copy in dir and reads every record.
func (v *Verification) checkRecords(ctx context.Context, dir string, o Options, names *strings.Replacer) (err error) {
	l, m, err := openLedger(dir, o)
	if err != nil {
		v.problem("%s", names.Replace(err.Error()))
		return nil
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	v.Description = m.describe()
	for _, s := range l.stores {
		if err := s.db.CheckLevels(nil); err != nil {
			v.problem("order of the records: %s", names.Replace(err.Error()))
		}
	}
	if v.Audit, err = l.Audit(ctx); err != nil {
		return err
	}
	for _, p := range v.Audit.Problems {
		v.problem("%s", p)
	}
	return nil
}
