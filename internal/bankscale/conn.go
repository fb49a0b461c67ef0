package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
)

// bodies are redeem requests, each to be sent once.
type bodies struct {
	all  []byte
	size int // bytes of one
	n    int // headers in one
	next atomic.Int64
}

func (b *bodies) len() int { return len(b.all) / b.size }

// take returns the next body, nil when there are none.
func (b *bodies) take() []byte {
	i := int(b.next.Add(1)) - 1
	if i >= b.len() {
		return nil
	}
	return b.all[i*b.size : (i+1)*b.size]
}

// conn is a connection to the bank that speaks just enough HTTP: a generator must cost
// less than what it measures.
type conn struct {
	*tls.Conn
	in     *bufio.Reader
	out    []byte
	answer []byte
}

// ioTimeout is how long an answer may take before the load is given up.
const ioTimeout = 30 * time.Second

func dial(address string, config *tls.Config) (*conn, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: ioTimeout}, "tcp", address, config)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 16<<10)}, nil
}

// post sends a body and returns the answer's status; c.answer is then its body.
func (c *conn) post(path string, body []byte) (status int, err error) {
	c.out = append(c.out[:0], "POST "...)
	c.out = append(c.out, path...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: bank\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, body...)
	_ = c.SetDeadline(time.Now().Add(ioTimeout))
	if _, err := c.Write(c.out); err != nil {
		return 0, err
	}
	return c.read()
}

var contentLength = []byte("Content-Length: ")

func (c *conn) read() (status int, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, errors.New("not an answer")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length := -1
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if rest, ok := bytes.CutPrefix(line, contentLength); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(rest))); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("an answer without length")
	}
	if cap(c.answer) < length {
		c.answer = make([]byte, length)
	}
	c.answer = c.answer[:length]
	_, err = io.ReadFull(c.in, c.answer)
	return status, err
}

// redeem posts a body of n headers. refused is true for an answer that says to come back
// later.
func (c *conn) redeem(body []byte, n int) (refused bool, err error) {
	status, err := c.post(wire.PathRedeem, body)
	switch {
	case err != nil:
		return false, err
	case status == 503:
		return true, nil
	case status != 200:
		return false, fmt.Errorf("status %d: %s", status, c.answer)
	case len(c.answer) != n*wire.RedeemRecordLen:
		return false, fmt.Errorf("%d bytes for %d headers", len(c.answer), n)
	}
	for i := range n {
		if st := core.Status(c.answer[i*wire.RedeemRecordLen]); st != core.StatusOK {
			return false, fmt.Errorf("a coin is answered %v", st)
		}
	}
	return false, nil
}
