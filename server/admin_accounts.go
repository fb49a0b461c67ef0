package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"ecoin/internal/problem"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

const maxGrant = 1e15 // most coins in one grant: what every JSON reader holds exactly

func (s *Server) addAccount(r *http.Request) (any, error) {
	var req wire.AddAccount
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	n, err := newAccount(req)
	if err != nil {
		return nil, err
	}
	if err := s.record("account added", map[string]any{"name": n.Name, "role": n.Role, "pin": n.Pin, "credit": n.Credit}); err != nil {
		return nil, err
	}
	ids, errs, err := s.addAccounts(r.Context(), []ledger.NewAccount{n})
	if err == nil && errs[0] != ledger.ErrAccountSame { // who adds one account does not do it again
		err = errs[0]
	} else if err == nil {
		err = ledger.ErrAccountExists
	}
	if err != nil {
		return nil, s.failed("account added", err)
	}
	a, err := s.o.Accounts.Account(r.Context(), ids[0])
	if err != nil {
		return nil, err
	}
	s.log.Info("account added", "account", a.ID, "name", a.Name, "role", a.Role, "pin", a.Pin, "credit", n.Credit)
	return adminAccount(a), nil
}

func (s *Server) addAccounts(ctx context.Context, list []ledger.NewAccount) (ids []ledger.AccountID, errs []error, err error) {
	ids, errs = make([]ledger.AccountID, len(list)), make([]error, len(list))
	if err = s.o.Accounts.AddAccounts(ctx, list, ids, errs); err != nil {
		return nil, nil, err
	}
	var added []ledger.AccountID
	for i := range list {
		if errs[i] == nil { // it may have been removed before, with this key or with two
			s.trust.forgetKey(list[i].Pin)
			added = append(added, ids[i])
		}
	}
	s.trust.forget(added...)
	return ids, errs, nil
}

// newAccount checks an account to be added.
func newAccount(req wire.AddAccount) (n ledger.NewAccount, err error) {
	n.Name, n.Credit = req.Name, req.Credit
	if n.Role, err = ledger.ParseRole(req.Role); err != nil {
		return n, badRequest("role %q is unknown: use collector or analyst", req.Role)
	}
	if n.Pin, err = parsePin(req.Pin); err != nil {
		return n, err
	}
	if !validAccountName(req.Name) {
		return n, badRequest("the name must be 1 to 64 of the characters A-Z a-z 0-9 . _ - and not look like an account id")
	}
	if req.Credit < 0 || req.Credit > maxGrant {
		return n, badRequest("the first credit must be from 0 to %d", int64(maxGrant))
	}
	return n, nil
}

func parsePin(text string) (pin ledger.Pin, err error) {
	if pin.UnmarshalText([]byte(text)) != nil || pin == (ledger.Pin{}) {
		return pin, badRequest("the pin must be 64 hexadecimal digits: the SHA-256 of the key's SubjectPublicKeyInfo")
	}
	return pin, nil
}

// importAccounts adds many accounts in one durable step. What cannot be added is told by
// its index, and keeps out no other.
func (s *Server) importAccounts(r *http.Request) (any, error) {
	var req wire.Import
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if len(req.Accounts) == 0 || len(req.Accounts) > wire.MaxImport {
		return nil, badRequest("an import holds 1 to %d accounts", wire.MaxImport)
	}
	out := wire.Imported{Refused: []wire.Refusal{}}
	var list []ledger.NewAccount
	var index []int
	digest := sha256.New()
	for i, account := range req.Accounts {
		n, err := newAccount(account)
		if err != nil {
			out.Refused = append(out.Refused, wire.Refusal{Index: i, Reason: reason(err)})
			continue
		}
		list, index = append(list, n), append(index, i)
		_ = json.NewEncoder(digest).Encode(account)
	}
	if err := s.record("accounts imported", map[string]any{"accounts": len(list), "sha256": fmt.Sprintf("%x", digest.Sum(nil))}); err != nil {
		return nil, err
	}
	_, errs, err := s.addAccounts(r.Context(), list)
	if err != nil {
		return nil, s.failed("accounts imported", err)
	}
	for i, err := range errs {
		switch {
		case err == nil:
			out.Added++
		case err == ledger.ErrAccountSame:
			out.Unchanged++
		default:
			out.Refused = append(out.Refused, wire.Refusal{Index: index[i], Reason: reason(err)})
		}
	}
	s.log.Info("accounts imported", "added", out.Added, "unchanged", out.Unchanged, "refused", len(out.Refused))
	return out, nil
}

// reason says why one account was refused.
func reason(err error) string {
	if p, ok := adminProblem(err); ok {
		return p.Detail
	}
	return err.Error()
}

// listAccounts streams the truststore, a line an account: there may be a billion.
func (s *Server) listAccounts(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", wire.TypeLines)
	out := json.NewEncoder(w)
	n := int64(0)
	err := s.o.Accounts.Accounts(r.Context(), func(a ledger.Account) error {
		n++
		line := adminAccount(a)
		return out.Encode(wire.AccountLine{Account: &line})
	})
	if err != nil && n == 0 {
		return err
	}
	if err != nil { // the list has no end, so its reader knows that it is not whole
		s.log.Error("the list of accounts was broken off", "err", err)
		return nil
	}
	return out.Encode(wire.AccountLine{End: &n})
}

func (s *Server) showAccount(r *http.Request) (any, error) {
	a, err := s.named(r)
	if err != nil {
		return nil, err
	}
	return adminAccount(a), nil
}

