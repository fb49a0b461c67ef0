package bank

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// Redeem opens the records of body, consumes their coins for acc, and appends one
// record of wire.RedeemRecordLen bytes each to dst: status | coin | IV, the latter
// two zeros unless the status is core.StatusOK or core.StatusRedeemedBefore. A
// record that does not open gets core.StatusNotOpen, one that opens for a coin the
// ledger does not hold core.StatusNotLive.
//
// acc must be an analyst's. body is 1 to wire.MaxBatch records back to back and is
// not kept. The caller wipes dst after use: dst is grown once, before the first coin
// is written, so no copy is left behind.
//
// Errors leave dst unchanged and mean that nothing was redeemed, except those of the
// ledger that say otherwise: ErrRole, ErrBusy, *RateError, wire.ErrEmpty, wire.ErrTooMany,
// core.ErrFormat, and the ledger's, all wrapped.
func (b *Bank) Redeem(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
	if err := require(acc, ledger.RoleAnalyst); err != nil {
		return dst, err
	}
	w := b.newBatch()
	defer b.release(w)
	if err := b.spend(ctx, acc.ID, w, body, b.ledger.Redeem); err != nil {
		return dst, fmt.Errorf("redeem: %w", err)
	}
	dst = slices.Grow(dst, len(w.records)*wire.RedeemRecordLen)
	w.outcomes(core.StatusNotOpen, func(i int, st core.Status) {
		dst = wire.AppendRedeemRecord(dst, st, &w.secrets[i])
	})
	return dst, nil
}

// Return gives back coins that acc redeemed and could not use: acc loses the credit,
// and the collector's refund of that coin succeeds once. It appends one status byte
// per record to dst: core.StatusOK, StatusNotLive (nothing is kept of it, or the
// record does not open), StatusRedeemed (not redeemed by acc) or StatusTemporary.
//
// Arguments and errors are those of Redeem.
func (b *Bank) Return(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
	if err := require(acc, ledger.RoleAnalyst); err != nil {
		return dst, err
	}
	w := b.newBatch()
	defer b.release(w)
	if err := b.spend(ctx, acc.ID, w, body, b.ledger.Return); err != nil {
		return dst, fmt.Errorf("return: %w", err)
	}
	w.outcomes(core.StatusNotLive, func(_ int, st core.Status) {
		dst = append(dst, byte(st))
	})
	return dst, nil
}

// spend opens the records of body and gives the coins it finds to one call of the
// ledger.
func (b *Bank) spend(ctx context.Context, acc ledger.AccountID, w *batch, body []byte,
	call func(context.Context, ledger.AccountID, []ledger.Redemption, []core.Status) error) error {
	if err := w.parse(body); err != nil {
		return err
	}
	n := len(w.records)
	if err := b.room.enter(acc, n); err != nil {
		return err
	}
	defer b.room.leave(acc, n)
	b.opener.open(acc, w)
	w.found()
	if len(w.coins) == 0 {
		return nil
	}
	start := time.Now()
	err := call(ctx, acc, w.coins, w.status)
	b.stages.ledger.Observe(time.Since(start))
	return err
}
