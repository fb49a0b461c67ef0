package server

import (
	"cmp"
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
	"slices"
	"time"

	"ecoin/internal/problem"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

const (
	maxAdminBody = 16 << 10 // longest body of an admin request, in bytes
	maxGrant     = 1e15     // most coins in one grant: what every JSON reader holds exactly
)

// adminCall answers one admin request with a value to send as JSON, or an error.
type adminCall func(r *http.Request) (any, error)

// newAdmin makes the operator's API, served on a Unix socket. Whoever may connect to
// the socket is the operator: its mode is the authentication.
func (s *Server) newAdmin() *http.Server {
	account := wire.AdminPathAccounts + "/{account}/"
	mux := http.NewServeMux()
	for pattern, methods := range map[string]map[string]adminCall{
		wire.AdminPathAccounts:           {http.MethodPost: s.addAccount, http.MethodGet: s.listAccounts},
		account + wire.AdminActionRemove: {http.MethodPost: s.removeAccount},
		account + wire.AdminActionCredit: {http.MethodPost: s.creditAccount},
		wire.AdminPathAudit:              {http.MethodPost: s.audit},
		wire.AdminPathCheckpoint:         {http.MethodPost: s.checkpoint},
		wire.AdminPathStats:              {http.MethodGet: s.stats},
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
		r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
		v, err := call(r)
		if err != nil {
			s.refuseAdmin(w, r, err)
			return
		}
		w.Header().Set("Content-Type", wire.TypeJSON)
		_ = json.NewEncoder(w).Encode(v) // the operator is gone: nobody left to tell
	}
}

func (s *Server) refuseAdmin(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem.Problem
	switch {
	case errors.As(err, &p):
	case errors.Is(err, ledger.ErrNoAccount):
		p = problem.New(http.StatusNotFound, "no such account: list them, or name a removed one by its id")
	case errors.Is(err, ledger.ErrAccountExists):
		p = problem.New(http.StatusConflict, "an active account has this key already: remove it first, or use another key")
	case errors.Is(err, ledger.ErrInsufficient):
		p = problem.New(http.StatusConflict, "the account's balance is less than that: a payout takes at most the balance")
	case errors.Is(err, ledger.ErrGrantLimit):
		p = problem.New(http.StatusConflict, fmt.Sprintf("an account is granted at most %d coins in all: grant less", int64(maxGrant)))
	case errors.Is(err, ledger.ErrClosed), errors.Is(err, ledger.ErrOverload):
		p, _ = problemOf(err)
	default:
		// The operator is told why: nothing below the admin API puts secrets in errors.
		s.log.Error("admin request failed", "path", r.URL.Path, "err", err)
		p = problem.New(http.StatusInternalServerError, err.Error())
	}
	problem.Write(w, p)
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

func (s *Server) addAccount(r *http.Request) (any, error) {
	var req wire.AddAccount
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	role, err := ledger.ParseRole(req.Role)
	if err != nil {
		return nil, badRequest("role %q is unknown: use collector or analyst", req.Role)
	}
	var pin ledger.Pin
	if err := pin.UnmarshalText([]byte(req.Pin)); err != nil {
		return nil, badRequest("the pin must be 64 hexadecimal digits: the SHA-256 of the key's SubjectPublicKeyInfo")
	}
	if !validAccountName(req.Name) {
		return nil, badRequest("the name must be 1 to 64 of the characters A-Z a-z 0-9 . _ - and not look like an account id")
	}
	if req.Credit < 0 || req.Credit > maxGrant {
		return nil, badRequest("the first credit must be from 0 to %d", int64(maxGrant))
	}

	s.adminMu.Lock()
	defer s.adminMu.Unlock()
	switch _, err := s.activeByName(r.Context(), req.Name); {
	case err == nil:
		return nil, problem.New(http.StatusConflict, "an active account has this name already: choose another")
	case !errors.Is(err, ledger.ErrNoAccount):
		return nil, err
	}
	a, err := s.o.Accounts.AddAccount(r.Context(), req.Name, role, pin)
	if err != nil {
		return nil, err
	}
	s.log.Info("account added", "account", a.ID, "name", a.Name, "role", a.Role, "pin", a.Pin)
	if req.Credit > 0 {
		if a, err = s.grant(r.Context(), a, req.Credit); err != nil {
			// Not what err's own status says: that would promise that nothing happened.
			s.log.Error("account added without its credit", "account", a.ID, "err", err)
			return nil, problem.New(http.StatusInternalServerError,
				fmt.Sprintf("account %s was added, but its credit was not granted (%v): grant it now", req.Name, err))
		}
	}
	return adminAccount(a), nil
}

func (s *Server) listAccounts(r *http.Request) (any, error) {
	out := wire.AdminAccounts{Accounts: []wire.AdminAccount{}}
	err := s.o.Accounts.Accounts(r.Context(), func(a ledger.Account) error {
		out.Accounts = append(out.Accounts, adminAccount(a))
		return nil
	})
	slices.SortFunc(out.Accounts, func(a, b wire.AdminAccount) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Created.Compare(b.Created))
	})
	return out, err
}