// changeState returns the call that removes, suspends or resumes an account. Its
// connections are cut after the change; see register for why in this order. They are cut
// after an error, too: whoever is still trusted connects again.
func (s *Server) changeState(action string, state ledger.State) adminCall {
	return func(r *http.Request) (any, error) {
		a, err := s.named(r)
		if err != nil {
			return nil, err
		}
		if err := s.record(action, map[string]any{"account": a.ID, "name": a.Name}); err != nil {
			return nil, err
		}
		id := a.ID
		a, err = s.o.Accounts.SetState(r.Context(), id, state)
		s.trust.forget(id)
		cut := 0
		if state != ledger.Active {
			cut = s.conns.cut(id)
		}
		if err != nil {
			return nil, s.failed(action, err)
		}
		s.log.Info(action, "account", a.ID, "name", a.Name, "connections_closed", cut)
		return wire.ChangedAccount{AdminAccount: adminAccount(a), ConnectionsClosed: cut}, nil
	}
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
	if err := s.record("credit granted", map[string]any{"account": a.ID, "name": a.Name, "amount": req.Amount}); err != nil {
		return nil, err
	}
	if a, err = s.o.Accounts.Grant(r.Context(), a.ID, req.Amount); err != nil {
		return nil, s.failed("credit granted", err)
	}
	s.log.Info("credit granted", "account", a.ID, "name", a.Name, "amount", req.Amount, "balance", a.Balance())
	return adminAccount(a), nil
}

// addKey gives an account a further key, so that its client can change over without a
// moment in which neither works.
func (s *Server) addKey(r *http.Request) (any, error) {
	a, pin, err := s.namedKey(r)
	if err != nil {
		return nil, err
	}
	if err := s.record("key added", map[string]any{"account": a.ID, "name": a.Name, "pin": pin}); err != nil {
		return nil, err
	}
	a, err = s.o.Accounts.AddPin(r.Context(), a.ID, pin)
	s.trust.forgetKey(pin) // it may have been an account's that was removed
	if err != nil {
		return nil, s.failed("key added", err)
	}
	s.log.Info("key added", "account", a.ID, "name", a.Name, "pin", a.Pin, "old_pin", a.OldPin)
	return adminAccount(a), nil
}

func (s *Server) dropKey(r *http.Request) (any, error) {
	a, pin, err := s.namedKey(r)
	if err != nil {
		return nil, err
	}
	if err := s.record("key dropped", map[string]any{"account": a.ID, "name": a.Name, "pin": pin}); err != nil {
		return nil, err
	}
	id := a.ID
	a, err = s.o.Accounts.DropPin(r.Context(), id, pin)
	s.trust.forgetKey(pin)
	if err != nil {
		return nil, s.failed("key dropped", err)
	}
	cut := s.conns.cutKey(id, pin)
	s.log.Info("key dropped", "account", a.ID, "name", a.Name, "pin", pin, "connections_closed", cut)
	return wire.ChangedAccount{AdminAccount: adminAccount(a), ConnectionsClosed: cut}, nil
}

func (s *Server) namedKey(r *http.Request) (a ledger.Account, pin ledger.Pin, err error) {
	var req wire.AccountKey
	if err := decode(r, &req); err != nil {
		return a, pin, err
	}
	if pin, err = parsePin(req.Pin); err != nil {
		return a, pin, err
	}
	a, err = s.named(r)
	return a, pin, err
}

// named returns the account that the path names, by id or, while it is not removed, by
// name.
func (s *Server) named(r *http.Request) (ledger.Account, error) {
	name := r.PathValue("account")
	var id ledger.AccountID
	if id.UnmarshalText([]byte(name)) == nil {
		return s.o.Accounts.Account(r.Context(), id)
	}
	return s.o.Accounts.AccountByName(r.Context(), name)
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
	out := wire.AdminAccount{
		ID: a.ID.String(), Name: a.Name, Role: a.Role.String(), State: a.State.String(), Pin: a.Pin.String(),
		Created: a.Created.UTC(), Balance: a.Balance(),
		Granted: a.Granted, Issued: a.Issued, Redeemed: a.Redeemed, Returned: a.Returned, Refunded: a.Refunded,
	}
	if a.OldPin != (ledger.Pin{}) {
		out.OldPin = a.OldPin.String()
	}
	return out
}

// adminProblem returns the answer to what an admin call failed with, if it is expected.
func adminProblem(err error) (p *problem.Problem, expected bool) {
	if errors.As(err, &p) {
		return p, true
	}
	for _, r := range []struct {
		err    error
		status int
		detail string
	}{
		{ledger.ErrNoAccount, http.StatusNotFound, "no such account: list them, or name a removed one by its id"},
		{ledger.ErrAccountExists, http.StatusConflict, "an account has this key already: remove it first, or use another key"},
		{ledger.ErrNameTaken, http.StatusConflict, "an account has this name already: choose another"},
		{ledger.ErrRemoved, http.StatusConflict, "the account was removed: add its key again"},
		{ledger.ErrRotating, http.StatusConflict, "the account has two keys already: drop one of them first"},
		{ledger.ErrNoPin, http.StatusConflict, "the account has no two keys of which this is one"},
		{ledger.ErrInsufficient, http.StatusConflict, "the account's balance is less than that: a payout takes at most the balance"},
		{ledger.ErrGrantLimit, http.StatusConflict, fmt.Sprintf("an account is granted at most %d coins in all: grant less", int64(maxGrant))},
	} {
		if errors.Is(err, r.err) {
			return problem.New(r.status, r.detail), true
		}
	}
	for _, passing := range []error{ledger.ErrClosed, ledger.ErrOverload, ledger.ErrUnavailable} {
		if errors.Is(err, passing) {
			v := verdictOn(err)
			return v.Problem, v.expected
		}
	}
	return nil, false
}
