// Package obvious is the bank that one would write first: net/http, crypto/tls, crypto/rsa and
// PostgreSQL. It speaks as much of the bank's API as a load of redeems needs, with the same
// meaning as ours: durable answers, retries told from double spends, payment of analysts. It
// is written with care (prepared statements, a pool of connections, one statement a coin),
// and without tricks. Withdrawals cannot be repeated; they only fill it.
package obvious

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ecoin/bench/clients"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

const schema = `
CREATE TABLE coin (fp uuid PRIMARY KEY);
CREATE TABLE spent (fp uuid PRIMARY KEY, account smallint NOT NULL, digest uuid NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE account (number smallint PRIMARY KEY, issued bigint NOT NULL DEFAULT 0, redeemed bigint NOT NULL DEFAULT 0) WITH (fillfactor = 20);`

const (
	// One statement is one transaction.
	redeemCoin = `
WITH gone AS (DELETE FROM coin WHERE fp = $1 RETURNING fp),
     kept AS (INSERT INTO spent (fp, account, digest) SELECT fp, $2, $3 FROM gone),
     paid AS (UPDATE account SET redeemed = redeemed + 1 WHERE number = $2 AND EXISTS (SELECT FROM gone))
SELECT EXISTS (SELECT FROM gone)`
	spentCoin = `SELECT account = $2 AND digest = $3 FROM spent WHERE fp = $1`
	issue     = `WITH charged AS (UPDATE account SET issued = issued + $2 WHERE number = $1) INSERT INTO coin SELECT unnest($3::uuid[])`
)

// Bank serves the API.
type Bank struct {
	clients clients.Truststore
	key     *rsa.PrivateKey
	public  *core.PublicKey
	label   []byte
	keys    []byte // the answer to /v1/keys
	db      *pgxpool.Pool
}

// New makes a bank with a new key at an empty database, one that commits to disk.
func New(ctx context.Context, database, url string, t clients.Truststore) (*Bank, error) {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	public, err := core.ParsePublicKey(core.SuiteRSA3072, der)
	if err != nil {
		return nil, err
	}
	bound := public.Bound()
	b := &Bank{clients: t, key: key, public: public, label: append([]byte("ecoin/v1 header"), bound[:]...)}
	if b.keys, err = json.Marshal(clients.Keys(public, url)); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 64
	if b.db, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	var fsync, commit string
	if err := b.db.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('synchronous_commit')`).Scan(&fsync, &commit); err != nil {
		return nil, err
	}
	if fsync != "on" || commit != "on" {
		return nil, fmt.Errorf("obvious: PostgreSQL forgets what it answered: fsync %s, synchronous_commit %s", fsync, commit)
	}
	if _, err := b.db.Exec(ctx, schema); err != nil {
		return nil, err
	}
	for _, a := range t {
		if _, err := b.db.Exec(ctx, `INSERT INTO account (number) VALUES ($1)`, a.Number); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Close closes the database's connections.
func (b *Bank) Close() { b.db.Close() }

// Serve serves on l until ctx ends.
func (b *Bank) Serve(ctx context.Context, l net.Listener, id *identity.Identity) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.PathRedeem, b.redeem)
	mux.HandleFunc("POST "+wire.PathWithdraw, b.withdraw)
	mux.HandleFunc("GET "+wire.PathAccount, b.account)
	mux.HandleFunc("GET "+wire.PathKeys, func(w http.ResponseWriter, _ *http.Request) { reply(w, b.keys) })
	s := &http.Server{Handler: mux, TLSConfig: b.clients.Config(id), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// reply answers with a length, which else net/http gives to short bodies alone.
func reply(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// redeem opens and redeems one record after the other.
func (b *Bank) redeem(w http.ResponseWriter, r *http.Request) {
	a := b.clients.Of(r.TLS)
	if a.Role != "analyst" {
		http.Error(w, "analysts redeem", http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxRecordsBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	records, err := wire.AppendRecords(nil, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := make([]byte, 0, len(records)*wire.RedeemRecordLen)
	for _, record := range records {
		st, sec, err := b.redeemOne(r.Context(), a, record)
		if err != nil {
			st = core.StatusTemporary
		}
		answer = wire.AppendRedeemRecord(answer, st, &sec)
	}
	reply(w, answer)
}

func (b *Bank) redeemOne(ctx context.Context, a *clients.Account, record []byte) (st core.Status, sec core.Secrets, err error) {
	bound := b.public.Bound()
	if string(record[:core.BoundLen]) != string(bound[:]) {
		return core.StatusNotOpen, sec, nil
	}
	plain, err := rsa.DecryptOAEP(sha256.New(), nil, b.key, record[core.BoundLen:], b.label)
	if err != nil || len(plain) != len(sec.Coin)+len(sec.IV) {
		return core.StatusNotOpen, sec, nil
	}
	copy(sec.Coin[:], plain)
	copy(sec.IV[:], plain[len(sec.Coin):])
	fp, digest := fingerprint(sec.Coin[:]), core.RecordDigest(record)
	var gone, same bool
	if err := b.db.QueryRow(ctx, redeemCoin, fp, a.Number, [16]byte(digest)).Scan(&gone); err != nil {
		return 0, sec, err
	}
	if gone {
		return core.StatusOK, sec, nil
	}
	switch err := b.db.QueryRow(ctx, spentCoin, fp, a.Number, [16]byte(digest)).Scan(&same); {
	case errors.Is(err, pgx.ErrNoRows):
		return core.StatusNotLive, sec, nil
	case err != nil:
		return 0, sec, err
	case same:
		return core.StatusRedeemedBefore, sec, nil
	}
	return core.StatusRedeemed, sec, nil
}

// fingerprint is the database's key for a coin.
func fingerprint(coin []byte) [16]byte {
	sum := sha256.Sum256(coin)
	return [16]byte(sum[:16])
}

// withdraw makes coins.
func (b *Bank) withdraw(w http.ResponseWriter, r *http.Request) {
	a := b.clients.Of(r.TLS)
	n, err := wire.ParseCount(r.URL.Query().Get(wire.ParamCount))
	if err != nil || a.Role != "collector" {
		http.Error(w, "collectors withdraw n coins", http.StatusBadRequest)
		return
	}
	coins := make([]byte, n*wire.CoinLen)
	_, _ = rand.Read(coins)
	keys := make([][16]byte, n)
	for i := range keys {
		keys[i] = fingerprint(coins[i*wire.CoinLen : (i+1)*wire.CoinLen])
	}
	if _, err := b.db.Exec(r.Context(), issue, a.Number, n, keys); err != nil {
		http.Error(w, "ask again", http.StatusServiceUnavailable)
		return
	}
	reply(w, coins)
}

// account tells a client of its account.
func (b *Bank) account(w http.ResponseWriter, r *http.Request) {
	a := b.clients.Of(r.TLS)
	out := wire.Account{ID: a.ID(), Name: a.Name, Role: a.Role}
	if err := b.db.QueryRow(r.Context(), `SELECT issued, redeemed FROM account WHERE number = $1`, a.Number).Scan(&out.Issued, &out.Redeemed); err != nil {
		http.Error(w, "ask again", http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(out)
}
