// Package problem is the error body of every HTTP interface of ecoin: RFC 9457
// problem details in JSON.
//
// A server answers a whole-request error with [Write] (net/http) or [Marshal]
// (any other server); a client turns such an answer back into a [*Problem] with
// [Parse]. A problem never holds a coin, a key or plaintext.
//
// What a status promises to the caller of a bank:
//
//   - 4xx, 503 and 507: the bank refused this request and did nothing;
//   - every other 5xx: something failed on the way, and the bank may have acted.
//
// [Problem.Definite] is that rule.
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ContentType is the media type of a problem body.
const ContentType = "application/problem+json"

// MaxBody is the longest problem body [Parse] accepts, in bytes.
const MaxBody = 16 << 10

// maxText bounds each text of a parsed problem, in bytes.
const maxText = 1 << 10

// Problem is one refusal. The zero Type means "about:blank": the status says it
// all. A Problem is an error; as long as nobody changes it, it may be shared.
type Problem struct {
	Type   string `json:"type,omitempty"`   // URI that names the kind of problem
	Title  string `json:"title,omitempty"`  // the kind of problem in a few words, the same each time
	Status int    `json:"status,omitempty"` // HTTP status code
	Detail string `json:"detail,omitempty"` // what was wrong this time and what to do

	// RetryAfter asks the client to wait; it travels as the Retry-After header
	// in whole seconds, rounded up. Zero means no wish.
	RetryAfter time.Duration `json:"-"`
}

// New returns a problem of the given HTTP status whose title is the status's
// own text.
func New(status int, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// Error returns "status title: detail".
func (p *Problem) Error() string {
	title := p.Title
	if title == "" {
		title = http.StatusText(p.Status)
	}
	s := strings.TrimSpace(strconv.Itoa(p.Status) + " " + title)
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	return s
}

// Definite reports whether the problem's status promises that nothing happened.
func (p *Problem) Definite() bool {
	switch {
	case p.Status >= 400 && p.Status <= 499:
		return true
	case p.Status == http.StatusServiceUnavailable, p.Status == http.StatusInsufficientStorage:
		return true
	}
	return false
}

// Marshal returns p as JSON, to be sent with [ContentType].
func Marshal(p *Problem) []byte {
	b, err := json.Marshal(p)
	if err != nil { // strings and an int: cannot fail
		panic("problem: marshal: " + err.Error())
	}
	return b
}

// RetryAfterSeconds returns the value for the Retry-After header, or "" for none.
func (p *Problem) RetryAfterSeconds() string {
	if p.RetryAfter <= 0 {
		return ""
	}
	return strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10)
}

// Write sends p as the whole answer. A status outside 400..599 is the caller's
// mistake and is sent as 500.
func Write(w http.ResponseWriter, p *Problem) {
	status := p.Status
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	body := Marshal(p)
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if s := p.RetryAfterSeconds(); s != "" {
		h.Set("Retry-After", s)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nobody left to tell
}

// Parse returns the problem in an answer with the given HTTP status and header.
// The status line counts, not the body's own copy of it. Texts come from the
// peer: they are cut to 1 KiB each, and what cannot be printed becomes U+FFFD, so
// that they are safe to log and to show on a terminal.
//
// It returns an error when the answer is not problem JSON or body is longer than
// [MaxBody]; the error does not quote the body.
func Parse(status int, h http.Header, body []byte) (*Problem, error) {
	mt, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || mt != ContentType {
		return nil, fmt.Errorf("problem: content type is %q, want %s", clean(h.Get("Content-Type")), ContentType)
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("problem: body is longer than %d bytes", MaxBody)
	}
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, errors.New("problem: body is not problem JSON")
	}
	p.Status = status
	p.Type, p.Title, p.Detail = clean(p.Type), clean(p.Title), clean(p.Detail)
	if n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 24); err == nil {
		p.RetryAfter = time.Duration(n) * time.Second
	}
	return &p, nil
}

// clean makes foreign text printable on one line and at most maxText bytes long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s) // valid UTF-8 now, and up to three times as long
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
