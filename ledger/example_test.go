package ledger_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
	"ecoin/ledger"
)

func Example() {
	mint := core.NewMint(&[32]byte{1}, &[32]byte{2}) // of secret keys, in earnest
	l, err := ledger.Open("ledger", ledger.Options{Mint: mint.AppendFingerprints, FS: vfs.NewMem()})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	ctx := context.Background()

	// The operator lets a collector and an analyst in.
	collector, err := l.AddAccount(ctx, "greenhouse", ledger.RoleCollector, ledger.Pin(sha256.Sum256([]byte("public key"))))
	if err != nil {
		log.Fatal(err)
	}
	analyst, err := l.AddAccount(ctx, "anna", ledger.RoleAnalyst, ledger.Pin(sha256.Sum256([]byte("another"))))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := l.Grant(ctx, collector.ID, 100); err != nil {
		log.Fatal(err)
	}

	// The collector withdraws three coins; salt and request id are random, in earnest.
	salt, err := l.Withdraw(ctx, collector.ID, ledger.RequestID{7}, core.Salt{42}, 3)
	if err != nil {
		log.Fatal(err)
	}
	coins := mint.AppendCoins(nil, &salt, 3)

	// The analyst redeems one of them, and tries it again under another header.
	redeem := func(d core.Digest) core.Status {
		var out [1]core.Status
		r := ledger.Redemption{Fingerprint: mint.Fingerprint(&coins[0]), Digest: d}
		if err := l.Redeem(ctx, analyst.ID, []ledger.Redemption{r}, out[:]); err != nil {
			log.Fatal(err)
		}
		return out[0]
	}
	fmt.Println(redeem(core.Digest{1}))
	fmt.Println(redeem(core.Digest{1}))
	fmt.Println(redeem(core.Digest{2}))

	audit, err := l.Audit(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(audit.OK(), audit.Granted, "granted =", audit.Balances, "in balances +", audit.Live, "live")
	// Output:
	// ok
	// redeemed before by the caller
	// already redeemed
	// true 100 granted = 98 in balances + 2 live
}
