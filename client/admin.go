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

// maxAdminJSON bounds the answers of the admin API, in bytes; the list of a large
// truststore is the longest.
const maxAdminJSON = 256 << 20

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

// Accounts lists the truststore, removed accounts included.
func (a *Admin) Accounts(ctx context.Context) ([]wire.AdminAccount, error) {
	var out wire.AdminAccounts
	if err := a.caller.getJSON(ctx, "accounts", wire.AdminPathAccounts, maxAdminJSON, &out); err != nil {
		return nil, err
	}
	return out.Accounts, nil
}

// RemoveAccount takes an account's key out of the truststore and cuts its live
// connections. The account keeps its balance.
func (a *Admin) RemoveAccount(ctx context.Context, idOrName string) (wire.RemovedAccount, error) {
	const call = "remove account"
	path, err := accountPath(call, idOrName, wire.AdminActionRemove)
	if err != nil {
		return wire.RemovedAccount{}, err
	}
	return post[wire.RemovedAccount](ctx, a, call, path, nil)
}

// Credit grants an account credit; a negative amount is a payout.
func (a *Admin) Credit(ctx context.Context, idOrName string, amount int64) (wire.AdminAccount, error) {
	const call = "credit account"
	path, err := accountPath(call, idOrName, wire.AdminActionCredit)
	if err != nil {
		return wire.AdminAccount{}, err
	}
	return post[wire.AdminAccount](ctx, a, call, path, wire.Credit{Amount: amount})
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

// accountPath returns the path of an action on one account.
func accountPath(call, idOrName, action string) (string, error) {
	if idOrName == "" || idOrName == "." || idOrName == ".." || strings.Contains(idOrName, "/") {
		return "", badArgument(call, "%q is neither the id nor the name of an account", idOrName)
	}
	return wire.AdminPathAccounts + "/" + url.PathEscape(idOrName) + "/" + action, nil
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