// removeAccount takes a key out of the truststore and then cuts its connections; see
// register for why in this order. They are cut after an error, too: whoever is still
// trusted connects again.
func (s *Server) removeAccount(r *http.Request) (any, error) {
	s.adminMu.Lock()
	defer s.adminMu.Unlock()
	a, err := s.named(r)
	if err != nil {
		return nil, err
	}
	id := a.ID
	a, err = s.o.Accounts.RemoveAccount(r.Context(), id)
	cut := s.conns.cut(id)
	if err != nil {
		return nil, err
	}
	s.log.Info("account removed", "account", a.ID, "name", a.Name, "connections_closed", cut)
	return wire.RemovedAccount{AdminAccount: adminAccount(a), ConnectionsClosed: cut}, nil
}

func (s *Server) creditAccount(r *http.Request) (any, error) {
	var req wire.Credit
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if req.Amount == 0 || req.Amount < -maxGrant || req.Amount > maxGrant {
		return nil, badRequest("the amount must be from 1 to %[1]d, or from -1 to -%[1]d for a payout", int64(maxGrant))
	}
	a, err := s.named(r)
	if err != nil {
		return nil, err
	}
	if a, err = s.grant(r.Context(), a, req.Amount); err != nil {
		return nil, err
	}
	return adminAccount(a), nil
}

func (s *Server) grant(ctx context.Context, a ledger.Account, amount int64) (ledger.Account, error) {
	a, err := s.o.Accounts.Grant(ctx, a.ID, amount)
	if err == nil {
		s.log.Info("credit granted", "account", a.ID, "name", a.Name, "amount", amount, "balance", a.Balance())
	}
	return a, err
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
	switch err := s.o.Accounts.Checkpoint(req.Dir); {
	case errors.Is(err, fs.ErrExist):
		return nil, problem.New(http.StatusConflict, "the folder "+req.Dir+" exists already: name a new one")
	case err != nil:
		return nil, err
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
	return wire.Stats{
		Live: st.Live, Issued: st.Issued, Redeemed: st.Redeemed, Returned: st.Returned, Refunded: st.Refunded,
		Retries: st.Retries, DoubleSpends: st.DoubleSpends, NotLive: st.NotLive, Temporary: st.Temporary,
		Overloads: st.Overloads, LowDisk: st.LowDisk,
		Corruptions: st.Corruptions, Batches: st.Batches, BatchCoins: st.Coins,
		Queued: st.Queued, Indexed: st.Indexed, IndexBytes: st.IndexBytes, Unflushed: st.Unflushed,
		DiskBytes: int64(st.DiskBytes), LogBytes: int64(st.LogBytes), BallastBytes: st.BallastBytes,
		ReadAmp: st.ReadAmp, CompactionDebt: int64(st.CompactionDebt), Connections: int64(s.conns.len()),
		Shards: shards,
	}, nil
}

// named returns the account that the path names, by id or, while it is active, by
// name.
func (s *Server) named(r *http.Request) (ledger.Account, error) {
	name := r.PathValue("account")
	var id ledger.AccountID
	if id.UnmarshalText([]byte(name)) == nil {
		return s.o.Accounts.Account(r.Context(), id)
	}
	return s.activeByName(r.Context(), name)
}

// activeByName scans for the active account of a name; ledger.ErrNoAccount.
func (s *Server) activeByName(ctx context.Context, name string) (ledger.Account, error) {
	found := errors.New("found")
	var out ledger.Account
	err := s.o.Accounts.Accounts(ctx, func(a ledger.Account) error {
		if a.Name == name && !a.Removed {
			out = a
			return found
		}
		return nil
	})
	switch {
	case errors.Is(err, found):
		return out, nil
	case err != nil:
		return ledger.Account{}, err
	}
	return ledger.Account{}, ledger.ErrNoAccount
}

// validAccountName says whether a new account may have this name. What looks like an
// id is refused, so that no name can stand for another account's id, and so are the
// two names that mean something else in a path.
func validAccountName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	var id ledger.AccountID
	return len(s) >= 1 && len(s) <= 64 && s != "." && s != ".." && id.UnmarshalText([]byte(s)) != nil
}

func adminAccount(a ledger.Account) wire.AdminAccount {
	return wire.AdminAccount{
		ID: a.ID.String(), Name: a.Name, Role: a.Role.String(), Pin: a.Pin.String(),
		Removed: a.Removed, Created: a.Created.UTC(), Balance: a.Balance(),
		Granted: a.Granted, Issued: a.Issued, Redeemed: a.Redeemed, Returned: a.Returned, Refunded: a.Refunded,
	}
}
