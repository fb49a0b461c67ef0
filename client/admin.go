package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"ecoin/internal/wire"
)

// maxAdminJSON bounds the answers of the admin API, in bytes, but for the list of the
// truststore, which is read line by line.
const maxAdminJSON = 16 << 20

// Admin calls the admin API of a running bank through its Unix socket. It is safe
// for concurrent use and keeps no connection between calls, so there is nothing to
// close. Calls have no time limit but ctx's: an audit reads the whole ledger.
//
// Errors are as the package comment says. Adding, removing and granting are not
// repeatable in general: after an error that is not definite, look at [Admin.Accounts]
// first.
type Admin struct {
	caller caller
}

// NewAdmin returns a client of the bank whose admin socket is at socketPath.
func NewAdmin(socketPath string) *Admin {
	return &Admin{caller{
		base: "http://bank",
		transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "unix", socketPath)
				return conn, explainDial(socketPath, err)
			},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
	}}
}

// explainDial says what to do about a socket that does not answer.
func explainDial(socketPath string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no bank is running at %s: start it, or name the socket of the one that runs: %w", socketPath, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s belongs to the bank's own user: run this as that user: %w", socketPath, err)
	}
	return err
}

// AddAccount puts a key into the truststore. Adding a key that was removed revives
// its account, with its balance.
func (a *Admin) AddAccount(ctx context.Context, add wire.AddAccount) (wire.AdminAccount, error) {
	return post[wire.AdminAccount](ctx, a, "add account", wire.AdminPathAccounts, add)
}

// Import adds up to wire.MaxImport accounts in one durable step. Those that are there
// already, with the same name and role, stay as they are, so that an import can be
// repeated.
func (a *Admin) Import(ctx context.Context, accounts []wire.AddAccount) (wire.Imported, error) {
	return post[wire.Imported](ctx, a, "import accounts", wire.AdminPathImport, wire.Import{Accounts: accounts})
}

// Account returns one account; removed ones are named by id.
func (a *Admin) Account(ctx context.Context, idOrName string) (out wire.AdminAccount, err error) {
	const call = "account"
	path, err := accountPath(call, idOrName, "")
	if err != nil {
		return out, err
	}
	err = a.caller.getJSON(ctx, call, path, maxAdminJSON, &out)
	return out, err
}

