package wire

import (
	"fmt"
	"slices"

	"ecoin/core"
)

// MaxCoinsBody is the longest body of a refund request, in bytes.
const MaxCoinsBody = MaxBatch * CoinLen

// AppendCoins appends coins back to back: the body of a withdrawal's answer and of
// a refund request. The caller wipes dst after use.
func AppendCoins(dst []byte, coins []core.Coin) []byte {
	dst = slices.Grow(dst, len(coins)*CoinLen)
	for i := range coins {
		dst = append(dst, coins[i][:]...)
	}
	return dst
}

// ParseRefundRequest copies the coins of a refund request's body, 1 to [MaxBatch],
// behind dst. The caller wipes them after use.
//
// Errors: [ErrEmpty], [ErrTooMany], or one that wraps [ErrLength] when the body does
// not hold whole coins; dst is returned unchanged then.
func ParseRefundRequest(dst []core.Coin, body []byte) ([]core.Coin, error) {
	switch {
	case len(body) == 0:
		return dst, ErrEmpty
	case len(body) > MaxCoinsBody:
		return dst, ErrTooMany
	case len(body)%CoinLen != 0:
		return dst, fmt.Errorf("%w: %d bytes, want a multiple of %d", ErrLength, len(body), CoinLen)
	}
	return parseCoins(dst, body, len(body)/CoinLen)
}

// ParseWithdrawn copies the coins of a withdrawal's answer behind dst; the body
// must hold exactly n of them. The caller wipes body and, after use, the coins. The
// error wraps [ErrLength] and leaves dst unchanged.
func ParseWithdrawn(dst []core.Coin, body []byte, n int) ([]core.Coin, error) {
	return parseCoins(dst, body, n)
}

func parseCoins(dst []core.Coin, body []byte, n int) ([]core.Coin, error) {
	if n < 0 || len(body) != n*CoinLen {
		return dst, fmt.Errorf("%w: %d bytes, want %d coins of %d", ErrLength, len(body), n, CoinLen)
	}
	dst = slices.Grow(dst, n)
	for ; len(body) > 0; body = body[CoinLen:] {
		dst = append(dst, core.Coin(body[:CoinLen]))
	}
	return dst, nil
}
