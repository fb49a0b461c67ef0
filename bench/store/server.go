package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"ecoin/core"
)

// A request is n u16 | account u16 | n fingerprints of 16 bytes, big-endian; its answer is n
// status bytes. One request is under way on a connection.
const (
	headLen  = 4
	maxCoins = 4096
)

// Serve answers requests on l from e until ctx ends.
func Serve(ctx context.Context, l net.Listener, e Engine) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			cancel()
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		wg.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			defer c.Close()
			_ = serveConn(ctx, c, e) // it says what is wrong by hanging up
		})
	}
}

func serveConn(ctx context.Context, c io.ReadWriter, e Engine) error {
	in := bufio.NewReaderSize(c, 32<<10)
	var coins []core.Fingerprint
	var out []core.Status
	var answer []byte
	for {
		account, err := readRequest(in, &coins)
		if err != nil {
			return err
		}
		out = append(out[:0], make([]core.Status, len(coins))...)
		if err := e.Redeem(ctx, account, coins, out); err != nil {
			return err
		}
		answer = answer[:0]
		for _, s := range out {
			answer = append(answer, byte(s))
		}
		if _, err := c.Write(answer); err != nil {
			return err
		}
	}
}

// readRequest reads a request; coins gets its coins.
func readRequest(in *bufio.Reader, coins *[]core.Fingerprint) (account uint16, err error) {
	var head [headLen]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	account = binary.BigEndian.Uint16(head[2:])
	switch {
	case n == 0 || n > maxCoins:
		return 0, fmt.Errorf("store: a request for %d coins, want 1 to %d", n, maxCoins)
	case account >= Accounts:
		return 0, fmt.Errorf("store: account %d, want 0 to %d", account, Accounts-1)
	}
	*coins = (*coins)[:0]
	for range n {
		var fp core.Fingerprint
		if _, err := io.ReadFull(in, fp[:]); err != nil {
			return 0, fmt.Errorf("store: a request ends early: %w", err)
		}
		*coins = append(*coins, fp)
	}
	return account, nil
}

// tcp is a client of [Serve].
type tcp struct {
	conn net.Conn
	buf  []byte
}

// Dial returns a client of a [Serve] at address.
func Dial(ctx context.Context, address string) (Client, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &tcp{conn: c}, nil
}

func (c *tcp) Redeem(_ context.Context, account uint16, coins []core.Fingerprint, out []core.Status) error {
	c.buf = binary.BigEndian.AppendUint16(c.buf[:0], uint16(len(coins)))
	c.buf = binary.BigEndian.AppendUint16(c.buf, account)
	for i := range coins {
		c.buf = append(c.buf, coins[i][:]...)
	}
	if _, err := c.conn.Write(c.buf); err != nil {
		return err
	}
	answer := c.buf[:len(coins)]
	if _, err := io.ReadFull(c.conn, answer); err != nil {
		return fmt.Errorf("store: the server hung up: %w", err)
	}
	for i, s := range answer {
		out[i] = core.Status(s)
	}
	return nil
}

func (c *tcp) Close() error { return c.conn.Close() }
