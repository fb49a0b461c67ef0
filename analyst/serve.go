package analyst

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"ecoin/internal/httpserve"
	"ecoin/internal/problem"
)

// operationsPath is followed by the name of an analysis.
const operationsPath = "/v1/operations/"

// contentTypeMessage is the media type of requests and replies.
const contentTypeMessage = "application/octet-stream"

// failure is the body of the one answer to everything that is not served.
var failure = problem.Marshal(&problem.Problem{
	Title:  "Not served",
	Status: http.StatusUnprocessableEntity,
	Detail: "The operation was not served. If its coin was redeemed for nothing, it is being returned: ask the bank for a refund.",
})

// drainFactor times the limit is how much of a body is read and dropped so that
// its sender hears the answer. Whoever sends more hears nothing.
const drainFactor = 4

var errOverload = errors.New("too many operations, or coins to give back")

// ServeHTTP serves POST /v1/operations/{analysis}, and fails everything else.
func (a *Analyst) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, err := a.serve(r)
	if err != nil {
		a.o.Logger.Info("operation not served", "error", err)
		// A connection that must be closed would say so in a header, and so tell
		// one failure from another.
		drain := drainFactor * a.o.MaxBody
		if n, err := io.Copy(io.Discard, io.LimitReader(r.Body, drain)); err != nil || n == drain {
			panic(http.ErrAbortHandler)
		}
		h := w.Header()
		h["Date"] = nil // no header differs
		h.Set("Content-Type", problem.ContentType)
		h.Set("Content-Length", strconv.Itoa(len(failure)))
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write(failure)
		return
	}
	w.Header().Set("Content-Type", contentTypeMessage)
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	// A reply that was begun counts as served, whatever becomes of it: a director
	// that hangs up after the last byte but one must not get the coin returned.
	_, _ = w.Write(reply)
}

func (a *Analyst) serve(r *http.Request) ([]byte, error) {
	name, ok := strings.CutPrefix(r.URL.EscapedPath(), operationsPath)
	if !ok || r.Method != http.MethodPost {
		return nil, fmt.Errorf("no such call: %.20q %.100q", r.Method, r.URL.EscapedPath())
	}
	if ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || ct != contentTypeMessage {
		return nil, errors.New("wrong content type")
	}
	if a.returner.owed() >= maxDebts {
		return nil, errOverload
	}
	select {
	case a.slots <- struct{}{}: // before the body: a slot stands for the memory of one
		defer func() { <-a.slots }()
	default:
		return nil, errOverload
	}
	msg, err := httpserve.ReadBody(r.Body, r.ContentLength, a.o.MaxBody)
	if err != nil {
		return nil, err
	}
	reply, err := a.operate(r.Context(), name, msg)
	if err != nil {
		return nil, fmt.Errorf("analysis %.80q: %w", name, err)
	}
	return reply, nil
}
