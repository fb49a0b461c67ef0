package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/host"
)

// parties have the accounts of a load: a collector whose coins are sealed beforehand, and an
// analyst that redeems them. Both are number 0 of their role.
type parties struct {
	collector *client.Client
	key       *core.PublicKey
	analyst   *fleet.Pool
	resuming  *fleet.Pool // the same analyst, whose connects resume a session
	stranger  *fleet.Pool // a collector, which may not redeem
}

func newParties(ctx context.Context, b *host.Bank, suite string) (*parties, error) {
	roots, err := b.Roots()
	if err != nil {
		return nil, err
	}
	seed := fleet.NewSeed()
	for role, credit := range map[string]int64{"collector": 1e12, "analyst": 0} {
		if _, err := b.Admin().AddAccount(ctx, wire.AddAccount{Name: role, Role: role, Pin: fmt.Sprintf("%x", seed.Pin(role, 0)), Credit: credit}); err != nil {
			return nil, err
		}
	}
	f := &parties{
		analyst: clients(b, roots, seed, "analyst", 0), resuming: clients(b, roots, seed, "analyst", 1), stranger: clients(b, roots, seed, "collector", 0),
	}
	collector, err := seed.Identity("collector", 0)
	if err != nil {
		return nil, err
	}
	if f.collector, err = client.New(client.Options{URL: "https://" + b.API(), Identity: collector, Roots: roots, Timeout: time.Minute}); err != nil {
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

func (f *parties) close() { f.collector.Close() }

// bodies withdraws coins and seals them in requests of n headers each.
func (f *parties) bodies(ctx context.Context, coins, n int) (*bodies, error) {
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
