package server

import (
	"bytes"
	"fmt"
	"net/http"

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

// headerReceived bounds the body of a request whose header has just been read.
//
// A Transfer-Encoding is refused: our clients know the length of what they send, and
// a body framed in a second way is what request smuggling is made of. The body is
// declared empty here, so that none of it is read, and check turns the request away.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if hasHeader(h, fasthttp.HeaderTransferEncoding) {
		h.SetContentLength(0)
	}
	// 0 would mean fasthttp's default of 4 MiB; check refuses the one byte.
	return fasthttp.RequestConfig{MaxRequestBodySize: max(s.find(h).maxBody, 1)}
}

// hasHeader reports whether a header field was sent, also where fasthttp has dropped
// it while parsing. name is an ASCII token.
func hasHeader(h *fasthttp.RequestHeader, name string) bool {
	for line := range bytes.Lines(h.RawHeaders()) {
		key, _, ok := bytes.Cut(line, []byte(":"))
		if ok && len(key) == len(name) && bytes.EqualFold(key, []byte(name)) {
			return true
		}
	}
	return false
}

// check returns why a request is refused before its handler, nil if it is not.
// bodyLen is what was read, or declared where that alone was too much.
func check(r *route, h *fasthttp.RequestHeader, bodyLen int) error {
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
