package fleet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Conn is a connection that speaks just as much HTTP/1.1 as a bank and a director
// need to hear: a generator must cost less than what it measures. One goroutine
// uses it at a time.
type Conn struct {
	tls    *tls.Conn
	in     *bufio.Reader
	out    []byte
	body   []byte
	done   bool // the server said that it closes, or an error left the stream in doubt
	broken bool // by that error

	who      uint32
	used     time.Time // when it was given back
	requests int       // sent
	resumed  bool      // the handshake was
}

// Reply is the answer to one request.
type Reply struct {
	Status int
	Body   []byte // valid until the next request
}

// maxReplyHeader and maxReplyBody bound an answer, in bytes.
const (
	maxReplyHeader = 16 << 10
	maxReplyBody   = 8 << 20
)

// dial connects to a TLS server at address.
func dial(ctx context.Context, address string, config *tls.Config) (*Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(deadline)
	}
	c := tls.Client(raw, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	out := newConn(c)
	out.resumed = c.ConnectionState().DidResume
	return out, nil
}

func newConn(c *tls.Conn) *Conn { return &Conn{tls: c, in: bufio.NewReaderSize(c, 4<<10)} }

// Close closes the connection.
func (c *Conn) Close() error { return c.tls.Close() }

// usable reports whether another request may be sent.
func (c *Conn) usable() bool { return !c.done }

// Post sends a request and reads its answer. header is what comes between the standard
// header lines and the body: lines that each end in CR LF, or nothing. After an error the
// connection is not usable: whether the server did what was asked nobody knows.
func (c *Conn) Post(path, header string, body []byte, deadline time.Time) (Reply, error) {
	c.out = append(c.out[:0], "POST "...)
	c.out = append(c.out, path...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: bank\r\n"...)
	c.out = append(c.out, header...)
	c.out = append(c.out, "Content-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, body...)
	return c.exchange(deadline)
}

// Get asks for a path.
func (c *Conn) Get(path string, deadline time.Time) (Reply, error) {
	c.out = fmt.Appendf(c.out[:0], "GET %s HTTP/1.1\r\nHost: bank\r\n\r\n", path)
	return c.exchange(deadline)
}

func (c *Conn) exchange(deadline time.Time) (Reply, error) {
	if c.done {
		return Reply{}, net.ErrClosed
	}
	c.requests++
	_ = c.tls.SetDeadline(deadline)
	_, err := c.tls.Write(c.out)
	var r Reply
	if err == nil {
		r, err = c.read()
	}
	if err != nil {
		c.done, c.broken = true, true
	}
	return r, err
}

var (
	lengthHeader     = []byte("content-length:")
	connectionHeader = []byte("connection:")
	chunkedHeader    = []byte("transfer-encoding:")
)

// errReply is an answer that is not one.
var errReply = errors.New("the answer is not HTTP/1.1 with a length")

func (c *Conn) read() (Reply, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return Reply{}, err
	}
	if len(line) < 13 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return Reply{}, errReply
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 200 {
		return Reply{}, errReply
	}
	length, size := -1, len(line)
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return Reply{}, err
		}
		if size += len(line); size > maxReplyHeader {
			return Reply{}, errReply
		}
		if len(line) <= 2 {
			break
		}
		switch {
		case hasFold(line, lengthHeader):
			length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(lengthHeader):])))
			if err != nil || length < 0 || length > maxReplyBody {
				return Reply{}, errReply
			}
		case hasFold(line, connectionHeader):
			c.done = bytes.EqualFold(bytes.TrimSpace(line[len(connectionHeader):]), []byte("close"))
		case hasFold(line, chunkedHeader):
			return Reply{}, errReply
		}
	}
	if length < 0 {
		return Reply{}, errReply
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return Reply{}, err
	}
	if c.in.Buffered() > 0 {
		c.done = true // more than was asked for would pass for the next answer
	}
	return Reply{status, c.body}, nil
}

func hasFold(line, prefix []byte) bool {
	return len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], prefix)
}
