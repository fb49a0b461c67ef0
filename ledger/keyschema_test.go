package ledger

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"

	"ecoin/internal/coins"
)

// awkwardKey returns one of the keys that a schema is most likely to confuse: of any
// length from 0 to 80, few different bytes, zeros or 0xff at the end, and prefixes,
// extensions and neighbours of keys that are there already.
func awkwardKey(r *rand.Rand, known [][]byte) []byte {
	if len(known) > 0 && r.IntN(3) > 0 {
		k := bytes.Clone(known[r.IntN(len(known))])
		switch r.IntN(6) {
		case 0:
			return k[:r.IntN(len(k)+1)]
		case 1:
			return append(k, make([]byte, r.IntN(5))...)
		case 2:
			return append(k, bytes.Repeat([]byte{0xff}, r.IntN(5))...)
		case 3:
			return append(k, byte(r.Uint32()))
		default:
			if len(k) > 0 {
				k[r.IntN(len(k))] += byte(r.IntN(3)) - 1
			}
			return k
		}
	}
	lengths := []int{0, 1, 2, 3, 4, 5, 11, 12, 13, 15, 16, 17, 17, 17, 18, 20, 21, 21, 22, 33, 37, r.IntN(81)}
	k := make([]byte, lengths[r.IntN(len(lengths))])
	letters := [][]byte{{0}, {0xff}, {0, 0xff}, {0, 1}, []byte(kinds), nil}[r.IntN(6)]
	for i := range k {
		k[i] = byte(r.Uint32())
		if letters != nil {
			k[i] = letters[int(k[i])%len(letters)]
		}
	}
	return k
}

// awkwardKeys returns about n of them to be stored, ascending, each once. An empty key
// may be looked for, but not stored with the default schema.
func awkwardKeys(r *rand.Rand, n int) (keys [][]byte) {
	for range n {
		if k := awkwardKey(r, keys); len(k) >= 1 && len(k) <= 80 {
			keys = append(keys, k)
		}
	}
	return distinct(keys)
}

func distinct(keys [][]byte) [][]byte {
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal)
}

// encodeBlock writes the keys into a block of a schema, and drops the last one again,
// if drop is set, as happens when a block gets too large.
func encodeBlock(schema *colblk.KeySchema, e *colblk.DataBlockEncoder, keys [][]byte, drop bool) []byte {
	if e.Schema == nil {
		e.Init(schema)
	} else {
		e.Reset()
	}
	size := e.Size()
	for i, k := range keys {
		size = e.Size()
		c := e.KeyWriter.ComparePrev(k)
		if i > 0 {
			colblk.AssertKeyCompare(pebble.DefaultComparer, k, keys[i-1], c)
		}
		e.Add(pebble.MakeInternalKey(k, 1, pebble.InternalKeyKindSet), nil, block.InPlaceValuePrefix(false), c, false)
	}
	rows := len(keys) - 1
	if !drop {
		rows, size = len(keys), e.Size()
	}
	b, _ := e.Finish(rows, size)
	return b
}

// openBlock returns an iterator over a copy of a block.
func openBlock(t testing.TB, schema *colblk.KeySchema, b []byte, tr block.IterTransforms) (*colblk.DataBlockDecoder, *colblk.DataBlockIter) {
	t.Helper()
	d, it := new(colblk.DataBlockDecoder), new(colblk.DataBlockIter)
	d.Init(schema, bytes.Clone(b))
	it.InitOnce(schema, pebble.DefaultComparer, nil) // no value is elsewhere
	if err := it.Init(d, tr); err != nil {
		t.Fatal(err)
	}
	return d, it
}

// TestKeySchemaBlock compares blocks of awkward keys with those of the default schema
// and with the keys themselves.
func TestKeySchemaBlock(t *testing.T) {
	t.Parallel()
	var ours, theirs colblk.DataBlockEncoder
	var validator colblk.DataBlockValidator
	seeds := uint64(400)
	if raceEnabled {
		seeds = 60
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		keys := awkwardKeys(r, 2+r.IntN(120))
		if len(keys) < 2 {
			continue
		}
		drop := r.IntN(2) == 0
		b := encodeBlock(&keySchema, &ours, keys, drop)
		c := encodeBlock(&defaultKeySchema, &theirs, keys, drop)
		for row, k := range keys {
			if got := ours.KeyWriter.MaterializeKey([]byte("x"), row); string(got) != "x"+string(k) {
				t.Fatalf("seed %d: key %x was written as %x", seed, k, got)
			}
		}
		if drop {
			keys = keys[:len(keys)-1]
		}
		if err := validator.Validate(b, pebble.DefaultComparer, &keySchema); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, tr := range []block.IterTransforms{
			{},
			{SyntheticPrefixAndSuffix: block.MakeSyntheticPrefixAndSuffix([]byte("prefix"), nil)},
			{SyntheticPrefixAndSuffix: block.MakeSyntheticPrefixAndSuffix(nil, []byte("suffix"))},
			{SyntheticPrefixAndSuffix: block.MakeSyntheticPrefixAndSuffix([]byte("p"), []byte("s"))},
		} {
			d, got := openBlock(t, &keySchema, b, tr)
			_, want := openBlock(t, &defaultKeySchema, c, tr)
			compareIterators(t, seed, r, keys, tr, got, want)
			if tr.NoTransforms() {
				compareSeeker(t, seed, r, keys, d)
			}
		}
	}
}

