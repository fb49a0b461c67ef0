package wire

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"ecoin/core"
)

// What a parser accepts, the matching appender gives back byte for byte; with an
// error it gives nothing.

func FuzzAppendRecords(f *testing.F) {
	x, r, w := record(core.SuiteX25519, 1), record(core.SuiteRSA3072, 2), record(core.SuiteXWing, 3)
	for _, seed := range [][]byte{nil, {1}, x, r, append(bytes.Clone(x), r...), x[:50], w, append(bytes.Clone(w), x...), w[:396], bytes.Repeat(x, 3)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := AppendRecords(nil, body)
		if err != nil {
			if got != nil {
				t.Fatal("records with an error")
			}
			return
		}
		if len(got) < 1 || len(got) > MaxBatch {
			t.Fatalf("%d records", len(got))
		}
		if !bytes.Equal(bytes.Join(got, nil), body) {
			t.Fatal("the records are not the body")
		}
	})
}

func FuzzRedeemRecord(f *testing.F) {
	for st := core.StatusOK; st <= core.StatusTemporary+1; st++ {
		f.Add(AppendRedeemRecord(nil, st, secrets(1)))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, rec []byte) {
		var sec core.Secrets
		st, err := ParseRedeemRecord(rec, &sec)
		if err != nil {
			if sec != (core.Secrets{}) || st != 0 {
				t.Fatal("output with an error")
			}
			return
		}
		if !bytes.Equal(AppendRedeemRecord(nil, st, &sec), rec) {
			t.Fatal("not the same bytes again")
		}
	})
}

func FuzzRefundRecord(f *testing.F) {
	for st := core.StatusOK; st <= core.StatusTemporary+1; st++ {
		f.Add(AppendRefundRecord(nil, st, time.UnixMilli(1_700_000_000_123), [16]byte{1, 2, 3}))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, rec []byte) {
		st, at, who, err := ParseRefundRecord(rec)
		if err != nil {
			if st != 0 || !at.IsZero() || who != ([16]byte{}) {
				t.Fatal("output with an error")
			}
			return
		}
		if !bytes.Equal(AppendRefundRecord(nil, st, at, who), rec) {
			t.Fatal("not the same bytes again")
		}
	})
}

func FuzzCoins(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(make([]byte, 64), 2)
	f.Add(make([]byte, 65), -1)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		if got, err := ParseRefundRequest(nil, body); err == nil {
			if len(got) < 1 || len(got) > MaxBatch || !bytes.Equal(AppendCoins(nil, got), body) {
				t.Fatal("refund: not the same bytes again")
			}
		} else if got != nil {
			t.Fatal("refund: coins with an error")
		}
		if got, err := ParseWithdrawn(nil, body, n); err == nil {
			if len(got) != n || !bytes.Equal(AppendCoins([]byte{}, got), append([]byte{}, body...)) {
				t.Fatal("withdraw: not the same bytes again")
			}
		} else if got != nil {
			t.Fatal("withdraw: coins with an error")
		}
	})
}

func FuzzTexts(f *testing.F) {
	for _, s := range []string{"", "1", "10000", "-1", "00112233445566778899aabbccddeeff", "00112233445566778899AABBCCDDEEFG"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseIdempotencyKey(s); err == nil && FormatIdempotencyKey(id) != strings.ToLower(s) {
			t.Fatalf("idempotency key %q becomes %x", s, id)
		}
		if n, err := ParseCount(s); err == nil && (n < 1 || n > MaxWithdraw || strconv.Itoa(n) != s) {
			t.Fatalf("count %q becomes %d", s, n)
		}
	})
}
