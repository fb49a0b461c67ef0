package bank

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// answer is a parsed redeem record.
type answer struct {
	Status core.Status
	Sec    core.Secrets
}

// redeem calls Redeem behind some bytes that are there already and parses strictly,
// so that anything but zeros beside a refusal fails the test.
func (w *world) redeem(t testing.TB, acc ledger.Client, records ...[]byte) []answer {
	t.Helper()
	b, err := w.Redeem(t.Context(), acc, []byte("before"), bytes.Join(records, nil))
	if err != nil {
		t.Fatalf("redeem: %v", err)
	}
	b, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok || len(b) != len(records)*wire.RedeemRecordLen {
		t.Fatalf("redeem appended %d bytes for %d records", len(b), len(records))
	}
	out := make([]answer, len(records))
	for i := range out {
		rec := b[i*wire.RedeemRecordLen:][:wire.RedeemRecordLen]
		if out[i].Status, err = wire.ParseRedeemRecord(rec, &out[i].Sec); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func (w *world) giveBack(t testing.TB, acc ledger.Client, records ...[]byte) []core.Status {
	t.Helper()
	b, err := w.Return(t.Context(), acc, []byte("before"), bytes.Join(records, nil))
	if err != nil {
		t.Fatalf("return: %v", err)
	}
	b, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok || len(b) != len(records) {
		t.Fatalf("return appended %d bytes for %d records", len(b), len(records))
	}
	var out []core.Status
	for _, s := range b {
		out = append(out, core.Status(s))
	}
	return out
}

// TestRedeemMixedBatch puts every outcome into one body: the order is kept, coins
// appear where they must and nowhere else, and the ledger sees one batch of those
// that opened.
func TestRedeemMixedBatch(t *testing.T) {
	w := newWorld(t)
	coins := w.coins(t, 5)
	unknown := core.Coin{9, 9, 9} // never issued
	before := record(t, w.key, coins[0], 1)
	w.redeem(t, w.analyst, before)
	theirs := record(t, w.rsa, coins[1], 2)
	w.redeem(t, w.competing, theirs)
	broken := record(t, w.key, coins[2], 3)
	broken[len(broken)-1] ^= 1
	otherKey := record(t, w.key, coins[2], 3)
	otherKey[4] ^= 0x80 // key id
	w.fake.batches = nil

	got := w.redeem(t, w.analyst,
		record(t, w.key, coins[2], 4),   // 0 live
		broken,                          // 1 does not open
		before,                          // 2 a retry
		record(t, w.rsa, coins[3], 5),   // 3 live, other suite
		record(t, w.key, unknown, 6),    // 4 opens, never issued
		theirs,                          // 5 redeemed by the competitor
		otherKey,                        // 6 key unknown
		record(t, w.key, coins[0], 7),   // 7 my own coin in another header
		record(t, w.key, coins[2], 4),   // 8 the coin of 0 in another header
		record(t, w.xwing, coins[4], 5), // 9 live, the third suite
	)
	want := []core.Status{0, 2, 1, 0, 3, 4, 2, 4, 4, 0}
	for i, a := range got {
		if a.Status != want[i] {
			t.Errorf("record %d: %v, want %v", i, a.Status, want[i])
		}
	}
	for i, c := range map[int]answer{0: {Sec: secretsOf(coins[2], 4)}, 2: {Sec: secretsOf(coins[0], 1)}, 3: {Sec: secretsOf(coins[3], 5)}, 9: {Sec: secretsOf(coins[4], 5)}} {
		if got[i].Sec != c.Sec {
			t.Errorf("record %d came back with another coin or IV", i)
		}
	}
	if !slices.Equal(w.fake.batches, []int{8}) {
		t.Errorf("ledger calls of %v coins, want one of 8", w.fake.batches)
	}
}

func secretsOf(c core.Coin, ivByte byte) core.Secrets {
	s := core.Secrets{Coin: c}
	for i := range s.IV {
		s.IV[i] = ivByte
	}
	return s
}

// TestRedeemNothingOpens answers without troubling the ledger.
func TestRedeemNothingOpens(t *testing.T) {
	w := newWorld(t)
	rec := record(t, w.key, core.Coin{1}, 1)
	rec[core.BoundLen] ^= 1
	if got := w.redeem(t, w.analyst, rec, rec); got[0].Status != core.StatusNotOpen || got[1].Status != core.StatusNotOpen {
		t.Errorf("got %v", got)
	}
	if got := w.giveBack(t, w.analyst, rec); got[0] != core.StatusNotLive {
		t.Errorf("return of a header that does not open: %v, want not live", got[0])
	}
	if len(w.fake.batches) != 0 {
		t.Errorf("the ledger was called: %v", w.fake.batches)
	}
}

// TestForgottenOutcome: a ledger that says nil and sets nothing must look like a
// temporary failure, never like success.
func TestForgottenOutcome(t *testing.T) {
	w := newWorld(t)
	coin := w.coins(t, 1)[0]
	rec := record(t, w.key, coin, 1)
	w.redeem(t, w.analyst, rec) // fills the pooled batch with a zero status
	w.fake.forget = true
	for range 3 {
		if got := w.redeem(t, w.analyst, rec)[0]; got.Status != core.StatusTemporary || got.Sec != (core.Secrets{}) {
			t.Errorf("redeem: %v", got.Status)
		}
		if got := w.giveBack(t, w.analyst, rec); got[0] != core.StatusTemporary {
			t.Errorf("return: %v", got)
		}
		out, err := w.Refund(t.Context(), w.collector, nil, coin[:])
		if err != nil || core.Status(out[0]) != core.StatusTemporary {
			t.Errorf("refund: %v, %v", out, err)
		}
	}
}

func TestReturn(t *testing.T) {
	w := newWorld(t)
	coins := w.coins(t, 3)
	mine, theirs := record(t, w.key, coins[0], 1), record(t, w.rsa, coins[1], 1)
	live := record(t, w.key, coins[2], 1)
	w.redeem(t, w.analyst, mine)
	w.redeem(t, w.competing, theirs)
	broken := slices.Clone(mine)
	broken[50] ^= 1

	got := w.giveBack(t, w.analyst, broken, mine, theirs, live, mine)
	if want := []core.Status{3, 0, 4, 3, 0}; !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	if a := w.fake.accounts[w.analyst.ID]; a.Returned != 1 || a.Balance() != 0 {
		t.Errorf("the analyst returned %d and has %d, want 1 and 0", a.Returned, a.Balance())
	}
	if got := w.redeem(t, w.analyst, mine)[0]; got.Status != core.StatusRedeemed {
		t.Errorf("redeeming a returned coin again: %v", got.Status)
	}
}

// TestMalformedBodies gives bodies whose framing is wrong: one error for the whole
// call, the ledger untouched.
func TestMalformedBodies(t *testing.T) {
	w := newWorld(t)
	coin := w.coins(t, 1)[0]
	x, r, pq := record(t, w.key, coin, 1), record(t, w.rsa, coin, 1), record(t, w.xwing, coin, 1)
	edit := func(rec []byte, i int, v byte) []byte {
		rec = slices.Clone(rec)
		rec[i] = v
		return rec
	}
	type row struct {
		body []byte
		want error
	}
	rows := map[string]row{
		"empty":                  {nil, wire.ErrEmpty},
		"version 0":              {edit(x, 0, 0), core.ErrFormat},
		"version 2":              {edit(x, 0, 2), core.ErrFormat},
		"suite 0":                {edit(x, 1, 0), core.ErrFormat},
		"x25519 called xwing":    {edit(x, 1, 0x20), core.ErrFormat},
		"suite 0x21":             {edit(x, 1, 0x21), core.ErrFormat},
		"suite 0xff":             {edit(x, 1, 0xff), core.ErrFormat},
		"x25519 called rsa3072":  {edit(x, 1, 0x01), core.ErrFormat},
		"kind reply":             {edit(x, 2, 2), core.ErrFormat},
		"kind 0":                 {edit(x, 2, 0), core.ErrFormat},
		"byte 3 not zero":        {edit(x, 3, 1), core.ErrFormat},
		"second record bad":      {slices.Concat(x, edit(r, 0, 9)), core.ErrFormat},
		"a byte too many":        {slices.Concat(x, []byte{1}), core.ErrFormat},
		"zeros":                  {make([]byte, 108), core.ErrFormat},
		"1001 records":           {bytes.Repeat(x, wire.MaxBatch+1), wire.ErrTooMany},
		"1000 and a broken tail": {slices.Concat(bytes.Repeat(x, wire.MaxBatch), []byte{7}), wire.ErrTooMany},
	}
	for n := 1; n < len(x); n++ {
		rows[fmt.Sprintf("x25519 cut to %d bytes", n)] = row{x[:n], core.ErrFormat}
	}
	for n := 1; n < len(r); n += 13 {
		rows[fmt.Sprintf("rsa3072 cut to %d bytes", n)] = row{r[:n], core.ErrFormat}
	}
	for n := 1; n < len(pq); n += 97 {
		rows[fmt.Sprintf("xwing cut to %d bytes", n)] = row{pq[:n], core.ErrFormat}
	}
	for name, c := range rows {
		for call, f := range map[string]func() ([]byte, error){
			"redeem": func() ([]byte, error) { return w.Redeem(t.Context(), w.analyst, nil, c.body) },
			"return": func() ([]byte, error) { return w.Return(t.Context(), w.analyst, nil, c.body) },
		} {
			if got, err := f(); !errors.Is(err, c.want) || len(got) != 0 {
				t.Errorf("%s of %s: %d bytes, error %v; want %v", call, name, len(got), err, c.want)
			}
		}
	}
	if len(w.fake.batches) != 0 {
		t.Errorf("the ledger was called: %v", w.fake.batches)
	}
	if got := w.redeem(t, w.analyst, x); got[0].Status != core.StatusOK {
		t.Errorf("the coin after all that: %v", got[0].Status)
	}
}

// TestBitFlips turns every bit of a record, or of a long or slow one every few: none
// redeems, and none of the answers holds anything.
func TestBitFlips(t *testing.T) {
	w := newWorld(t)
	coins := w.coins(t, 3)
	for i, rec := range [][]byte{record(t, w.key, coins[0], 1), record(t, w.rsa, coins[1], 1), record(t, w.xwing, coins[2], 1)} {
		step := []int{1, 41, 7}[i] // an RSA opening takes milliseconds
		for bit := 0; bit < len(rec)*8; bit += step {
			rec[bit/8] ^= 1 << (bit % 8)
			out, err := w.Redeem(t.Context(), w.analyst, nil, rec)
			rec[bit/8] ^= 1 << (bit % 8)
			switch {
			case err != nil && !errors.Is(err, core.ErrFormat):
				t.Fatalf("bit %d: %v", bit, err)
			case err == nil && !bytes.Equal(out, append([]byte{byte(core.StatusNotOpen)}, make([]byte, 48)...)):
				t.Fatalf("bit %d: answer has status %d or holds something", bit, out[0])
			}
		}
		if got := w.redeem(t, w.analyst, rec)[0]; got.Status != core.StatusOK {
			t.Errorf("the whole record afterwards: %v", got.Status)
		}
	}
}

// TestFullBatch redeems as many records as one call takes.
func TestFullBatch(t *testing.T) {
	w := newWorld(t)
	coins := w.coins(t, wire.MaxBatch)
	records := make([][]byte, len(coins))
	for i := range coins {
		records[i] = record(t, w.key, coins[i], byte(i))
	}
	for i, a := range w.redeem(t, w.analyst, records...) {
		if a.Status != core.StatusOK || a.Sec != secretsOf(coins[i], byte(i)) {
			t.Fatalf("record %d: %v or another coin", i, a.Status)
		}
	}
	if !slices.Equal(w.fake.batches, []int{wire.MaxBatch}) {
		t.Errorf("ledger calls: %v", w.fake.batches)
	}
}

func FuzzRedeemBody(f *testing.F) {
	w := newWorld(f)
	coin := w.coins(f, 1)[0]
	x, r, pq := record(f, w.key, coin, 1), record(f, w.rsa, core.Coin{5}, 1), record(f, w.xwing, core.Coin{6}, 1)
	seeds := [][]byte{nil, {1}, x, r, pq, pq[:1195], slices.Concat(x, r), slices.Concat(x, pq), slices.Concat(r, x, x), x[:107], make([]byte, 396), bytes.Repeat(x, 3)}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		b := slices.Clone(slices.Concat(x, r, x))
		for range 3 {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		}
		seeds = append(seeds, b)
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in := slices.Clone(body)
		out, err := w.Redeem(t.Context(), w.analyst, []byte{0xaa}, body)
		if !bytes.Equal(in, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if len(out) != 1 || !errors.Is(err, core.ErrFormat) && !errors.Is(err, wire.ErrEmpty) && !errors.Is(err, wire.ErrTooMany) {
				t.Fatalf("%d bytes with error %v", len(out), err)
			}
			return
		}
		records, err := wire.AppendRecords(nil, body)
		if err != nil || len(out) != 1+len(records)*wire.RedeemRecordLen || out[0] != 0xaa {
			t.Fatalf("%d bytes for %d records (%v)", len(out), len(records), err)
		}
		back, err := w.Return(t.Context(), w.competing, nil, body) // the same parser on the other call
		if err != nil || len(back) != len(records) {
			t.Fatalf("return: %d bytes for %d records (%v)", len(back), len(records), err)
		}
		for i, rec := range records {
			var sec core.Secrets
			st, err := wire.ParseRedeemRecord(out[1+i*wire.RedeemRecordLen:][:wire.RedeemRecordLen], &sec)
			if err != nil {
				t.Fatal(err)
			}
			if genuine := bytes.Equal(rec, x); genuine != (st == core.StatusOK || st == core.StatusRedeemedBefore) {
				t.Fatalf("record %d: genuine %v, status %v", i, genuine, st)
			}
		}
	})
}

func BenchmarkRedeem(b *testing.B) {
	w := newWorld(b)
	for _, n := range []int{1, 100} {
		var body []byte
		for i := range n {
			body = append(body, record(b, w.key, core.Coin{byte(i)}, 1)...)
		}
		b.Run(fmt.Sprintf("headers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			var err error
			w.fake.batches = nil
			for b.Loop() {
				if dst, err = w.Redeem(b.Context(), w.analyst, dst[:0], body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "headers/s")
		})
	}
}
