package main

import (
	"context"
	"crypto/x509"
	"fmt"

	"ecoin/loadgen/fleet"
	"ecoin/loadgen/host"
)

// audit has the bank account for everything.
func audit(ctx context.Context, b *host.Bank) error {
	a, err := b.Admin().Audit(ctx)
	if err != nil {
		return err
	}
	if !a.OK {
		return fmt.Errorf("the audit after the load found: %v", a.Problems)
	}
	return nil
}

// clients returns a pool of clients of the bank that keeps no connection: what is to stay open
// is held.
func clients(b *host.Bank, roots *x509.CertPool, seed fleet.Seed, role string, resume float64) *fleet.Pool {
	return fleet.NewPool(fleet.PoolOptions{Address: b.API(), Name: "127.0.0.1", Roots: roots, Seed: seed, Role: role, Resume: resume, Sessions: 8})
}
