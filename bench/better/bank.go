// Package better is the bank of somebody who knows where time goes: fasthttp, crypto/hpke and
// Redis with pipelined commands and its log synced at each. It speaks as much of the bank's
// API as a load of redeems needs, with the same meaning as ours: durable answers, retries told
// from double spends, payment of analysts. Withdrawals cannot be repeated; they only fill it.
package better

import (
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/rueidis"
	"github.com/valyala/fasthttp"

	"ecoin/bench/clients"
	"ecoin/bench/store"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

// Bank serves the API.
type Bank struct {
	clients clients.Truststore
	key     hpke.PrivateKey
	public  *core.PublicKey
	keys    []byte // the answer to /v1/keys
	db      rueidis.Client
	redeems *rueidis.Lua
}

// New makes a bank with a new key at an empty Redis, one whose log is synced at each command.
func New(ctx context.Context, database, url string, t clients.Truststore) (*Bank, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		return nil, err
	}
	public, err := core.ParsePublicKey(core.SuiteX25519, key.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	b := &Bank{clients: t, key: key, public: public, redeems: rueidis.NewLuaScript(store.RedeemScript)}
	if b.keys, err = json.Marshal(clients.Keys(public, url)); err != nil {
		return nil, err
	}
	// Commands of all requests are pipelined over a few connections.
	if b.db, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{database}, DisableCache: true}); err != nil {
		return nil, err
	}
	settings, err := b.db.Do(ctx, b.db.B().ConfigGet().Parameter("appendonly", "appendfsync").Build()).AsStrMap()
	if err == nil && (settings["appendonly"] != "yes" || settings["appendfsync"] != "always") {
		err = fmt.Errorf("better: Redis forgets what it answered: %v", settings)
	}
	return b, err
}

// Close closes the database's connections.
func (b *Bank) Close() { b.db.Close() }

// Serve serves on l until ctx ends.
func (b *Bank) Serve(ctx context.Context, l net.Listener, id *identity.Identity) error {
	s := &fasthttp.Server{Handler: b.handle, MaxRequestBodySize: wire.MaxRecordsBody, NoDefaultServerHeader: true, NoDefaultDate: true, Concurrency: 100_000}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	if err := s.Serve(tls.NewListener(l, b.clients.Config(id))); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (b *Bank) handle(ctx *fasthttp.RequestCtx) {
	a := b.clients.Of(ctx.TLSConnectionState())
	var err error
	switch string(ctx.Path()) {
	case wire.PathRedeem:
		err = b.redeem(ctx, a)
	case wire.PathWithdraw:
		err = b.withdraw(ctx, a)
	case wire.PathAccount:
		err = b.account(ctx, a)
	case wire.PathKeys:
		ctx.SetBody(b.keys)
	default:
		ctx.Error("no such path", fasthttp.StatusNotFound)
	}
	if err != nil {
		ctx.Error("ask again", fasthttp.StatusServiceUnavailable)
	}
}

// redeem opens all records of a request, and redeems their coins by one call of the script.
func (b *Bank) redeem(ctx *fasthttp.RequestCtx, a *clients.Account) error {
	if a.Role != "analyst" {
		ctx.Error("analysts redeem", fasthttp.StatusForbidden)
		return nil
	}
	records, err := wire.AppendRecords(nil, ctx.PostBody())
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusBadRequest)
		return nil
	}
	secs, statuses := make([]core.Secrets, len(records)), make([]core.Status, len(records))
	keys, args, which := make([]string, 0, len(records)), make([]string, 1, 1+len(records)), make([]int, 0, len(records))
	args[0] = creditKey(a)
	now := uint32(time.Now().Unix())
	for i, record := range records {
		if !b.open(record, &secs[i]) {
			statuses[i] = core.StatusNotOpen
			continue
		}
		digest := core.RecordDigest(record)
		kept := binary.BigEndian.AppendUint16(make([]byte, 0, 22), uint16(a.Number))
		keys = append(keys, fingerprint(secs[i].Coin[:]))
		args = append(args, string(binary.BigEndian.AppendUint32(append(kept, digest[:]...), now)))
		which = append(which, i)
	}
	if len(keys) > 0 {
		held, err := b.redeems.Exec(ctx, b.db, keys, args).ToArray()
		if err != nil {
			return err
		}
		if len(held) != len(keys) {
			return errors.New("better: an answer of the wrong length")
		}
		for k := range held {
			if statuses[which[k]], err = statusOf(&held[k], args[1+k]); err != nil {
				return err
			}
		}
	}
	answer := make([]byte, 0, len(records)*wire.RedeemRecordLen)
	for i := range records {
		answer = wire.AppendRedeemRecord(answer, statuses[i], &secs[i])
	}
	ctx.Response.SetBodyRaw(answer)
	return nil
}

