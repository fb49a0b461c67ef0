package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

// fleet has the accounts of a load: a collector whose coins are sealed beforehand, and an
// analyst that redeems them.
type fleet struct {
	collector *client.Client
	key       *core.PublicKey
	analyst   *tls.Config
	stranger  *tls.Config // a collector's, which may not redeem
	bank      string
}

func newFleet(ctx context.Context, b *bankProcess, suite string) (*fleet, error) {
	roots, err := identity.ReadRoots(filepath.Join(b.keys(), "tls.crt"))
	if err != nil {
		return nil, err
	}
	f := &fleet{bank: b.api}
	id := func(name, role string, credit int64) (*identity.Identity, error) {
		certPEM, keyPEM, err := identity.New(name, []string{"localhost"}, 24*time.Hour)
		if err != nil {
			return nil, err
		}
		id, err := identity.Parse(certPEM, keyPEM)
		if err != nil {
			return nil, err
		}
		_, err = b.admin.AddAccount(ctx, wire.AddAccount{Name: name, Role: role, Pin: fmt.Sprintf("%x", id.Pin), Credit: credit})
		return id, err
	}
	collector, err := id("fleet", "collector", 1e12)
	if err != nil {
		return nil, err
	}
	analyst, err := id("analyst", "analyst", 0)
	if err != nil {
		return nil, err
	}
	f.analyst, f.stranger = clientConfig(analyst, roots), clientConfig(collector, roots)
	if f.collector, err = client.New(client.Options{URL: "https://" + b.api, Identity: collector, Roots: roots, Timeout: time.Minute}); err != nil {
		return nil, err
	}
	want, err := core.ParseSuite(suite)
	if err != nil {
		return nil, err
	}
	keys, err := f.collector.Keys(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Public.Suite() == want {
			f.key = k.Public
			return f, nil
		}
	}
	return nil, errors.New("the bank has no key of this suite")
}

func clientConfig(id *identity.Identity, roots *x509.CertPool) *tls.Config {
	config := identity.ClientConfig(id, roots)
	config.ServerName = "127.0.0.1"
	return config
}

func (f *fleet) close() { f.collector.Close() }

// bodies withdraws coins and seals them in requests of n headers each.
func (f *fleet) bodies(ctx context.Context, coins, n int) (*bodies, error) {
	coins = coins / n * n
	out := &bodies{all: make([]byte, 0, coins*f.key.Suite().RecordLen()), size: n * f.key.Suite().RecordLen(), n: n}
	var s core.Scratch
	secrets := make([]core.Secrets, 0, wire.MaxWithdraw)
	for left := coins; left > 0; left -= len(secrets) {
		var id [16]byte
		_, _ = rand.Read(id[:])
		got, err := f.collector.Withdraw(ctx, id, min(left, wire.MaxWithdraw))
		if err != nil {
			return nil, err
		}
		secrets = secrets[:0]
		for _, c := range got {
			secret := core.Secrets{Coin: c}
			_, _ = rand.Read(secret.IV[:])
			secrets = append(secrets, secret)
		}
		if out.all, err = f.key.AppendHeaders(out.all, &s, secrets); err != nil {
			return nil, err
		}
	}
	return out, nil
}
