package server

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/valyala/fasthttp"

	"ecoin/internal/problem"
	"ecoin/internal/wire"
)

// route is one path of the API. Each path has one method.
type route struct {
	path   string // "other" for everything that is not routed
	method string
	// maxBody is the longest body in bytes. A longer one is refused when its header
	// has been read, before memory is made for it.
	maxBody int
	handle  func(ctx *fasthttp.RequestCtx, c *conn) error
	counts  statusCounts
}

func (s *Server) makeRoutes() {
	s.routes = map[string]*route{}
	for _, r := range []*route{
		{path: wire.PathWithdraw, method: http.MethodPost, handle: s.withdraw},
		{path: wire.PathRedeem, method: http.MethodPost, maxBody: wire.MaxRecordsBody, handle: s.redeem},
		{path: wire.PathReturn, method: http.MethodPost, maxBody: wire.MaxRecordsBody, handle: s.giveBack},
		{path: wire.PathRefund, method: http.MethodPost, maxBody: wire.MaxCoinsBody, handle: s.refund},
		{path: wire.PathAccount, method: http.MethodGet, handle: s.account},
		{path: wire.PathKeys, method: http.MethodGet, handle: s.keys},
		{path: wire.PathOpenAPI, method: http.MethodGet, handle: s.openAPI},
	} {
		s.routes[r.path] = r
	}
	s.other = &route{path: "other"}
}

// find returns the route of a request, or other, which has no method.
func (s *Server) find(h *fasthttp.RequestHeader) *route {
	path, _ := splitTarget(h.RequestURI())
	if r := s.routes[string(path)]; r != nil {
		return r
	}
	return s.other
}

// splitTarget cuts a request target (RFC 9112 section 3.2) into path and query. The
// path is taken as it stands: a path of this API has one spelling.
func splitTarget(target []byte) (path, query []byte) {
	if len(target) > 0 && target[0] != '/' { // absolute form
		_, rest, ok := bytes.Cut(target, []byte("://"))
		slash := bytes.IndexByte(rest, '/')
		if !ok || slash < 0 {
			return nil, nil
		}
		target = rest[slash:]
	}
	path, query, _ = bytes.Cut(target, []byte("?"))
	return path, query
}

// headerReceived looks at a request whose header has just been read. A body that check
// will refuse is declared empty here, so that none of it is waited for: one that is too
// long, and one with a Transfer-Encoding. Our clients know the length of what they send,
// and a body framed in a second way is what request smuggling is made of.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if h.ContentLength() > s.find(h).maxBody || hasHeader(h, fasthttp.HeaderTransferEncoding) {
		h.SetContentLength(0)
	}
	return fasthttp.RequestConfig{}
}

// declaredLength is the Content-Length that was sent, 0 if there was none. fasthttp has
// checked that it is a number.
func declaredLength(h *fasthttp.RequestHeader) int {
	value, _ := headerValue(h, fasthttp.HeaderContentLength)
	n, _ := strconv.Atoi(string(value))
	return n
}

// hasHeader reports whether a header field was sent, also where fasthttp has dropped
// it while parsing. name is an ASCII token.
func hasHeader(h *fasthttp.RequestHeader, name string) bool {
	_, sent := headerValue(h, name)
	return sent
}

// headerValue returns the first value of a header field as it was sent.
func headerValue(h *fasthttp.RequestHeader, name string) (value []byte, sent bool) {
	for line := range bytes.Lines(h.RawHeaders()) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && len(key) == len(name) && bytes.EqualFold(key, []byte(name)) {
			return bytes.TrimSpace(value), true
		}
	}
	return nil, false
}

// check returns why a request is refused before its body is read, nil if it is not.
func check(r *route, h *fasthttp.RequestHeader) error {
	bodyLen := declaredLength(h)
	switch {
	case r.method == "":
		return problem.New(http.StatusNotFound, "no such path: see "+wire.PathOpenAPI)
	case string(h.Method()) != r.method:
		return problem.New(http.StatusMethodNotAllowed, r.path+" is called with "+r.method)
	case hasHeader(h, fasthttp.HeaderTransferEncoding):
		return problem.New(http.StatusBadRequest, "Transfer-Encoding is not accepted: send the body whole, with Content-Length")
	case r.method == http.MethodPost && !hasHeader(h, fasthttp.HeaderContentLength):
		return problem.New(http.StatusLengthRequired, "send Content-Length, 0 for an empty body")
	case bodyLen > 0 && r.maxBody == 0:
		return problem.New(http.StatusRequestEntityTooLarge, r.path+" takes no body")
	case bodyLen > r.maxBody:
		return problem.New(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body of %s is at most %d bytes: split it", r.path, r.maxBody))
	case r.maxBody > 0 && !isBinary(h.ContentType()):
		return problem.New(http.StatusUnsupportedMediaType, "the body of "+r.path+" is "+wire.TypeBinary)
	}
	return nil
}

// isBinary accepts application/octet-stream, and no type at all (RFC 9110 section
// 8.3 lets a recipient assume that one).
func isBinary(contentType []byte) bool {
	mediaType, _, _ := bytes.Cut(contentType, []byte(";"))
	mediaType = bytes.TrimSpace(mediaType)
	return len(mediaType) == 0 || bytes.EqualFold(mediaType, []byte(wire.TypeBinary))
}
