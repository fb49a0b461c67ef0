package director

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"ecoin/internal/addresses"
	"ecoin/internal/fair"
	"ecoin/internal/problem"
)

// smallBody is what a connection may hold of a body, in bytes, beyond what counts. A
// registration is never more: what keeps operations out keeps no analyst out.
const smallBody = maxRegistration + 1

// bodies reads the bodies of requests. Memory is made as bytes arrive, not as they are
// announced, and what is beyond smallBody counts against a limit that addresses share:
// somebody who announces the largest bodies and sends nothing, or sends them slowly,
// takes from those at his own address. (Not by key: keys are free.)
type bodies struct {
	memory *fair.Share[netip.Addr] // bytes
}

// body is the body of one request, and what it has of the limit. Its zero value has
// nothing.
type body struct {
	b     []byte
	from  netip.Addr
	taken int // bytes of the limit
}

// read reads the body of r, of at most limit bytes. It is released in any case. After a
// problem the rest of it is unread.
func (s *bodies) read(r *http.Request, limit int64) (body, *problem.Problem) {
	most := r.ContentLength
	if most < 0 {
		most = limit + 1 // chunked; one byte more tells that it is too long
	}
	m := body{from: addressOf(r)}
	if r.ContentLength > limit {
		return m, tooLarge(limit)
	}
	m.b = make([]byte, 0, min(most, smallBody))
	for int64(len(m.b)) < most {
		if len(m.b) == cap(m.b) && !s.grow(&m, int(min(most, 2*int64(cap(m.b))))) {
			return m, overload("too many large requests are arriving; nothing was sent to an analyst: try later, with a new coin")
		}
		n, err := r.Body.Read(m.b[len(m.b):cap(m.b)])
		m.b = m.b[:len(m.b)+n]
		if errors.Is(err, io.EOF) {
			break // net/http has an error of its own for a body that is cut off
		}
		if err != nil {
			return m, problem.New(http.StatusBadRequest, "the body did not arrive whole")
		}
	}
	if int64(len(m.b)) > limit {
		return m, tooLarge(limit)
	}
	return m, nil
}

// grow makes room for size bytes, unless the limit forbids it.
func (s *bodies) grow(m *body, size int) bool {
	if more := size - smallBody - m.taken; more > 0 {
		if !s.memory.Take(m.from, more) {
			return false
		}
		m.taken += more
	}
	m.b = append(make([]byte, 0, size), m.b...)
	return true
}

// release gives a body's part of the limit back.
func (s *bodies) release(m body) {
	if m.taken > 0 {
		s.memory.Give(m.from, m.taken)
	}
}

// addressOf returns the address that r came from.
func addressOf(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // the server's own: an address and a port
	return addresses.Of(net.TCPAddrFromAddrPort(peer))
}

func tooLarge(limit int64) *problem.Problem {
	return problem.New(http.StatusRequestEntityTooLarge, "the body may have at most "+strconv.FormatInt(limit, 10)+" bytes")
}
