package pgledger

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// reach makes a first connection, and returns an error if something is wrong that does not
// pass by itself. A database that is away may come back.
func (l *Ledger) reach(ctx context.Context) error {
	return unusable(l.try(ctx, l.cold, func(context.Context, *pgx.Conn) error { return nil }))
}

// unusable returns err with what to do about it, or nil for an error that may pass.
func unusable(err error) error {
	what := ""
	switch sqlState(err) {
	case "28P01":
		what = "the database refuses the user or the password: correct them in the DSN, or in the password file"
	case "28000":
		what = "the database does not let this user in from here, or not in this way: see its pg_hba.conf and the DSN's sslmode"
	case "3D000":
		what = "there is no such database: create it, or correct the DSN"
	case "42501", "3F000":
		what = "the user lacks rights: make it the owner of the database, or grant it CREATE and USAGE on the schema, and ALL on tables that another user made"
	}
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		what = "the database's certificate does not verify: sslrootcert in the DSN must be the file of its CA, and the host one of the certificate's names"
	}
	if err != nil && strings.Contains(err.Error(), "server refused TLS connection") { // pgconn has no name for it
		what = "the database has no TLS: turn it on there; or sslmode=disable in the DSN, where nobody can listen"
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("pgledger: %s: %w", what, err)
}

// hidePassword keeps of pgx's error about a DSN only what cannot have the DSN in it: it
// quotes a DSN that it cannot read, and then guesses which part of that is the password.
func hidePassword(err error) error {
	var parse *pgconn.ParseConfigError
	if !errors.As(err, &parse) {
		return err
	}
	text := err.Error()
	text = text[strings.LastIndex(text, "`: ")+len("`: "):]
	if strings.HasPrefix(text, "failed to parse") {
		text = "it cannot be read; in a URL, escape what is special in a password, such as %25 for a percent sign"
	}
	return fmt.Errorf("%s (want postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?target_session_attrs=read-write)", text)
}