// Accounts calls visit for every account of the truststore, removed ones included, in no
// particular order. It stops at visit's first error and returns it; any other error means
// that the list is not whole.
func (a *Admin) Accounts(ctx context.Context, visit func(wire.AdminAccount) error) error {
	const call = "accounts"
	req, err := a.caller.newRequest(ctx, request{call: call, method: http.MethodGet, path: wire.AdminPathAccounts})
	if err != nil {
		return err
	}
	resp, err := a.caller.transport.RoundTrip(req)
	if err != nil {
		return unanswered(call, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return readProblem(call, resp)
	}
	if err := checkType(resp, wire.TypeLines); err != nil {
		return malformed(call, err)
	}
	lines := json.NewDecoder(resp.Body)
	for n := int64(0); ; n++ {
		var line wire.AccountLine
		switch err := lines.Decode(&line); {
		case err != nil:
			return malformed(call, fmt.Errorf("it ends after %d accounts: %w", n, err))
		case line.End != nil && *line.End == n:
			return nil
		case line.Account == nil:
			return malformed(call, fmt.Errorf("account %d is none", n))
		}
		if err := visit(*line.Account); err != nil {
			return err
		}
	}
}

// RemoveAccount takes an account's keys out of the truststore and cuts its live
// connections. The account keeps its balance.
func (a *Admin) RemoveAccount(ctx context.Context, idOrName string) (wire.ChangedAccount, error) {
	return change[wire.ChangedAccount](ctx, a, "remove account", idOrName, wire.AdminActionRemove, nil)
}

// SuspendAccount keeps an account's keys out until ResumeAccount, and cuts its live
// connections.
func (a *Admin) SuspendAccount(ctx context.Context, idOrName string) (wire.ChangedAccount, error) {
	return change[wire.ChangedAccount](ctx, a, "suspend account", idOrName, wire.AdminActionSuspend, nil)
}

// ResumeAccount lets a suspended account in again.
func (a *Admin) ResumeAccount(ctx context.Context, idOrName string) (wire.ChangedAccount, error) {
	return change[wire.ChangedAccount](ctx, a, "resume account", idOrName, wire.AdminActionResume, nil)
}

// AddKey gives an account a further key; the one before works as well until DropKey.
func (a *Admin) AddKey(ctx context.Context, idOrName, pin string) (wire.AdminAccount, error) {
	return change[wire.AdminAccount](ctx, a, "add key", idOrName, wire.AdminActionAddKey, wire.AccountKey{Pin: pin})
}

// DropKey takes one of an account's two keys out of the truststore and cuts the live
// connections that came with it.
func (a *Admin) DropKey(ctx context.Context, idOrName, pin string) (wire.ChangedAccount, error) {
	return change[wire.ChangedAccount](ctx, a, "drop key", idOrName, wire.AdminActionDropKey, wire.AccountKey{Pin: pin})
}

// Credit grants an account credit; a negative amount is a payout.
func (a *Admin) Credit(ctx context.Context, idOrName string, amount int64) (wire.AdminAccount, error) {
	return change[wire.AdminAccount](ctx, a, "credit account", idOrName, wire.AdminActionCredit, wire.Credit{Amount: amount})
}

// Audit has the bank scan its ledger. An audit that finds something wrong is an
// answer, not an error: look at its OK.
func (a *Admin) Audit(ctx context.Context) (wire.Audit, error) {
	return post[wire.Audit](ctx, a, "audit", wire.AdminPathAudit, nil)
}

// Checkpoint has the bank write a consistent copy of its ledger to dir, an absolute
// path on the bank's machine that does not exist yet.
func (a *Admin) Checkpoint(ctx context.Context, dir string) error {
	_, err := post[struct{}](ctx, a, "checkpoint", wire.AdminPathCheckpoint, wire.Checkpoint{Dir: dir})
	return err
}

// Stats returns the bank's running counters.
func (a *Admin) Stats(ctx context.Context) (wire.Stats, error) {
	var out wire.Stats
	err := a.caller.getJSON(ctx, "stats", wire.AdminPathStats, maxAdminJSON, &out)
	return out, err
}

// change does an action to one account.
func change[T any](ctx context.Context, a *Admin, call, idOrName, action string, in any) (out T, err error) {
	path, err := accountPath(call, idOrName, "/"+action)
	if err != nil {
		return out, err
	}
	return post[T](ctx, a, call, path, in)
}

// accountPath returns the path of one account and what follows it.
func accountPath(call, idOrName, rest string) (string, error) {
	if idOrName == "" || idOrName == "." || idOrName == ".." || strings.Contains(idOrName, "/") {
		return "", badArgument(call, "%q is neither the id nor the name of an account", idOrName)
	}
	return wire.AdminPathAccounts + "/" + url.PathEscape(idOrName) + rest, nil
}

// post sends in as JSON, or no body when in is nil, and returns the answer.
func post[T any](ctx context.Context, a *Admin, call, path string, in any) (out T, err error) {
	r := request{call: call, method: http.MethodPost, path: path, jsonLimit: maxAdminJSON}
	if in != nil {
		if r.body, err = json.Marshal(in); err != nil {
			return out, badArgument(call, "the request cannot be encoded")
		}
		r.bodyType = wire.TypeJSON
	}
	b, err := a.caller.do(ctx, r)
	if err != nil {
		return out, err
	}
	var got T
	if err := decode(call, b, &got); err != nil {
		return out, err
	}
	return got, nil
}
