package bank

import (
	"context"
	"crypto/rand"
	"fmt"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// Withdraw debits n coins from acc, makes them live, and appends their n x 32 bytes
// to dst. The caller wipes dst after use.
//
// acc must be a collector's; n is 1 to wire.MaxWithdraw. id is the request's
// idempotency key: asked again with the same id and n, Withdraw appends the same
// coins and debits nothing, because coins are derived from the salt that the ledger
// stored with id, not from the one made for this call.
//
// Errors leave dst unchanged: ErrRole, ErrCount, ErrBusy, *RateError, and the ledger's, all wrapped; among
// these ledger.ErrInsufficient, and ledger.ErrRequestMismatch for an id that was used
// with another n.
func (b *Bank) Withdraw(ctx context.Context, acc ledger.Client, dst []byte, id ledger.RequestID, n int) ([]byte, error) {
	if err := require(acc, ledger.RoleCollector); err != nil {
		return dst, err
	}
	if n < 1 || n > wire.MaxWithdraw {
		return dst, fmt.Errorf("%w, not %d", ErrCount, n)
	}
	if err := b.room.enter(acc.ID, n); err != nil {
		return dst, fmt.Errorf("withdraw: %w", err)
	}
	defer b.room.leave(acc.ID, n)
	var fresh, counts core.Salt
	defer func() { clear(fresh[:]); clear(counts[:]) }()
	_, _ = rand.Read(fresh[:]) // never fails: crypto/rand stops the process instead

	counts, err := b.ledger.Withdraw(ctx, acc.ID, id, fresh, n)
	if err != nil {
		return dst, fmt.Errorf("withdraw: %w", err)
	}
	w := b.newBatch()
	defer b.release(w)
	w.withdrawn = b.mint.AppendCoins(resize(w.withdrawn, n)[:0], &counts, n)
	return wire.AppendCoins(dst, w.withdrawn), nil
}

// Refund consumes the coins of body for acc, which gets one credit for each that was
// live or returned, and appends one record of wire.RefundRecordLen bytes each to dst:
// status | redeemed at, unix ms | redeemer's account id, the latter two only with
// core.StatusRedeemed and while the ledger keeps the evidence.
//
// acc must be a collector's, not necessarily the one that withdrew the coins: a coin
// belongs to whoever knows it. body is 1 to wire.MaxBatch coins back to back and is
// not kept; the caller wipes it.
//
// Errors leave dst unchanged: ErrRole, ErrBusy, *RateError, wire.ErrEmpty, wire.ErrTooMany,
// wire.ErrLength, and the ledger's, all wrapped.
func (b *Bank) Refund(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
	if err := require(acc, ledger.RoleCollector); err != nil {
		return dst, err
	}
	w := b.newBatch()
	defer b.release(w)
	var err error
	// Room first: growing while coins are copied would leave them behind.
	room := resize(w.withdrawn, min(len(body)/wire.CoinLen, wire.MaxBatch))[:0]
	if w.withdrawn, err = wire.ParseRefundRequest(room, body); err != nil {
		return dst, fmt.Errorf("refund: %w", err)
	}
	if err := b.room.enter(acc.ID, len(w.withdrawn)); err != nil {
		return dst, fmt.Errorf("refund: %w", err)
	}
	defer b.room.leave(acc.ID, len(w.withdrawn))
	w.fingerprints = w.fingerprints[:0]
	for i := range w.withdrawn {
		w.fingerprints = append(w.fingerprints, b.mint.Fingerprint(&w.withdrawn[i]))
	}
	w.refunds = resize(w.refunds, len(w.withdrawn))
	for i := range w.refunds {
		w.refunds[i] = ledger.Refund{Status: core.StatusTemporary}
	}
	if err := b.ledger.Refund(ctx, acc.ID, w.fingerprints, w.refunds); err != nil {
		return dst, fmt.Errorf("refund: %w", err)
	}
	for i := range w.refunds {
		r := &w.refunds[i]
		dst = wire.AppendRefundRecord(dst, r.Status, r.At, r.Redeemer)
	}
	return dst, nil
}
