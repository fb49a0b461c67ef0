// Package plots holds the measurements that BENCHMARKS.md shows, for programs that
// calculate with them: what internal/ledgerscale and internal/bankscale wrote on the
// machine that each file names.
package plots

import _ "embed"

var (
	// Ledger is how the ledger grows, by internal/ledgerscale.
	//
	//go:embed results.json
	Ledger []byte

	// Bank is a bank through mutual TLS, by internal/bankscale.
	//
	//go:embed bank/results.json
	Bank []byte

	// Concurrency is the same bank with 1 to 64 connections, by internal/bankscale.
	//
	//go:embed concurrency/results.json
	Concurrency []byte
)
