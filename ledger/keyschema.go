package ledger

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
)

// keySchema cuts the keys of a block of a table into columns. Each column of integers
// takes 0, 1, 2, 4 or 8 bytes a key, as little as the differences to its smallest
// integer in the block need, and a column of equal integers takes none. A fingerprint
// has no more to give than what its neighbours tell of its first bits, so the first
// column is short: three bytes of it behind the kind.
//
//	column          live coin    spent coin   bytes a key
//	0  key[0:4]     'l', fp      's', window  live: 1 above rows in a block * 2^16 coins, else 2; spent: 0
//	1  key[4:12]    fp           window, fp   8
//	2  key[12:16]   fp           fp           4
//	3  key[16]      fp           fp           1
//	4  key[17:21]   -            fp           live: 0; spent: 4
//	5  key[21:]     -            -            0
//
// It holds any key. A shorter one counts as if zeros followed, and column 3 has above
// its byte how many did, which also keeps "a" and "a\x00" apart:
//
//	column 3 = key[16] | max(0, 21-len(key)) << 8
//
// The name is in every table and the layout must never change: a new layout is a new
// schema with a new name, beside this one.
var keySchema = colblk.KeySchema{
	Name:                  "ecoin.ledger.v1",
	ColumnTypes:           keyColumnTypes[:],
	NewKeyWriter:          func() colblk.KeyWriter { return newKeyWriter() },
	InitKeySeekerMetadata: initKeySeeker,
	KeySeeker: func(meta *colblk.KeySeekerMetadata) colblk.KeySeeker {
		return (*keySeeker)(unsafe.Pointer(meta))
	},
}

// defaultKeySchema is Pebble's own, which older tables have.
var defaultKeySchema = colblk.DefaultKeySchema(pebble.DefaultComparer, 16)

// useKeySchema writes tables with keySchema and reads those with either.
func useKeySchema(po *pebble.Options) {
	po.KeySchema = keySchema.Name
	po.KeySchemas = sstable.MakeKeySchemas(&keySchema, &defaultKeySchema)
}

const (
	keyUints   = 5             // columns of integers, followed by one of bytes
	keyColumns = keyUints + 1  // all of them
	keyPacked  = 4 + 8 + 4 + 5 // bytes of a key that are in integers
)

var keyColumnTypes = [keyColumns]colblk.DataType{
	colblk.DataTypeUint, colblk.DataTypeUint, colblk.DataTypeUint, colblk.DataTypeUint, colblk.DataTypeUint,
	colblk.DataTypeBytes,
}

// packedKey is a key in columns 0 to 4.
type packedKey struct {
	lead, middle, last, tail, more uint64
}

// packKey also returns what is left for column 5.
func packKey(key []byte) (p packedKey, rest []byte) {
	head, missing := key, uint64(0)
	switch {
	case len(key) >= keyPacked:
		rest = key[keyPacked:]
		p.more = uint64(binary.BigEndian.Uint32(key[17:]))
	case len(key) == liveKeyLen: // no copy for most keys there are
		missing = keyPacked - liveKeyLen
	default:
		var padded [keyPacked]byte
		missing = keyPacked - uint64(copy(padded[:], key))
		head = padded[:]
		p.more = uint64(binary.BigEndian.Uint32(head[17:]))
	}
	_ = head[16]
	p.lead = uint64(binary.BigEndian.Uint32(head))
	p.middle = binary.BigEndian.Uint64(head[4:])
	p.last = uint64(binary.BigEndian.Uint32(head[12:]))
	p.tail = missing<<8 | uint64(head[16])
	return p, rest
}

// len returns the length of the key, without the rest.
func (p *packedKey) len() int { return keyPacked - int(p.tail>>8) }

// put writes the key, without the rest, into dst, which has its length.
func (p *packedKey) put(dst []byte) {
	switch len(dst) {
	case liveKeyLen:
		p.put17(dst)
	case keyPacked:
		p.put17(dst)
		binary.BigEndian.PutUint32(dst[17:], uint32(p.more))
	default:
		var padded [keyPacked]byte
		p.put17(padded[:])
		binary.BigEndian.PutUint32(padded[17:], uint32(p.more))
		copy(dst, padded[:])
	}
}

