package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ecoin/bank"
	"ecoin/core"
	"ecoin/internal/bankkeys"
	"ecoin/internal/identity"
	"ecoin/internal/sdnotify"
	"ecoin/ledger"
	"ecoin/server"
)

// runningBank is what a service manager and SIGHUP do with a bank.
type runningBank struct {
	cmd    *bankCmd
	log    *slog.Logger
	bank   *bank.Bank
	server *server.Server
	ledger bankLedger
}

// manage tells the service manager how the bank is, and reloads on SIGHUP, until ctx ends.
func (r *runningBank) manage(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	r.notify(sdnotify.Ready)
	var watchdog <-chan time.Time
	if every := sdnotify.WatchdogEvery(); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		watchdog = t.C
	}
	for {
		select {
		case <-hup:
			r.notify(sdnotify.Reloading)
			r.reload()
			r.notify(sdnotify.Ready)
		case <-watchdog:
			// The ledger answers: it has locks and a disk to wait for. That a database is away, or
			// all its connections are in use, is an answer, too, which a restart would not change.
			_, err := r.ledger.Account(ctx, ledger.AccountID{})
			if errors.Is(err, ledger.ErrNoAccount) || errors.Is(err, ledger.ErrUnavailable) || errors.Is(err, ledger.ErrOverload) {
				r.notify(sdnotify.Watchdog)
			}
		case <-ctx.Done():
			r.notify(sdnotify.Stopping)
			return
		}
	}
}

func (r *runningBank) notify(state string) {
	if err := sdnotify.Send(state); err != nil {
		r.log.Warn("the service manager cannot be told", "state", state, "err", err)
	}
}

// reload takes up the header keys and the TLS certificate that are in their files now.
// What cannot be read leaves the old ones.
func (r *runningBank) reload() {
	if ring, err := bankkeys.OpenRing(r.cmd.Dir.keys()); err != nil {
		r.log.Error("header keys not reloaded, the old ones stay", "err", err)
	} else if err := r.record("header keys reloaded", ring); err != nil {
		r.log.Error("header keys not reloaded, the old ones stay: the journal cannot be written", "err", err)
	} else {
		r.bank.SetKeys(ring)
		r.log.Info("header keys reloaded", "keys", len(ring.Public()))
	}
	if id, err := bankkeys.OpenTLS(r.cmd.Dir.keys(), r.cmd.TLSCert, r.cmd.TLSKey); err != nil {
		r.log.Error("TLS certificate not reloaded, the old one stays", "err", err)
	} else if err := r.cmd.Dir.journal().Append("TLS certificate reloaded", certificateFields(id)); err != nil {
		r.log.Error("TLS certificate not reloaded, the old one stays: the journal cannot be written", "err", err)
	} else {
		r.server.SetCertificate(id)
		r.log.Info("TLS certificate reloaded", "expires", id.Certificate.Leaf.NotAfter)
	}
}

func certificateFields(id *identity.Identity) map[string]any {
	return map[string]any{"pin": ledger.Pin(id.Pin), "expires": id.Certificate.Leaf.NotAfter}
}

// record notes in the journal which header keys the bank uses from now on.
func (r *runningBank) record(action string, ring *core.Keyring) error {
	var ids []string
	for _, k := range ring.Public() {
		ids = append(ids, k.ID().String())
	}
	return r.cmd.Dir.journal().Append(action, map[string]any{"header_keys": ids})
}