// compareIterators walks over two blocks of the same keys.
func compareIterators(t *testing.T, seed uint64, r *rand.Rand, keys [][]byte, tr block.IterTransforms, got, want *colblk.DataBlockIter) {
	t.Helper()
	// same is called after the same move of both, with whether it led to a key.
	same := func(what string, key []byte, a, b bool) {
		t.Helper()
		if a != b || a && (!bytes.Equal(got.KV().K.UserKey, want.KV().K.UserKey) || got.KV().K.Trailer != want.KV().K.Trailer) {
			t.Fatalf("seed %d: %s %x with %+v: %v %s, want %v %s, of %x", seed, what, key, tr, a, got.KV().K, b, want.KV().K, keys)
		}
	}
	for a, b := got.First() != nil, want.First() != nil; ; a, b = got.Next() != nil, want.Next() != nil {
		if same("Next", nil, a, b); !a {
			break
		}
	}
	for a, b := got.Last() != nil, want.Last() != nil; ; a, b = got.Prev() != nil, want.Prev() != nil {
		if same("Prev", nil, a, b); !a {
			break
		}
	}
	for range 100 {
		k := append(bytes.Clone(tr.SyntheticPrefix()), awkwardKey(r, keys)...)
		if r.IntN(8) == 0 {
			k = awkwardKey(r, keys)
		}
		if a, b := got.IsLowerBound(k), want.IsLowerBound(k); a != b {
			t.Fatalf("seed %d: IsLowerBound %x with %+v: %v, want %v, of %x", seed, k, tr, a, b, keys)
		}
		found := got.SeekGE(k, 0) != nil
		same("SeekGE", k, found, want.SeekGE(k, 0) != nil)
		switch {
		case !found:
		case r.IntN(3) == 0:
			same("Next after", k, got.Next() != nil, want.Next() != nil)
		case r.IntN(2) == 0:
			same("Prev after", k, got.Prev() != nil, want.Prev() != nil)
		default:
			same("NextPrefix after", k, got.NextPrefix(nil) != nil, want.NextPrefix(nil) != nil)
		}
		same("SeekLT", k, got.SeekLT(k, 0) != nil, want.SeekLT(k, 0) != nil)
	}
}

// compareSeeker compares a seeker with the keys that it should find.
func compareSeeker(t *testing.T, seed uint64, r *rand.Rand, keys [][]byte, d *colblk.DataBlockDecoder) {
	t.Helper()
	meta := new(colblk.KeySeekerMetadata)
	keySchema.InitKeySeekerMetadata(meta, d)
	s := keySchema.KeySeeker(meta)
	for range 100 {
		k := awkwardKey(r, keys)
		want, found := slices.BinarySearchFunc(keys, k, bytes.Compare)
		if row, equal := s.SeekGE(k, 0, 0); row != want || equal != found {
			t.Fatalf("seed %d: SeekGE %x: row %d, equal %v; want %d, %v, of %x", seed, k, row, equal, want, found, keys)
		}
		if got := s.IsLowerBound(k, nil); got != (want == 0) {
			t.Fatalf("seed %d: IsLowerBound %x: %v of %x", seed, k, got, keys)
		}
	}
	var it colblk.PrefixBytesIter
	it.Init(80, nil)
	for range 100 {
		row := r.IntN(len(keys))
		if got := s.MaterializeUserKey(&it, -1, row); !bytes.Equal(got, keys[row]) {
			t.Fatalf("seed %d: row %d is %x, want %x", seed, row, got, keys[row])
		}
	}
}

// TestKeySchemaEmpty covers a block without keys: Pebble writes none, but says what
// they answer.
func TestKeySchemaEmpty(t *testing.T) {
	var s keySeeker
	if row, equal := s.SeekGE([]byte("l"), 0, 0); row != 0 || equal || !s.IsLowerBound([]byte("l"), nil) {
		t.Error("an empty block has a key")
	}
}

