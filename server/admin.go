package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"ecoin/internal/problem"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// Longest bodies of admin requests, in bytes.
const (
	maxAdminBody  = 16 << 10
	maxImportBody = wire.MaxImport * 512
)

// adminCall answers one admin request with a value to send as JSON, or an error. What
// changes anything is in the journal before.
type adminCall func(r *http.Request) (any, error)

// streamed is the value of a call that writes its answer by itself.
type streamed func(w http.ResponseWriter) error

func stream(f func(http.ResponseWriter, *http.Request) error) adminCall {
	return func(r *http.Request) (any, error) {
		return streamed(func(w http.ResponseWriter) error { return f(w, r) }), nil
	}
}

// newAdmin makes the operator's API, served on a Unix socket. Whoever may connect to
// the socket is the operator: its mode is the authentication.
func (s *Server) newAdmin() *http.Server {
	account := wire.AdminPathAccounts + "/{account}/"
	mux := http.NewServeMux()
	for pattern, methods := range map[string]map[string]adminCall{
		wire.AdminPathAccounts:                {http.MethodPost: s.addAccount, http.MethodGet: stream(s.listAccounts)},
		wire.AdminPathAccounts + "/{account}": {http.MethodGet: s.showAccount},
		wire.AdminPathImport:                  {http.MethodPost: s.importAccounts},
		account + wire.AdminActionRemove:      {http.MethodPost: s.changeState("account removed", ledger.Removed)},
		account + wire.AdminActionSuspend:     {http.MethodPost: s.changeState("account suspended", ledger.Suspended)},
		account + wire.AdminActionResume:      {http.MethodPost: s.changeState("account resumed", ledger.Active)},
		account + wire.AdminActionCredit:      {http.MethodPost: s.creditAccount},
		account + wire.AdminActionAddKey:      {http.MethodPost: s.addKey},
		account + wire.AdminActionDropKey:     {http.MethodPost: s.dropKey},
		wire.AdminPathAudit:                   {http.MethodPost: s.audit},
		wire.AdminPathCheckpoint:              {http.MethodPost: s.checkpoint},
		wire.AdminPathStats:                   {http.MethodGet: s.stats},
	} {
		mux.HandleFunc(pattern, s.adminHandler(methods))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, problem.New(http.StatusNotFound, "no such path in the admin API"))
	})
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return s.base },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) adminHandler(methods map[string]adminCall) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				s.metrics.panics.Inc()
				s.log.Error("panic in the admin API", "path", r.URL.Path, "panic", panicText(p), "at", callers())
				problem.Write(w, problem.New(http.StatusInternalServerError, "the bank failed: see its log"))
			}
		}()
		call := methods[r.Method]
		if call == nil {
			for m := range methods {
				w.Header().Add("Allow", m)
			}
			problem.Write(w, problem.New(http.StatusMethodNotAllowed, r.Method+" is not a method of "+r.URL.Path))
			return
		}
		most := int64(maxAdminBody)
		if r.URL.Path == wire.AdminPathImport {
			most = maxImportBody
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		v, err := call(r)
		if write, ok := v.(streamed); ok {
			if err = write(w); err == nil {
				return
			}
		}
		if err != nil {
			s.refuseAdmin(w, r, err)
			return
		}
		w.Header().Set("Content-Type", wire.TypeJSON)
		_ = json.NewEncoder(w).Encode(v) // the operator is gone: nobody left to tell
	}
}

func (s *Server) refuseAdmin(w http.ResponseWriter, r *http.Request, err error) {
	p, expected := adminProblem(err)
	if !expected {
		// The operator is told why: nothing below the admin API puts secrets in errors.
		s.log.Error("admin request failed", "path", r.URL.Path, "err", err)
		p = problem.New(http.StatusInternalServerError, err.Error())
	}
	problem.Write(w, p)
}

// record notes in the journal what is about to be done. What cannot be noted is not done.
func (s *Server) record(action string, fields map[string]any) error {
	if s.o.Journal == nil {
		return nil
	}
	if err := s.o.Journal.Append(action, fields); err != nil {
		s.log.Error("the journal cannot be written", "action", action, "err", err)
		return problem.New(http.StatusInsufficientStorage, "the journal cannot be written, so nothing was done: "+err.Error())
	}
	return nil
}

// failed notes that what was recorded last did not happen, or that nobody knows, and
// returns err.
func (s *Server) failed(action string, err error) error {
	if s.o.Journal != nil {
		if e := s.o.Journal.Append("failed", map[string]any{"what": action, "error": err.Error()}); e != nil {
			s.log.Error("the journal cannot be written", "action", action, "failed", err, "err", e)
		}
	}
	return err
}

func badRequest(format string, args ...any) error {
	return problem.New(http.StatusBadRequest, fmt.Sprintf(format, args...))
}

// decode reads a JSON body strictly: one value, no unknown fields.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badRequest("the body is not the JSON this call takes: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return badRequest("the body holds more than one JSON value")
	}
	return nil
}

func (s *Server) audit(r *http.Request) (any, error) {
	a, err := s.o.Bank.Audit(r.Context())
	if err == nil && !a.OK {
		s.log.Error("audit found problems", "problems", a.Problems)
	}
	return a, err
}

func (s *Server) checkpoint(r *http.Request) (any, error) {
	var req wire.Checkpoint
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(req.Dir) {
		return nil, badRequest("the folder must be an absolute path: the bank runs elsewhere")
	}
	if err := s.record("checkpoint written", map[string]any{"dir": req.Dir}); err != nil {
		return nil, err
	}
	switch err := s.o.Accounts.Checkpoint(req.Dir); {
	case errors.Is(err, fs.ErrExist):
		return nil, s.failed("checkpoint written", problem.New(http.StatusConflict, "the folder "+req.Dir+" exists already: name a new one"))
	case errors.Is(err, ledger.ErrOwnFolder):
		return nil, s.failed("checkpoint written", badRequest("the folder %s is in a folder of the ledger itself: name one outside", req.Dir))
	case err != nil:
		return nil, s.failed("checkpoint written", err)
	}
	s.log.Info("checkpoint written", "dir", req.Dir)
	return struct{}{}, nil
}

func (s *Server) stats(*http.Request) (any, error) {
	st := s.o.Accounts.Stats()
	shards := make([]wire.ShardStats, len(st.Shards))
	for i, sh := range st.Shards {
		shards[i] = wire.ShardStats(sh)
	}
	disks := make([]wire.DiskStats, len(st.Disks))
	for i, d := range st.Disks {
		disks[i] = wire.DiskStats{Dir: d.Dir, FreeBytes: int64(d.FreeBytes)}
	}
	return wire.Stats{
		Live: st.Live, Issued: st.Issued, Redeemed: st.Redeemed, Returned: st.Returned, Refunded: st.Refunded,
		Retries: st.Retries, DoubleSpends: st.DoubleSpends, NotLive: st.NotLive, Temporary: st.Temporary,
		Overloads: st.Overloads, LowDisk: st.LowDisk,
		Corruptions: st.Corruptions, Batches: st.Batches, BatchCoins: st.Coins,
		Queued: st.Queued, Indexed: st.Indexed, IndexBytes: st.IndexBytes, Unflushed: st.Unflushed,
		DiskBytes: int64(st.DiskBytes), LogBytes: int64(st.LogBytes), BallastBytes: st.BallastBytes,
		ReadAmp: st.ReadAmp, CompactionDebt: int64(st.CompactionDebt), Connections: int64(s.conns.len()),
		Disks: disks, Shards: shards,
	}, nil
}