// statusOf is the answer for a coin whose key held something when mine was to be written.
func statusOf(held *rueidis.RedisMessage, mine string) (core.Status, error) {
	if held.IsNil() {
		return core.StatusNotLive, nil
	}
	text, err := held.ToString()
	const timeLen = 4
	switch {
	case err != nil:
		return 0, err
	case text == "":
		return core.StatusOK, nil
	case len(text) == len(mine) && text[:len(text)-timeLen] == mine[:len(mine)-timeLen]:
		return core.StatusRedeemedBefore, nil
	}
	return core.StatusRedeemed, nil
}

// open opens a record.
func (b *Bank) open(record []byte, sec *core.Secrets) bool {
	bound := b.public.Bound()
	const encLen = 32
	if string(record[:core.BoundLen]) != string(bound[:]) {
		return false
	}
	header := record[core.BoundLen:]
	r, err := hpke.NewRecipient(header[:encLen], b.key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte("ecoin/v1 header"))
	if err != nil {
		return false
	}
	plain, err := r.Open(bound[:], header[encLen:])
	if err != nil || len(plain) != len(sec.Coin)+len(sec.IV) {
		return false
	}
	copy(sec.Coin[:], plain)
	copy(sec.IV[:], plain[len(sec.Coin):])
	return true
}

// fingerprint is the database's key for a coin.
func fingerprint(coin []byte) string {
	sum := sha256.Sum256(coin)
	return string(sum[:16])
}

func creditKey(a *clients.Account) string { return "redeemed" + strconv.Itoa(int(a.Number)) }
func issuedKey(a *clients.Account) string { return "issued" + strconv.Itoa(int(a.Number)) }

// withdraw makes coins.
func (b *Bank) withdraw(ctx *fasthttp.RequestCtx, a *clients.Account) error {
	n, err := wire.ParseCount(string(ctx.QueryArgs().Peek(wire.ParamCount)))
	if err != nil || a.Role != "collector" {
		ctx.Error("collectors withdraw n coins", fasthttp.StatusBadRequest)
		return nil
	}
	coins := make([]byte, n*wire.CoinLen)
	_, _ = rand.Read(coins)
	set := b.db.B().Mset().KeyValue()
	for i := range n {
		set = set.KeyValue(fingerprint(coins[i*wire.CoinLen:(i+1)*wire.CoinLen]), "")
	}
	for _, r := range b.db.DoMulti(ctx, set.Build(), b.db.B().Incrby().Key(issuedKey(a)).Increment(int64(n)).Build()) {
		if err := r.Error(); err != nil {
			return err
		}
	}
	ctx.Response.SetBodyRaw(coins)
	return nil
}

// account tells a client of its account.
func (b *Bank) account(ctx *fasthttp.RequestCtx, a *clients.Account) error {
	amounts, err := b.db.Do(ctx, b.db.B().Mget().Key(issuedKey(a), creditKey(a)).Build()).ToArray()
	if err != nil {
		return err
	}
	var sums [2]int64
	for i := range min(len(sums), len(amounts)) {
		if !amounts[i].IsNil() {
			if sums[i], err = amounts[i].AsInt64(); err != nil {
				return err
			}
		}
	}
	body, err := json.Marshal(wire.Account{ID: a.ID(), Name: a.Name, Role: a.Role, Issued: sums[0], Redeemed: sums[1]})
	ctx.SetBody(body)
	return err
}
