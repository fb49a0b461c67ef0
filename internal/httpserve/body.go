package httpserve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrTooLarge reports a body beyond its limit.
var ErrTooLarge = errors.New("httpserve: body too large")

// firstRead is how much memory a body gets before any of it has arrived; what a
// length header promises is not taken at its word.
const firstRead = 4 << 10

// ReadBody reads all of body, of at most limit bytes, into new memory. declared is
// the announced length, or -1. An error wraps ErrTooLarge, after which the rest of
// body is unread, or is the connection's own.
func ReadBody(body io.Reader, declared, limit int64) ([]byte, error) {
	if declared > limit {
		return nil, fmt.Errorf("%w: %d bytes announced, at most %d are read", ErrTooLarge, declared, limit)
	}
	var b bytes.Buffer
	b.Grow(firstRead)
	n, err := b.ReadFrom(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("httpserve: read body: %w", err)
	}
	if n > limit {
		return nil, fmt.Errorf("%w: at most %d bytes are read", ErrTooLarge, limit)
	}
	return b.Bytes(), nil
}
