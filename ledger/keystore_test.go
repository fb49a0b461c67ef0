package ledger

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// schemaStore is a Pebble with the options of a ledger but for tiny blocks, files and
// levels, in memory, that writes its tables with one schema and reads any.
type schemaStore struct {
	t    testing.TB
	fs   vfs.FS
	db   *pebble.DB
	snap *pebble.Snapshot
}

func openSchemaStore(t testing.TB, schema *colblk.KeySchema) *schemaStore {
	s := &schemaStore{t: t, fs: vfs.NewMem()}
	s.open(schema)
	t.Cleanup(s.close)
	return s
}

func (s *schemaStore) open(schema *colblk.KeySchema) {
	s.t.Helper()
	o := testOptions(s.fs)
	log := &storeLog{logger: quietLog, fatal: func(err error) { panic(err) }}
	o.tune = func(po *pebble.Options) {
		po.KeySchema = schema.Name
		po.CompactionConcurrencyRange = func() (int, int) { return 1, 1 }
		po.MemTableSize = 64 << 10
		po.L0CompactionThreshold = 2
		po.LBaseMaxBytes = 4 << 10
		for i := range po.Levels {
			po.Levels[i].BlockSize = 256
			po.Levels[i].IndexBlockSize = 512
			po.TargetFileSizes[i] = 2 << 10
		}
	}
	cache := pebble.NewCache(1 << 20)
	defer cache.Unref()
	db, err := pebble.Open("db", pebbleOptions(o, cache, nil, log))
	if err != nil {
		s.t.Fatal(err)
	}
	s.db = db
}

func (s *schemaStore) release() {
	if s.snap != nil {
		s.check(s.snap.Close())
		s.snap = nil
	}
}

func (s *schemaStore) close() {
	s.release()
	if s.db != nil {
		s.check(s.db.Close())
		s.db = nil
	}
}

func (s *schemaStore) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// schemas returns how many tables there are of each schema.
func (s *schemaStore) schemas() map[string]int {
	s.t.Helper()
	levels, err := s.db.SSTables(pebble.WithProperties())
	s.check(err)
	n := make(map[string]int)
	for _, level := range levels {
		for _, table := range level {
			n[table.Properties.KeySchemaName]++
		}
	}
	return n
}

// schemaRun does the same, drawn from r, to a store with keySchema, to one with
// Pebble's, and to a map.
type schemaRun struct {
	t            testing.TB
	r            *rand.Rand
	keys         [][]byte // what operations choose from
	ours, theirs *schemaStore
	want, old    map[string]string // what is in the stores now, and in the snapshot
}

func newSchemaRun(t testing.TB, r *rand.Rand, keys [][]byte) *schemaRun {
	return &schemaRun{
		t: t, r: r, keys: keys, want: make(map[string]string),
		ours: openSchemaStore(t, &keySchema), theirs: openSchemaStore(t, &defaultKeySchema),
	}
}

func (x *schemaRun) both(f func(s *schemaStore)) { f(x.ours); f(x.theirs) }

func (x *schemaRun) key() []byte { return x.keys[x.r.IntN(len(x.keys))] }

// anyKey returns a key that may be in the stores or not. It is not empty, because with
// the race detector Pebble looks at the first byte.
func (x *schemaRun) anyKey() []byte {
	for {
		if k := awkwardKey(x.r, x.keys); len(k) > 0 {
			return k
		}
	}
}

// span returns two keys in order.
func (x *schemaRun) span() (low, high []byte) {
	low, high = x.anyKey(), x.anyKey()
	if bytes.Compare(low, high) > 0 {
		low, high = high, low
	}
	return low, high
}

// step changes something.
func (x *schemaRun) step() {
	switch n := x.r.IntN(100); {
	case n < 60: // a batch
		b, c := x.ours.db.NewBatch(), x.theirs.db.NewBatch()
		for range 1 + x.r.IntN(60) {
			k := x.key()
			if x.r.IntN(3) == 0 {
				x.ours.check(b.Delete(k, nil))
				x.theirs.check(c.Delete(k, nil))
				delete(x.want, string(k))
				continue
			}
			v := fmt.Appendf(nil, "%.*s", x.r.IntN(3)*x.r.IntN(20), "a value of some length")
			x.ours.check(b.Set(k, v, nil))
			x.theirs.check(c.Set(k, v, nil))
			x.want[string(k)] = string(v)
		}
		x.ours.check(b.Commit(pebble.NoSync))
		x.theirs.check(c.Commit(pebble.NoSync))
	case n < 66:
		low, high := x.span()
		x.both(func(s *schemaStore) { s.check(s.db.DeleteRange(low, high, pebble.NoSync)) })
		maps.DeleteFunc(x.want, func(k, _ string) bool { return k >= string(low) && k < string(high) })
	case n < 84:
		x.both(func(s *schemaStore) { s.check(s.db.Flush()) })
	case n < 90:
		x.both(func(s *schemaStore) { s.release(); s.snap = s.db.NewSnapshot() })
		x.old = maps.Clone(x.want)
	case n < 94:
		x.both((*schemaStore).release)
		x.old = nil
	case n < 98:
		x.compact()
	default:
		x.reopen(&keySchema)
	}
}

