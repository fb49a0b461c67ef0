package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"ecoin/internal/bankkeys"
	"ecoin/ledger"
)

// running reports whether a bank answers on the admin socket. A socket that was named
// and does not answer is an error.
func (f socketFlags) running() (bool, error) {
	conn, err := net.Dial("unix", f.path())
	switch {
	case err == nil:
		return true, conn.Close()
	case f.Socket != "" || !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
		return false, err
	}
	return false, nil
}

// openOffline opens the ledger of a bank that does not run.
func openOffline(dir bankDir, disks []string, log *slog.Logger) (*ledger.Ledger, *bankkeys.Keys, error) {
	log.Info("no bank is running here: opening its ledger", "dir", dir.ledger())
	if _, err := os.Stat(dir.ledger()); err != nil {
		return nil, nil, fmt.Errorf("%s is not the folder of a bank: %w", dir, err)
	}
	keys, err := bankkeys.Open(dir.keys(), "", "")
	if err != nil {
		return nil, nil, err
	}
	l, err := ledger.Open(dir.ledger(), ledger.Options{Mint: keys.Mint.AppendFingerprints, Disks: disks, Logger: log})
	return l, keys, err
}

// bank returns the absolute path of the bank's folder, which its socket is in.
func (f socketFlags) bank() (string, error) {
	if f.Socket != "" {
		return filepath.Abs(filepath.Dir(f.Socket))
	}
	return filepath.Abs(string(f.Dir))
}