func (p *packedKey) put17(dst []byte) {
	_ = dst[16]
	binary.BigEndian.PutUint32(dst, uint32(p.lead))
	binary.BigEndian.PutUint64(dst[4:], p.middle)
	binary.BigEndian.PutUint32(dst[12:], uint32(p.last))
	dst[16] = byte(p.tail)
}

// keyWriter collects the keys of one block after the other. One goroutine uses it.
type keyWriter struct {
	rows int
	prev []byte // the last key

	lead, middle, last, tail colblk.UintBuilder
	more                     colblk.UintBuilder // zero where not set
	rest                     colblk.RawBytesBuilder
}

func newKeyWriter() *keyWriter {
	w := new(keyWriter)
	w.lead.Init()
	w.middle.Init()
	w.last.Init()
	w.tail.Init()
	w.more.InitWithDefault()
	w.rest.Init()
	return w
}

func (w *keyWriter) Reset() {
	w.rows = 0
	for col := range keyUints {
		w.uints(col).Reset()
	}
	w.rest.Reset()
}

// uints returns the builder of a column of integers.
func (w *keyWriter) uints(col int) *colblk.UintBuilder {
	return [keyUints]*colblk.UintBuilder{&w.lead, &w.middle, &w.last, &w.tail, &w.more}[col]
}

// ComparePrev takes a whole key for its prefix, as the default comparer does.
func (w *keyWriter) ComparePrev(key []byte) colblk.KeyComparison {
	c := colblk.KeyComparison{PrefixLen: int32(len(key)), UserKeyComparison: 1}
	if w.rows == 0 {
		return c
	}
	n := commonPrefix(key, w.prev)
	c.CommonPrefixLen = int32(n)
	if n < len(key) && n < len(w.prev) {
		c.UserKeyComparison = int32(cmp.Compare(key[n], w.prev[n]))
	} else {
		c.UserKeyComparison = int32(cmp.Compare(len(key), len(w.prev)))
	}
	return c
}

// commonPrefix returns how many leading bytes a and b have in common.
func commonPrefix(a, b []byte) int {
	i, n := 0, min(len(a), len(b))
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func (w *keyWriter) WriteKey(row int, key []byte, _, _ int32) {
	p, rest := packKey(key)
	w.lead.Set(row, p.lead)
	w.middle.Set(row, p.middle)
	w.last.Set(row, p.last)
	w.tail.Set(row, p.tail)
	if p.more != 0 {
		w.more.Set(row, p.more)
	}
	w.rest.Put(rest)
	w.prev = append(w.prev[:0], key...)
	w.rows = row + 1
}

func (w *keyWriter) MaterializeKey(dst []byte, row int) []byte {
	p := packedKey{w.lead.Get(row), w.middle.Get(row), w.last.Get(row), w.tail.Get(row), w.more.Get(row)}
	var key [keyPacked]byte
	n := p.len()
	p.put(key[:n])
	return append(append(dst, key[:n]...), w.rest.UnsafeGet(row)...)
}

func (w *keyWriter) NumColumns() int                  { return keyColumns }
func (w *keyWriter) DataType(col int) colblk.DataType { return keyColumnTypes[col] }
func (w *keyWriter) FinishHeader([]byte)              {}

func (w *keyWriter) Size(rows int, offset uint32) uint32 {
	offset = w.lead.Size(rows, offset)
	offset = w.middle.Size(rows, offset)
	offset = w.last.Size(rows, offset)
	offset = w.tail.Size(rows, offset)
	offset = w.more.Size(rows, offset)
	return w.rest.Size(rows, offset)
}

func (w *keyWriter) Finish(col, rows int, offset uint32, buf []byte) uint32 {
	if col < keyUints {
		return w.uints(col).Finish(0, rows, offset, buf)
	}
	return w.rest.Finish(0, rows, offset, buf)
}

func (w *keyWriter) WriteDebug(dst io.Writer, rows int) {
	for col := range keyUints {
		fmt.Fprintf(dst, "%d: ", col)
		w.uints(col).WriteDebug(dst, rows)
		fmt.Fprintln(dst)
	}
	fmt.Fprintf(dst, "%d: ", keyUints)
	w.rest.WriteDebug(dst, rows)
	fmt.Fprintln(dst)
}
