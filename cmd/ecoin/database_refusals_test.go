package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ecoin/internal/pgtest"
)

// TestDatabaseRefusals: what is wrong with a database is said at once, by a bank, by its
// check and by an audit, with what to do, and without the password.
func TestDatabaseRefusals(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{})
	good := server.NewDatabase(t)
	with := func(change func(*url.URL)) string {
		u, err := url.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	query := func(keysAndValues ...string) string {
		return with(func(u *url.URL) {
			q := u.Query()
			for i := 0; i < len(keysAndValues); i += 2 {
				q.Set(keysAndValues[i], keysAndValues[i+1])
			}
			u.RawQuery = q.Encode()
		})
	}
	changed := func(statements ...string) string {
		dsn := server.NewDatabase(t)
		c, err := pgx.Connect(context.Background(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		for _, s := range statements {
			if _, err := c.Exec(context.Background(), s); err != nil {
				t.Fatal(err)
			}
		}
		return dsn
	}

	bank := newBank(t, "--ledger", good) // has keys, and tables in the good database
	bank.terminate()
	stranger := newBank(t)
	stranger.terminate()
	if err := os.RemoveAll(filepath.Join(stranger.dir, "ledger")); err != nil {
		t.Fatal(err)
	}
	const (
		everywhere = "bank, check, audit"
		secret     = "s3cret"
	)
	for _, test := range []struct{ name, dsn, dir, want, of string }{
		{"password", with(func(u *url.URL) { u.User = url.UserPassword("ecoin", secret) }), bank.dir, "refuses the user or the password: correct them", everywhere},
		{"database", with(func(u *url.URL) { u.Path = "/missing" }), bank.dir, "no such database: create it", everywhere},
		{"no schema", changed("DROP SCHEMA public"), bank.dir, "lacks rights: make it the owner", "bank"},
		{"no rights", changed("REVOKE CREATE ON SCHEMA public FROM pg_database_owner"), bank.dir, "lacks rights: make it the owner", "bank"},
		{"no TLS", query("sslmode", "verify-full"), bank.dir, "has no TLS: turn it on", everywhere},
		{"no CA", query("sslmode", "verify-full", "sslrootcert", "/nowhere.pem"), bank.dir, "/nowhere.pem", everywhere},
		{"attributes", query("target_session_attrs", "nonsense"), bank.dir, "unknown target_session_attrs value: nonsense", everywhere},
		{"escape", "postgres://ecoin:" + secret + "%et@127.0.0.1:1/x", bank.dir, "escape what is special in a password", everywhere},
		{"scheme", "mysql://ecoin:" + secret + "@127.0.0.1:1/x", bank.dir, "want postgres://", everywhere},
		{"port", "postgres://ecoin:" + secret + "/x@127.0.0.1:1/x", bank.dir, "invalid port", everywhere},
		{"database, without keys", with(func(u *url.URL) { u.Path = "/missing" }), t.TempDir(), "no such database: create it", "check"},
		{"keys, without keys", good, t.TempDir(), "copy it from another node or from the backup", "check"},
		{"keys", good, stranger.dir, "copy it from another node or from the backup", everywhere},
		{"no ledger", changed(), bank.dir, "has no ledger: name that of the bank", "audit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("ECOIN_LEDGER", test.dsn)
			addresses := []string{"--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"}
			for name, args := range map[string][]string{
				"bank":  append([]string{"bank", "--dir", test.dir}, addresses...),
				"check": append([]string{"bank", "--check-config", "--dir", test.dir}, addresses...),
				"audit": {"audit", "--dir", test.dir},
			} {
				if !strings.Contains(test.of, name) {
					continue
				}
				code, out, errs := ecoin(t, args...)
				if code != 1 || !strings.Contains(out+errs, test.want) {
					t.Errorf("%s: exit code %d, want 1 with %q:\n%s%s", name, code, test.want, out, errs)
				}
				if strings.Contains(out+errs, secret) {
					t.Errorf("%s shows the password:\n%s%s", name, out, errs)
				}
			}
		})
	}
	t.Setenv("ECOIN_LEDGER", good)
	mustEcoin(t, "audit", "--dir", bank.dir)
}

// TestDatabaseInSettings: a bank and an audit find the database in a file of settings.
func TestDatabaseInSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	text := `{"ledger": "` + pgtest.Start(t, pgtest.Options{}).NewDatabase(t) + `"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBank(t, "--config", file)
	b.newClient("cam", "collector", 10)
	b.terminate()
	if _, err := os.Stat(filepath.Join(b.dir, "ledger")); !os.IsNotExist(err) {
		t.Errorf("there is a ledger in the bank's folder: %v", err)
	}
	if out := mustEcoin(t, "audit", "--config", file, "--dir", b.dir); !strings.Contains(out, "1 accounts") {
		t.Errorf("the audit says %s", out)
	}
}
