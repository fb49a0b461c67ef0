package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"ecoin/core"
	"ecoin/internal/identity"
)

// hostile is a director that attacks what passes through it. Collectors meet
// it where they expect a director; behind it stands the honest one, to which
// it forwards whatever its present attack makes of a message.
type hostile struct {
	url      string
	server   *http.Server
	listener net.Listener

	director  string       // URL of the honest director
	client    *http.Client // to the honest director
	bank      string       // URL of the bank
	bankRoots *tls.Config  // to reach the bank, with a key that is in no truststore
	bankKey   *core.PublicKey
	honest    string // an honest analyst's id at the director

	mu     sync.Mutex
	attack func(*hostile, *operation) answer
	gains  []string      // what the present attack won; must stay empty
	kept   *answer       // an old reply
	pair   chan *pairing // meeting point of two operations
}

// operation is one message from the collector, as the director sees it.
type operation struct {
	ctx      context.Context
	analysis string
	request  []byte
}

// answer is what goes back.
type answer struct {
	status int
	body   []byte
}

// pairing lets two operations that are under way at once be mixed up.
type pairing struct {
	first, second *operation
	toFirst       chan answer
}

func newHostile(id *identity.Identity, bankRoots *tls.Config, client *http.Client, director, bank string, key *core.PublicKey) (*hostile, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hostile{
		url:       "https://" + l.Addr().String(),
		listener:  l,
		director:  director,
		client:    client,
		bank:      bank,
		bankRoots: bankRoots,
		bankKey:   key,
		pair:      make(chan *pairing, 1),
	}
	h.server = &http.Server{
		Handler:           http.HandlerFunc(h.serve),
		TLSConfig:         identity.ServerConfig(id, func([32]byte) error { return nil }),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go h.server.ServeTLS(l, "", "")
	return h, nil
}

// close ends the hostile director. The connections it keeps to the honest one go
// too: that one would wait for them when it stops.
func (h *hostile) close() error {
	h.client.CloseIdleConnections()
	return h.server.Close()
}

// begin makes a the attack on everything that arrives from now on.
func (h *hostile) begin(a func(*hostile, *operation) answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attack, h.gains, h.kept = a, nil, nil
}

// gain records that the attack won something.
func (h *hostile) gain(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gains = append(h.gains, fmt.Sprintf(format, args...))
}

// first keeps a for later and reports true, unless something is kept already:
// then it returns that.
func (h *hostile) first(a answer) (old answer, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kept == nil {
		h.kept = &a
		return a, true
	}
	return *h.kept, false
}

// won returns what the present attack won.
func (h *hostile) won() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gains
}

const maxMessage = 2 << 20

func (h *hostile) serve(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		return
	}
	h.mu.Lock()
	attack := h.attack
	h.mu.Unlock()
	analysis := r.URL.Path[len("/v1/operations/"):]
	a := attack(h, &operation{r.Context(), analysis, request})
	w.Header().Set("Content-Type", "application/octet-stream")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the collector may have left
}

// forward sends a message to the honest director and returns its answer. Being
// unable to ask counts as a refusal.
func (h *hostile) forward(op *operation, analysis string, request []byte) answer {
	req, err := http.NewRequestWithContext(op.ctx, http.MethodPost, h.director+"/v1/operations/"+analysis, bytes.NewReader(request))
	if err != nil {
		return answer{status: http.StatusBadGateway}
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	return h.do(h.client, req)
}

func (h *hostile) do(c *http.Client, req *http.Request) answer {
	resp, err := c.Do(req)
	if err != nil {
		return answer{status: http.StatusBadGateway}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return answer{status: http.StatusBadGateway}
	}
	return answer{resp.StatusCode, body}
}

// meet pairs op with another operation under way. The first to arrive gets
// (nil, its answer channel) and waits; the second gets the pairing.
func (h *hostile) meet(op *operation) (*pairing, answer) {
	p := &pairing{first: op, toFirst: make(chan answer, 1)}
	select {
	case h.pair <- p: // first: wait for a partner to answer
		select {
		case a := <-p.toFirst:
			return nil, a
		case <-op.ctx.Done():
			return nil, answer{status: http.StatusGatewayTimeout}
		case <-time.After(10 * time.Second):
			return nil, answer{status: http.StatusGatewayTimeout}
		}
	case p = <-h.pair:
		p.second = op
		return p, answer{}
	}
}

// redeemAsStranger offers a captured record to the bank under a key that is in
// no truststore, and under none at all. It returns what the bank said, if
// anything.
func (h *hostile) redeemAsStranger(record []byte) (string, error) {
	own, none := h.bankRoots.Clone(), h.bankRoots.Clone()
	none.GetClientCertificate = nil
	for _, config := range []*tls.Config{own, none} {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", h.bank[len("https://"):], config)
		if err != nil {
			continue // refused in the handshake: nothing was said
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(conn, "POST /v1/redeem HTTP/1.1\r\nHost: bank\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s", len(record), record)
		said, err := io.ReadAll(conn)
		conn.Close()
		if len(said) > 0 {
			return string(said), nil
		}
		if err == nil {
			return "", errors.New("the bank closed the connection without refusing the key")
		}
	}
	return "", nil
}
