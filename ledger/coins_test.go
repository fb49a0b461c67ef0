package ledger

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"iter"
	"slices"
	"testing"

	"ecoin/core"
)

// bucketed is a set of n fingerprints of which each can be computed by itself: the
// space is cut into equal buckets, each with bucketSize pseudorandom ones.
type bucketed struct {
	n     int64 // a multiple of bucketSize
	block cipher.Block
}

const bucketSize = 64

func newBucketed(n int64) *bucketed {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err)
	}
	return &bucketed{n: (n + bucketSize - 1) / bucketSize * bucketSize, block: block}
}

// at returns fingerprint i, in no order within its bucket.
func (b *bucketed) at(i int64) (fp core.Fingerprint) {
	binary.BigEndian.PutUint64(fp[:], uint64(i))
	b.block.Encrypt(fp[:], fp[:])
	buckets := uint64(b.n / bucketSize)
	width := ^uint64(0)/buckets + 1 // 0 for one bucket: all of the space
	lead := binary.BigEndian.Uint64(fp[:])
	if width != 0 {
		lead = uint64(i/bucketSize)*width + lead%width
	}
	binary.BigEndian.PutUint64(fp[:], lead)
	return fp
}

// ascending yields all of them in order.
func (b *bucketed) ascending() iter.Seq[core.Fingerprint] {
	return func(yield func(core.Fingerprint) bool) {
		bucket := make([]core.Fingerprint, bucketSize)
		for i := int64(0); i < b.n; i += bucketSize {
			for k := range bucket {
				bucket[k] = b.at(i + int64(k))
			}
			slices.SortFunc(bucket, func(x, y core.Fingerprint) int {
				return slices.Compare(x[:], y[:])
			})
			for _, fp := range bucket {
				if !yield(fp) {
					return
				}
			}
		}
	}
}

func TestCreateWith(t *testing.T) {
	t.Parallel()
	const n = 20_032
	coins := newBucketed(n)
	for _, indexBytes := range []int64{0, 1 << 24} {
		dir := t.TempDir()
		o := testOptions(nil)
		o.Disks = []string{t.TempDir()}
		a, err := CreateWith(dir, o, Pin{1}, coins.ascending(), nil)
		if err != nil || a.Issued != coins.n || a.Balance() != 0 {
			t.Fatal(a, err)
		}
		o.IndexBytes = indexBytes
		l := open(t, dir, o)
		if a := mustAudit(t, l); a.Live != coins.n || a.Granted != coins.n {
			t.Errorf("audit: %+v", a)
		}
		an := addAccount(t, l, 0)
		var some []core.Fingerprint
		for i := int64(0); i < n; i += 7 {
			some = append(some, coins.at(i))
		}
		mustRedeem(t, l, an, some, core.Digest{}, core.StatusOK)
		mustRedeem(t, l, an, some, core.Digest{1}, core.StatusRedeemed)
		mustAudit(t, l)
		if _, err := CreateWith(dir+"/x", o, Pin{1}, slices.Values([]core.Fingerprint{{2}, {1}}), nil); err == nil {
			t.Error("coins in the wrong order were taken")
		}
	}
}