func (x *schemaRun) compact() {
	x.both(func(s *schemaStore) {
		s.check(s.db.Compact(ctx, []byte{0}, bytes.Repeat([]byte{0xff}, 100), false))
		s.check(s.db.CheckLevels(nil))
	})
}

// reopen lets our store go on with a schema.
func (x *schemaRun) reopen(schema *colblk.KeySchema) {
	x.both((*schemaStore).close)
	x.old = nil
	x.ours.open(schema)
	x.theirs.open(&defaultKeySchema)
}

// compare reads everything, and walks about.
func (x *schemaRun) compare() {
	x.t.Helper()
	x.compareReaders(x.ours.db, x.theirs.db, x.want)
	if x.old != nil {
		x.compareReaders(x.ours.snap, x.theirs.snap, x.old)
	}
}

func (x *schemaRun) compareReaders(ours, theirs pebble.Reader, want map[string]string) {
	x.t.Helper()
	for _, filters := range []bool{false, true} {
		o := &pebble.IterOptions{UseL6Filters: filters}
		x.compareIterators(ours, theirs, o, want)
		o.LowerBound, o.UpperBound = x.span()
		x.compareIterators(ours, theirs, o, nil)
	}
}

// compareIterators moves two iterators in every way. want, if not nil, is all they see.
func (x *schemaRun) compareIterators(ours, theirs pebble.Reader, o *pebble.IterOptions, want map[string]string) {
	x.t.Helper()
	a, err := ours.NewIter(o)
	x.ours.check(err)
	b, err := theirs.NewIter(o)
	x.theirs.check(err)
	defer func() {
		x.ours.check(a.Close())
		x.theirs.check(b.Close())
	}()
	same := func(what string, key []byte, got, want bool) bool {
		x.t.Helper()
		if got != want || got && (!bytes.Equal(a.Key(), b.Key()) || !bytes.Equal(a.Value(), b.Value())) {
			x.t.Fatalf("%s %x within %x to %x: %v %x = %q, want %v %x = %q", what, key, o.LowerBound, o.UpperBound,
				got, a.Key(), a.Value(), want, b.Key(), b.Value())
		}
		return got
	}
	var all []string
	for ok := same("First", nil, a.First(), b.First()); ok; ok = same("Next", nil, a.Next(), b.Next()) {
		all = append(all, string(a.Key()))
		if v, found := want[string(a.Key())]; want != nil && (!found || v != string(a.Value())) {
			x.t.Fatalf("there is %x = %q, want %q, %v", a.Key(), a.Value(), v, found)
		}
	}
	if want != nil && !slices.Equal(all, slices.Sorted(maps.Keys(want))) {
		x.t.Fatalf("%d keys, want %d", len(all), len(want))
	}
	for ok := same("Last", nil, a.Last(), b.Last()); ok; ok = same("Prev", nil, a.Prev(), b.Prev()) {
		if k := all[len(all)-1]; k != string(a.Key()) {
			x.t.Fatalf("Prev came to %x, want %x", a.Key(), k)
		}
		all = all[:len(all)-1]
	}
	if len(all) > 0 {
		x.t.Fatalf("Prev came not to %x", all)
	}
	for range 40 {
		k := x.anyKey()
		var ok bool
		switch x.r.IntN(3) {
		case 0:
			ok = same("SeekGE", k, a.SeekGE(k), b.SeekGE(k))
		case 1:
			ok = same("SeekLT", k, a.SeekLT(k), b.SeekLT(k))
		default:
			if o.LowerBound != nil && (bytes.Compare(k, o.LowerBound) < 0 || bytes.Compare(k, o.UpperBound) >= 0) {
				continue // Pebble allows it only within the bounds
			}
			ok = same("SeekPrefixGE", k, a.SeekPrefixGE(k), b.SeekPrefixGE(k))
			if v, found := want[string(k)]; want != nil && (ok != found || ok && (v != string(a.Value()) || !bytes.Equal(k, a.Key()))) {
				x.t.Fatalf("SeekPrefixGE %x: %v, want %v", k, ok, found)
			}
			if ok {
				same("Next after SeekPrefixGE", k, a.Next(), b.Next())
			}
			continue
		}
		for range x.r.IntN(4) {
			switch {
			case !ok:
			case x.r.IntN(3) == 0:
				ok = same("Prev after", k, a.Prev(), b.Prev())
			case x.r.IntN(2) == 0:
				ok = same("NextPrefix after", k, a.NextPrefix(), b.NextPrefix())
			default:
				ok = same("Next after", k, a.Next(), b.Next())
			}
		}
	}
}

