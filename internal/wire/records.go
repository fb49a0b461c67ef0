package wire

import (
	"fmt"

	"ecoin/core"
)

// minRecordLen and maxRecordLen are the shortest and the longest record of any
// suite, in bytes: prefix[0:12] and a header of 96 (x25519) to 1184 (xwing) bytes.
const (
	minRecordLen = core.BoundLen + 96
	maxRecordLen = core.BoundLen + 1184
)

// MaxRecordsBody is the longest body of a redeem or return request, in bytes.
const MaxRecordsBody = MaxBatch * maxRecordLen

// AppendRecords cuts the body of a redeem or return request, 1 to [MaxBatch]
// records back to back, into its records, which alias body, and appends them to
// dst. On an error it returns dst unchanged.
//
// Errors: [ErrEmpty]; [ErrTooMany]; or an error that wraps core.ErrFormat and names
// the index of the record that is malformed and what is wrong with it.
func AppendRecords(dst [][]byte, body []byte) ([][]byte, error) {
	if len(body) == 0 {
		return dst, ErrEmpty
	}
	out := dst
	if out == nil {
		out = make([][]byte, 0, min(MaxBatch, (len(body)+minRecordLen-1)/minRecordLen))
	}
	for n, rest := 0, body; len(rest) > 0; n++ {
		if n == MaxBatch {
			return dst, ErrTooMany
		}
		record, tail, err := core.CutRecord(rest)
		if err != nil {
			return dst, fmt.Errorf("record %d (at byte %d): %w", n, len(body)-len(rest), err)
		}
		out = append(out, record)
		rest = tail
	}
	return out, nil
}
