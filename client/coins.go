package client

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
)

// Redeemed is the bank's answer for one record. Secrets is filled with
// core.StatusOK and core.StatusRedeemedBefore and zero otherwise.
type Redeemed struct {
	Status  core.Status
	Secrets core.Secrets
}

// Refunded is the bank's answer for one coin. With core.StatusRedeemed, At says
// when the coin was redeemed and Redeemer by which account; both are zero once the
// bank no longer keeps that evidence, and with every other status.
type Refunded struct {
	Status   core.Status
	At       time.Time // UTC, to the millisecond
	Redeemer [16]byte
}

// Withdraw buys n coins, 1 to wire.MaxWithdraw, with the account's credit. id makes
// the call repeatable: choose it at random, keep it until the coins are safe, and
// ask again with the same id and n after an error that is not definite; the bank
// then gives the same coins and debits nothing. Once a call was left in doubt, only
// coins, or the refusal of an id that was used with another n (409), end the asking.
//
// The coins are secrets; the caller wipes them.
func (c *Client) Withdraw(ctx context.Context, id [16]byte, n int) ([]core.Coin, error) {
	const call = "withdraw"
	if n < 1 || n > wire.MaxWithdraw {
		return nil, badArgument(call, "%d coins: ask for 1 to %d", n, wire.MaxWithdraw)
	}
	b, err := c.caller.do(ctx, request{
		call: call, method: http.MethodPost,
		path:      wire.PathWithdraw + "?" + wire.ParamCount + "=" + strconv.Itoa(n),
		idemKey:   wire.FormatIdempotencyKey(id),
		answerLen: n * wire.CoinLen,
	})
	if err != nil {
		return nil, err
	}
	defer clear(b)
	coins, err := wire.ParseWithdrawn(make([]core.Coin, 0, n), b, n)
	if err != nil {
		return nil, malformed(call, err)
	}
	return coins, nil
}

// Redeem has the bank open 1 to wire.MaxBatch records (core.Request.AppendRecord) and
// redeem their coins for this account, an analyst's. It returns one answer per
// record, in order. Asked again, the bank answers core.StatusRedeemedBefore with the
// same secrets, as long as it keeps the spent record.
//
// The answers hold secrets; the caller wipes them.
func (c *Client) Redeem(ctx context.Context, records [][]byte) ([]Redeemed, error) {
	const call = "redeem"
	b, err := c.sendRecords(ctx, call, wire.PathRedeem, records, wire.RedeemRecordLen)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	out := make([]Redeemed, len(records))
	for i := range out {
		rec := b[i*wire.RedeemRecordLen : (i+1)*wire.RedeemRecordLen]
		if out[i].Status, err = wire.ParseRedeemRecord(rec, &out[i].Secrets); err != nil {
			clear(out)
			return nil, malformed(call, err)
		}
	}
	return out, nil
}

// Return gives back the coins of 1 to wire.MaxBatch records that this account
// redeemed and could not serve. It returns one status per record, in order:
// core.StatusOK, StatusNotLive, StatusRedeemed or StatusTemporary.
func (c *Client) Return(ctx context.Context, records [][]byte) ([]core.Status, error) {
	const call = "return"
	b, err := c.sendRecords(ctx, call, wire.PathReturn, records, wire.ReturnRecordLen)
	if err != nil {
		return nil, err
	}
	out := make([]core.Status, len(records))
	for i := range out {
		if out[i], err = wire.ParseReturnStatus(b[i]); err != nil {
			return nil, malformed(call, err)
		}
	}
	return out, nil
}

// Refund turns 1 to wire.MaxBatch coins that are live, or returned by an analyst,
// back into credit of this account, a collector's. It returns one answer per coin,
// in order. It keeps nothing of coins, and does not change them.
func (c *Client) Refund(ctx context.Context, coins []core.Coin) ([]Refunded, error) {
	const call = "refund"
	if len(coins) < 1 || len(coins) > wire.MaxBatch {
		return nil, badArgument(call, "%d coins: send 1 to %d", len(coins), wire.MaxBatch)
	}
	b, err := c.caller.do(ctx, request{
		call: call, method: http.MethodPost, path: wire.PathRefund,
		body:      wire.AppendCoins(make([]byte, 0, len(coins)*wire.CoinLen), coins),
		bodyType:  wire.TypeBinary,
		answerLen: len(coins) * wire.RefundRecordLen,
	})
	if err != nil {
		return nil, err
	}
	out := make([]Refunded, len(coins))
	for i := range out {
		r := &out[i]
		rec := b[i*wire.RefundRecordLen : (i+1)*wire.RefundRecordLen]
		if r.Status, r.At, r.Redeemer, err = wire.ParseRefundRecord(rec); err != nil {
			return nil, malformed(call, err)
		}
	}
	return out, nil
}

// sendRecords sends records back to back and returns the answer, answerLen bytes for
// each. It looks at each record first: one that is malformed would make the bank
// refuse them all.
func (c *Client) sendRecords(ctx context.Context, call, path string, records [][]byte, answerLen int) ([]byte, error) {
	if len(records) < 1 || len(records) > wire.MaxBatch {
		return nil, badArgument(call, "%d records: send 1 to %d", len(records), wire.MaxBatch)
	}
	size := 0
	for i, r := range records {
		_, rest, err := core.CutRecord(r)
		if err != nil {
			return nil, badArgument(call, "record %d: %v", i, err)
		}
		if len(rest) > 0 {
			return nil, badArgument(call, "record %d has %d bytes too many", i, len(rest))
		}
		size += len(r)
	}
	body := make([]byte, 0, size)
	for _, r := range records {
		body = append(body, r...)
	}
	return c.caller.do(ctx, request{
		call: call, method: http.MethodPost, path: path,
		body: body, bodyType: wire.TypeBinary,
		answerLen: len(records) * answerLen,
	})
}