// TestKeySchemaStore does all that can be done to stores of awkward keys.
func TestKeySchemaStore(t *testing.T) {
	t.Parallel()
	seeds, steps := uint64(12), 60
	if raceEnabled {
		seeds, steps = 2, 15
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 2))
			x := newSchemaRun(t, r, awkwardKeys(r, 600))
			for range steps {
				x.step()
				x.compare()
			}
			x.both((*schemaStore).release)
			x.old = nil
			x.both(func(s *schemaStore) { s.check(s.db.Flush()) })
			x.compact()
			x.compare()
			if n := x.ours.schemas(); n[keySchema.Name] == 0 || len(n) != 1 {
				t.Errorf("tables by schema: %v", n)
			}
			if n := x.theirs.schemas(); n[defaultKeySchema.Name] == 0 || len(n) != 1 {
				t.Errorf("tables to compare with by schema: %v", n)
			}
		})
	}
}

// TestKeySchemaOldTables opens stores whose tables have Pebble's schema, as those of
// older programs do, and goes on with ours: tables of both are read side by side.
func TestKeySchemaOldTables(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 3))
	x := newSchemaRun(t, r, awkwardKeys(r, 600))
	fill := func() {
		for range 10 {
			x.step()
		}
		x.both(func(s *schemaStore) { s.check(s.db.Flush()) })
		x.compare()
	}
	x.reopen(&defaultKeySchema)
	for range 8 {
		b, c := x.ours.db.NewBatch(), x.theirs.db.NewBatch()
		for range 100 {
			k := x.key()
			x.ours.check(b.Set(k, nil, nil))
			x.theirs.check(c.Set(k, nil, nil))
			x.want[string(k)] = ""
		}
		x.ours.check(b.Commit(pebble.NoSync))
		x.theirs.check(c.Commit(pebble.NoSync))
	}
	x.both(func(s *schemaStore) { s.check(s.db.Flush()) })
	if n := x.ours.schemas(); n[defaultKeySchema.Name] == 0 || n[keySchema.Name] > 0 {
		t.Fatalf("tables by schema: %v", n)
	}
	x.reopen(&keySchema)
	x.compare()
	if n := x.ours.schemas(); n[keySchema.Name] > 0 {
		t.Fatalf("tables by schema after a start: %v", n)
	}
	k := append([]byte("l"), bytes.Repeat([]byte{5}, 16)...)
	x.both(func(s *schemaStore) {
		s.check(s.db.Set(k, nil, pebble.NoSync))
		s.check(s.db.Flush())
	})
	x.want[string(k)] = ""
	if n := x.ours.schemas(); n[keySchema.Name] == 0 || n[defaultKeySchema.Name] == 0 {
		t.Fatalf("tables by schema after a flush: %v", n)
	}
	x.compare()
	fill()
}

// TestKeySchemaIngest lets a store take a table of each schema.
func TestKeySchemaIngest(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 4))
	x := newSchemaRun(t, r, awkwardKeys(r, 600))
	x.both(func(s *schemaStore) {
		half := len(x.keys) / 2
		s.table("one.sst", &keySchema, x.keys[:half])
		s.table("two.sst", &defaultKeySchema, x.keys[half:])
		s.check(s.db.Ingest(ctx, []string{"one.sst", "two.sst"}))
	})
	for _, k := range x.keys {
		x.want[string(k)] = ""
	}
	x.compare()
	for range 20 {
		x.step()
	}
	x.compare()
}

// table writes keys into a file of the store's file system.
func (s *schemaStore) table(path string, schema *colblk.KeySchema, keys [][]byte) {
	s.t.Helper()
	f, err := s.fs.Create(path, "ecoin-tables")
	s.check(err)
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), sstable.WriterOptions{TableFormat: s.db.TableFormat(), KeySchema: schema, BlockSize: 256})
	for _, k := range keys {
		s.check(w.Set(k, nil))
	}
	s.check(w.Close())
}

// FuzzKeySchema has keys from the fuzzer among awkward ones: each is a length and then
// its bytes.
func FuzzKeySchema(f *testing.F) {
	f.Add(uint64(1), []byte("\x01m\x02c\x00\x11l0123456789abcdef\x15s\x00\x00\x00\x010123456789abcdef"))
	f.Add(uint64(2), []byte("\x01\x00\x02\x00\x00\x03\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add(uint64(3), bytes.Repeat([]byte{0xff}, 200))
	f.Fuzz(func(t *testing.T, seed uint64, raw []byte) {
		r := rand.New(rand.NewPCG(seed, 5))
		var keys [][]byte
		for len(raw) > 1 && len(keys) < 300 {
			n := min(1+int(raw[0])%80, len(raw)-1)
			keys = append(keys, raw[1:1+n])
			raw = raw[1+n:]
		}
		for range 50 {
			if k := awkwardKey(r, keys); len(k) >= 1 && len(k) <= 80 {
				keys = append(keys, k)
			}
		}
		keys = distinct(keys)
		x := newSchemaRun(t, r, keys)
		for range 12 {
			x.step()
		}
		x.compare()
	})
}
