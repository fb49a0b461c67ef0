package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"ecoin/internal/identity"
	"ecoin/loadgen/fleet"
)

// nulls sends requests that ask nothing.
type nulls struct {
	plan    *plan
	pool    *fleet.Pool
	buffers []nullBuffer // by worker
}

type nullBuffer struct {
	reply []byte
	_     [64]byte
}

func newNulls(p *plan, pool *fleet.Pool) *nulls {
	return &nulls{p, pool, make([]nullBuffer, p.Conns)}
}

func (n *nulls) do(ctx context.Context, worker int, _ int64, deadline time.Time) outcome {
	buf := &n.buffers[worker]
	reply, o := post(ctx, n.pool, n.plan.Analysts[worker%len(n.plan.Analysts)].Index, "/null", "", nullBody[:], deadline, buf.reply)
	buf.reply, o.coins = reply, 1
	return o
}

// nullBody is as long as a redeem of one header.
var nullBody [108]byte

var nullAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Length: 49\r\n\r\n" + string(make([]byte, 49)))

// ServeNull answers each request with the same 49 bytes over mutual TLS, until ctx ends.
func ServeNull(ctx context.Context, l net.Listener, id *identity.Identity) error {
	config := identity.ServerConfig(id, nil)
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			defer c.Close()
			answerNull(tls.Server(c, config))
		})
	}
}

// answerNull answers one request after the other until one is not whole.
func answerNull(c net.Conn) {
	in := bufio.NewReaderSize(c, 4<<10)
	for {
		length := int64(0)
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
			if rest, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				for _, d := range bytes.TrimSpace(rest) {
					length = length*10 + int64(d-'0')
				}
			}
		}
		if _, err := io.CopyN(io.Discard, in, length); err != nil {
			return
		}
		if _, err := c.Write(nullAnswer); err != nil {
			return
		}
	}
}
