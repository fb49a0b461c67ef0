package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/bankkeys"
	"ecoin/internal/keyfile"
)

// TestStolenLedgerRevealsNoCoin searches everything a bank wrote, its ledger and
// its output, for every coin it issued and for the keys to make them again. A
// positive control shows that the search would find them.
func TestStolenLedgerRevealsNoCoin(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	b := newBank(t, "--log-level", "debug")
	collector := b.newClient("collector", "collector", 1000)
	analyst := b.newClient("analyst", "analyst", 0)
	ctx := context.Background()
	coins, err := collector.Withdraw(ctx, [16]byte{1}, 200)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := collector.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var s core.Scratch
	var records [][]byte
	var ivs []core.IV
	for i := range 100 {
		secrets := core.Secrets{Coin: coins[i]}
		rand.Read(secrets.IV[:])
		ivs = append(ivs, secrets.IV)
		r, err := keys[0].Public.AppendHeader(nil, &s, &secrets)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	mustOK := func(what string, n int, err error) {
		t.Helper()
		if err != nil || n == 0 {
			t.Fatalf("%s: %d answers, %v", what, n, err)
		}
	}
	redeemed, err := analyst.Redeem(ctx, records)
	mustOK("redeem", len(redeemed), err)
	again, err := analyst.Redeem(ctx, records[:10])
	mustOK("redeem again", len(again), err)
	returned, err := analyst.Return(ctx, records[:50])
	mustOK("return", len(returned), err)
	refunded, err := collector.Refund(ctx, coins[:150])
	mustOK("refund", len(refunded), err)
	_, err = analyst.Redeem(ctx, [][]byte{records[0][:len(records[0])-1]})
	if err == nil {
		t.Fatal("a cut record was accepted")
	}
	b.terminate()

	bank, err := bankkeys.Open(filepath.Join(b.dir, "keys"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	issue, err := keyfile.ReadSecret(filepath.Join(b.dir, "keys", "issue.key"), keyfile.TypeIssueKey)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := keyfile.ReadSecret(filepath.Join(b.dir, "keys", "fingerprint.key"), keyfile.TypeFingerprintKey)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{"the issue key": issue[:], "the fingerprint key": fingerprint[:]}
	for i := range coins {
		secrets[fmt.Sprintf("coin %d", i)] = coins[i][:]
	}
	for i := range ivs {
		secrets[fmt.Sprintf("IV %d", i)] = ivs[i][:]
	}

	written := map[string][]byte{"standard output": []byte(b.outText()), "standard error": []byte(b.logText())}
	err = filepath.WalkDir(filepath.Join(b.dir, "ledger"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		written[path] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for place, content := range written {
		for what, secret := range secrets {
			for _, form := range [][]byte{
				secret[:16], // a part is enough
				column(secret),
				[]byte(hex.EncodeToString(secret)[:24]),
				[]byte(strings.ToUpper(hex.EncodeToString(secret)[:24])),
				[]byte(base64.StdEncoding.EncodeToString(secret)[:20]),
				[]byte(strings.Trim(fmt.Sprint(secret[:8]), "[]")),
			} {
				if bytes.Contains(content, form) {
					t.Errorf("%s is in %s", what, place)
				}
			}
		}
		fp := bank.Mint.Fingerprint(&coins[len(coins)-1])
		if bytes.Contains(content, fp[:]) || bytes.Contains(content, column(fp[:])) {
			known++
		}
	}
	if known == 0 {
		t.Error("not even the fingerprint of a live coin was found: the search does not work")
	}
}

// column returns what a table has of a key that is a byte and then b: bytes 3 to 10 of b
// as a little-endian integer, see the ledger's key schema.
func column(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(nil, binary.BigEndian.Uint64(b[3:]))
}

// TestRemovedKeyIsCut removes an account while its connection is open.
func TestRemovedKeyIsCut(t *testing.T) {
	b := newBank(t)
	c := b.newClient("cam", "collector", 10)
	ctx := context.Background()
	if _, err := c.Account(ctx); err != nil {
		t.Fatal(err)
	}
	out := mustEcoin(t, "trust", "remove", "cam", "--dir", b.dir)
	if !strings.Contains(out, "connections cut: 1") || !strings.Contains(out, "balance of 10") {
		t.Errorf("trust remove says: %s", out)
	}
	for range 3 { // the first on the cut connection, the others on new ones that would resume the session
		if a, err := c.Account(ctx); err == nil || client.Definite(err) {
			t.Fatalf("a removed key got an answer: %v, %v", a, err)
		}
	}
	if out := mustEcoin(t, "trust", "list", "--dir", b.dir); !strings.Contains(out, "removed") {
		t.Errorf("trust list says: %s", out)
	}
}
