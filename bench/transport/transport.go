// Package transport moves the bytes of redeems over mutual TLS and does nothing with them:
// what is left of a bank is its HTTP server. Start with [Serve] and [Load].
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"ecoin/internal/identity"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
)

// Bytes of a header and of its answer.
const (
	HeaderLen = 12 + 96
	AnswerLen = wire.RedeemRecordLen
)

// Kinds of server.
const (
	FastHTTP = "fasthttp"
	NetHTTP  = "net/http"
)

const maxBody = wire.MaxBatch * HeaderLen

// Serve answers each POST of n headers with n answers of zeros, until ctx ends. Both kinds
// ask for a client certificate, whosever it is, look at it, and read the whole body.
func Serve(ctx context.Context, kind string, l net.Listener, id *identity.Identity) error {
	config := identity.ServerConfig(id, nil)
	switch kind {
	case FastHTTP:
		s := &fasthttp.Server{Handler: fast, MaxRequestBodySize: maxBody, NoDefaultServerHeader: true, NoDefaultDate: true}
		stop := context.AfterFunc(ctx, func() { _ = l.Close() })
		defer stop()
		if err := s.Serve(tls.NewListener(l, config)); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	case NetHTTP:
		s := &http.Server{Handler: http.HandlerFunc(plain), TLSConfig: config, ReadHeaderTimeout: 10 * time.Second}
		stop := context.AfterFunc(ctx, func() { _ = s.Close() })
		defer stop()
		if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
	return fmt.Errorf("transport: no server %q: there are %s and %s", kind, FastHTTP, NetHTTP)
}

// count returns how many headers a body has.
func count(size int) (n int, ok bool) {
	if size <= 0 || size%HeaderLen != 0 || size > maxBody {
		return 0, false
	}
	return size / HeaderLen, true
}

var zeros [wire.MaxBatch * AnswerLen]byte

func fast(ctx *fasthttp.RequestCtx) {
	n, ok := count(len(ctx.PostBody()))
	if !ok || len(ctx.TLSConnectionState().PeerCertificates) == 0 {
		ctx.Error("want whole headers", fasthttp.StatusBadRequest)
		return
	}
	ctx.SetContentType(wire.TypeBinary)
	ctx.Response.SetBodyRaw(zeros[:n*AnswerLen])
}

func plain(w http.ResponseWriter, r *http.Request) {
	n, ok := count(int(r.ContentLength))
	body := make([]byte, n*HeaderLen)
	if _, err := io.ReadFull(r.Body, body); err != nil || !ok || len(r.TLS.PeerCertificates) == 0 {
		http.Error(w, "want whole headers", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", wire.TypeBinary)
	w.Header().Set("Content-Length", strconv.Itoa(n*AnswerLen))
	_, _ = w.Write(zeros[:n*AnswerLen])
}

// Load posts n headers at a time on each connection of a pool, as soon as the last answer is
// there, and returns how many headers were answered. It calls ready once all are connected.
func Load(ctx context.Context, p *fleet.Pool, conns, n int, d time.Duration, ready func() error) (headers int64, took time.Duration, err error) {
	made := make([]*fleet.Conn, 0, conns)
	defer func() {
		for _, c := range made {
			_ = c.Close()
		}
	}()
	for range conns {
		c, err := p.Get(ctx, 0, time.Now().Add(ioTimeout))
		if err != nil {
			return 0, 0, err
		}
		made = append(made, c)
	}
	if err := ready(); err != nil {
		return 0, 0, err
	}
	var sum atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, conns)
	start := time.Now()
	until := start.Add(d)
	for i, c := range made {
		wg.Go(func() {
			body := make([]byte, n*HeaderLen)
			for now := start; now.Before(until) && ctx.Err() == nil; now = time.Now() {
				r, err := c.Post(wire.PathRedeem, "", body, now.Add(ioTimeout))
				if err == nil && (r.Status != http.StatusOK || len(r.Body) != n*AnswerLen) {
					err = fmt.Errorf("transport: status %d and %d bytes for %d headers", r.Status, len(r.Body), n)
				}
				if err != nil {
					errs[i] = err
					return
				}
				sum.Add(int64(n))
			}
			errs[i] = ctx.Err()
		})
	}
	wg.Wait()
	return sum.Load(), time.Since(start), errors.Join(errs...)
}

const ioTimeout = 30 * time.Second
