package ledger

import (
	"slices"
	"testing"

	"ecoin/core"
	"ecoin/internal/coins"
)

func TestCreateWith(t *testing.T) {
	t.Parallel()
	const n = 20_032
	set := coins.New(n)
	for _, indexBytes := range []int64{0, 1 << 24} {
		dir := t.TempDir()
		o := testOptions(nil)
		o.Disks = []string{t.TempDir()}
		a, err := CreateWith(dir, o, Pin{1}, set.Ascending(), nil)
		if err != nil || a.Issued != set.Len() || a.Balance() != 0 {
			t.Fatal(a, err)
		}
		o.IndexBytes = indexBytes
		l := open(t, dir, o)
		if a := mustAudit(t, l); a.Live != set.Len() || a.Granted != set.Len() {
			t.Errorf("audit: %+v", a)
		}
		an := addAccount(t, l, 0)
		var some []core.Fingerprint
		for i := int64(0); i < n; i += 7 {
			some = append(some, set.Random(i))
		}
		mustRedeem(t, l, an, some, core.Digest{}, core.StatusOK)
		mustRedeem(t, l, an, some, core.Digest{1}, core.StatusRedeemed)
		mustAudit(t, l)
		if _, err := CreateWith(dir+"/x", o, Pin{1}, slices.Values([]core.Fingerprint{{2}, {1}}), nil); err == nil {
			t.Error("coins in the wrong order were taken")
		}
	}
}
