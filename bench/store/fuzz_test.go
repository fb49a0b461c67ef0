package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"ecoin/core"
)

// counting is an engine that answers StatusOK and counts.
type counting struct {
	Engine
	coins int
}

func (e *counting) Redeem(_ context.Context, _ uint16, coins []core.Fingerprint, _ []core.Status) error {
	e.coins += len(coins)
	return nil
}

// FuzzServer sends any bytes to the server: each whole request before the first that is not
// one is answered, a byte a coin.
func FuzzServer(f *testing.F) {
	one := binary.BigEndian.AppendUint16(nil, 1)
	one = append(append(one, 0, 3), make([]byte, 16)...)
	for _, seed := range [][]byte{{}, {0}, one, one[:10], append(one, one...), {0, 0, 0, 0}, {0xff, 0xff, 0, 0}, {0, 1, 0, Accounts}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e, out := &counting{}, &bytes.Buffer{}
		err := serveConn(t.Context(), struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(in), out}, e)
		if err == nil {
			t.Error("it ends without an error")
		}
		used := 0
		for rest := in; len(rest) >= headLen; rest = in[used:] {
			n := int(binary.BigEndian.Uint16(rest))
			if n == 0 || n > maxCoins || binary.BigEndian.Uint16(rest[2:]) >= Accounts || len(rest) < headLen+16*n {
				break
			}
			used += headLen + 16*n
		}
		if want := e.coins; out.Len() != want {
			t.Errorf("%d bytes for %d coins", out.Len(), want)
		}
		if used == len(in) && !errors.Is(err, io.EOF) {
			t.Errorf("after whole requests: %v", err)
		}
	})
}

// FuzzRedisAnswer reads any bytes as the script's answer about two coins.
func FuzzRedisAnswer(f *testing.F) {
	fp := core.Fingerprint{7}
	good := "*2\r\n$0\r\n\r\n$22\r\n" + string(record(3, &fp)) + "\r\n"
	for _, seed := range []string{good, "*2\r\n$-1\r\n$-1\r\n", good[:20], "*1\r\n$0\r\n\r\n", "-ERR no\r\n", "$0\r\n\r\n", "*2\r\n$3\r\nabc\r\n$0\r\n\r\n", "*2\r\n$99999999\r\n", ":1\r\n", "+OK\r\n", "?\r\n", "\r\n", "*x\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		c := &RedisClient{in: bufio.NewReader(bytes.NewReader([]byte(in)))}
		out := []core.Status{99, 99}
		err := c.statuses(3, []core.Fingerprint{{1}, fp}, out)
		if in == good && (err != nil || out[0] != core.StatusOK || out[1] != core.StatusRedeemedBefore) {
			t.Errorf("%v, %v", out, err)
		}
		if err == nil && (out[0] > core.StatusTemporary || out[1] > core.StatusTemporary) {
			t.Errorf("no error, and the answers %v", out)
		}
	})
}

// FuzzSpent reads any bytes as a spent record.
func FuzzSpent(f *testing.F) {
	fp := core.Fingerprint{7}
	f.Add(record(3, &fp))
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := spentStatus(b, 3, &fp)
		if (err == nil) != (len(b) == 0 || len(b) == recordLen) {
			t.Errorf("%d bytes: %v, %v", len(b), st, err)
		}
		if err == nil && st == core.StatusOK {
			t.Error("a coin that is not live is redeemed")
		}
	})
}