// TestKeySchemaGolden has a block that every later program must read, and write the
// same as long as this is its schema.
func TestKeySchemaGolden(t *testing.T) {
	keys := [][]byte{
		{'c', 7},
		append([]byte("l\x00\x01\x02"), bytes.Repeat([]byte{0xaa}, 13)...),
		append([]byte("l\x00\x01\x03"), bytes.Repeat([]byte{0x55}, 13)...),
		{'m'},
		append([]byte("p"), bytes.Repeat([]byte{0x99}, 32)...),
		append([]byte("s\x00\x00\x00\x09"), bytes.Repeat([]byte{0x77}, 16)...),
	}
	golden := "" +
		"21000000" + // longest key
		"010b0006000000" + // version, 11 columns, 6 keys
		"0242000000025c000000029000000002ac00000002ba00000003d4000000" + // our columns: type, where
		"02e800000001f100000003080100000109010000010a010000" + // Pebble's columns
		"0400000007630201006c0301006c0000006d9999997000000073" + // first 4 bytes
		"080000000000000000000000aaaaaaaaaaaaaaaa5555555555555555000000000000000099999999999999997777777777777709" + // next 8
		"0400000000000000aaaaaaaa55555555000000009999999977777777" + // next 4
		"02000013aa045504001499007700" + // byte 16, and how many are missing
		"0400000000000000000000000000000000009999999977777777" + // next 4
		"0100000000000c0c999999999999999999999999" + // rest
		"800101000000000000000000000000003f00000000000000010000000000000000010100" + // Pebble's: trailers, new prefixes, values and two bitmaps
		""
	var e colblk.DataBlockEncoder
	got := hex.EncodeToString(encodeBlock(&keySchema, &e, keys, false))
	if got != golden {
		t.Errorf("block is\n%s, want\n%s", got, golden)
	}
	b, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	_, it := openBlock(t, &keySchema, b, block.IterTransforms{})
	i := 0
	for kv := it.First(); kv != nil; kv = it.Next() {
		if i >= len(keys) || !bytes.Equal(kv.K.UserKey, keys[i]) {
			t.Fatalf("key %d is %x", i, kv.K.UserKey)
		}
		i++
	}
	if i != len(keys) {
		t.Errorf("%d keys, want %d", i, len(keys))
	}
	if keySchema.Name != "ecoin.ledger.v1" || !strings.HasPrefix(defaultKeySchema.Name, "DefaultKeySchema(leveldb.BytewiseComparator,16") {
		t.Errorf("schemas are called %q and %q", keySchema.Name, defaultKeySchema.Name)
	}
}

// liveBlock returns a full block of neighbouring live coins out of n.
func liveBlock(n int64, rows int) (keys [][]byte) {
	for fp := range coins.New(n).Ascending() {
		if keys = append(keys, appendLiveKey(nil, &fp)); len(keys) == rows {
			break
		}
	}
	return keys
}

// TestKeySchemaBytes says what a key costs in a block.
func TestKeySchemaBytes(t *testing.T) {
	spent := func(keys [][]byte) [][]byte {
		out := make([][]byte, len(keys))
		for i, k := range keys {
			out[i] = append([]byte("s\x00\x00\x00\x01"), k[1:]...)
		}
		return out
	}
	for _, c := range []struct {
		name   string
		keys   [][]byte
		fields int // bytes a key in the columns of integers
	}{
		{"live, 50 M, 8 KiB", liveBlock(50_000_000, 570), 1 + 8 + 4 + 1},
		{"live, 20 M, 4 KiB", liveBlock(20_000_000, 285), 1 + 8 + 4 + 1},
		{"live, 1 M, 8 KiB", liveBlock(1_000_000, 540), 2 + 8 + 4 + 1},
		{"spent, 1 M", spent(liveBlock(1_000_000, 130)), 0 + 8 + 4 + 1 + 4},
	} {
		var e colblk.DataBlockEncoder
		over := len(encodeBlock(&keySchema, &e, c.keys, false)) - c.fields*len(c.keys)
		// 66 bytes of header; 11 columns with a byte of encoding, 3 with a smallest
		// integer; alignment; and the bits for new prefixes.
		if over < 66+11 || over > 66+11+3*8+3*7+8*(len(c.keys)/64+2) {
			t.Errorf("%s: %d bytes beside %d a key", c.name, over, c.fields)
		}
	}
}

func TestKeySchemaAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	keys := liveBlock(50_000_000, 500)
	var e colblk.DataBlockEncoder
	_, it := openBlock(t, &keySchema, encodeBlock(&keySchema, &e, keys, false), block.IterTransforms{})
	long := bytes.Repeat([]byte{'l'}, 40)
	for name, f := range map[string]func(){
		"write": func() { encodeBlock(&keySchema, &e, keys, true) },
		"seek": func() {
			if it.SeekGE(keys[77], 0) == nil || it.SeekGE(keys[2][:9], 0) == nil || it.SeekLT(long, 0) == nil {
				t.Fatal("not found")
			}
		},
		"walk": func() {
			for kv := it.First(); kv != nil; kv = it.Next() {
			}
			for kv := it.Last(); kv != nil; kv = it.Prev() {
			}
		},
	} {
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
