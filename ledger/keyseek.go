package ledger

import (
	"bytes"
	"cmp"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/sstable/colblk"
)

// keySeeker reads the keys of one block, see keySchema. It lies beside the block in the
// cache; any number of goroutines use it.
type keySeeker struct {
	lead, middle, last, tail, more colblk.UnsafeUints
	rest                           colblk.RawBytes
	rows                           int
}

// A keySeeker must fit into the memory that Pebble gives it.
const _ = uint(colblk.KeySeekerMetadataSize - unsafe.Sizeof(keySeeker{}))

func initKeySeeker(meta *colblk.KeySeekerMetadata, d *colblk.DataBlockDecoder) {
	b := d.BlockDecoder()
	*(*keySeeker)(unsafe.Pointer(meta)) = keySeeker{
		lead: b.Uints(0), middle: b.Uints(1), last: b.Uints(2), tail: b.Uints(3), more: b.Uints(4),
		rest: b.RawBytes(5),
		rows: b.Rows(),
	}
}

// compare compares the key of a row, which is there, with another.
func (s *keySeeker) compare(row int, p *packedKey, rest []byte) int {
	if c := cmp.Compare(s.lead.At(row), p.lead); c != 0 {
		return c
	}
	if c := cmp.Compare(s.middle.At(row), p.middle); c != 0 {
		return c
	}
	return s.compareEnd(row, p, rest)
}

// compareEnd is compare for keys with the same first 12 bytes. Where all bytes of the
// integers are equal, zeros behind a shorter key included, the shorter key is less.
func (s *keySeeker) compareEnd(row int, p *packedKey, rest []byte) int {
	if c := cmp.Compare(s.last.At(row), p.last); c != 0 {
		return c
	}
	tail := s.tail.At(row)
	if c := cmp.Compare(byte(tail), byte(p.tail)); c != 0 {
		return c
	}
	if c := cmp.Compare(s.more.At(row), p.more); c != 0 {
		return c
	}
	if c := cmp.Compare(p.tail>>8, tail>>8); c != 0 {
		return c
	}
	return bytes.Compare(s.rest.At(row), rest)
}

// IsLowerBound reports whether no key is less than k. A suffix that is put behind every
// key does not make one less.
func (s *keySeeker) IsLowerBound(k, _ []byte) bool {
	if s.rows == 0 {
		return true
	}
	p, rest := packKey(k)
	return s.compare(0, &p, rest) >= 0
}

// SeekGE returns the first row with a key that is not less than key, or the number of
// rows, and whether the two are equal.
func (s *keySeeker) SeekGE(key []byte, _ int, _ int8) (row int, equal bool) {
	p, rest := packKey(key)
	low, high := 0, s.rows
	for low < high {
		mid := int(uint(low+high) / 2)
		v, want := s.lead.At(mid), p.lead
		if v == want {
			v, want = s.middle.At(mid), p.middle
		}
		if v < want || v == want && s.compareEnd(mid, &p, rest) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < s.rows && s.compare(low, &p, rest) == 0
}

// MaterializeUserKey writes the key of a row behind the prefix in the buffer, whose
// length stays the prefix's.
func (s *keySeeker) MaterializeUserKey(it *colblk.PrefixBytesIter, _, row int) []byte {
	return s.materialize(it, nil, row)
}

// MaterializeUserKeyWithSyntheticSuffix is MaterializeUserKey with a suffix: as a whole
// key is its prefix, there is none to replace.
func (s *keySeeker) MaterializeUserKeyWithSyntheticSuffix(it *colblk.PrefixBytesIter, suffix []byte, _, row int) []byte {
	return s.materialize(it, suffix, row)
}

func (s *keySeeker) materialize(it *colblk.PrefixBytesIter, suffix []byte, row int) []byte {
	p := packedKey{s.lead.At(row), s.middle.At(row), s.last.At(row), s.tail.At(row), s.more.At(row)}
	start := len(it.Buf)
	end := start + p.len()
	rest := s.rest.At(row)
	key := it.Buf[:end+len(rest)+len(suffix)]
	p.put(key[start:end])
	if len(rest)+len(suffix) > 0 {
		copy(key[end+copy(key[end:], rest):], suffix)
	}
	return key
}
