package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"ecoin/core"
)

// codecs lists every record: how it is decoded and encoded again, samples of it and
// their golden bytes. Bytes on disk must not change without a new format number.
var codecs = []struct {
	name   string
	recode func([]byte) ([]byte, error) // decode, encode
	golden []string
}{
	{"meta", func(b []byte) ([]byte, error) {
		m, err := decodeMeta(b)
		if err == nil && m.format > formatVersion {
			return b, nil // only the number of a newer format is read
		}
		return m.append(nil), err
	}, []string{
		"00000003" + "0010" + strings.Repeat("a5", 16) + "01" + "00" + strings.Repeat("5a", 16),
		"00000003" + "0100" + strings.Repeat("00", 16) + "03" + "02" + strings.Repeat("77", 16),
	}},
	{"account", func(b []byte) ([]byte, error) {
		a, err := decodeAccount(b)
		return a.append(nil), err
	}, []string{
		"01" + "00" + "0000018bcfe56800" + strings.Repeat("aa", 32) + strings.Repeat("00", 32) + hex.EncodeToString([]byte("Ölçer")),
		"02" + "01" + "ffffffffffffffff" + strings.Repeat("00", 32) + strings.Repeat("00", 32) + "78",
		"01" + "02" + "0000018bcfe56800" + strings.Repeat("aa", 32) + strings.Repeat("bb", 32) + "79",
	}},
	{"pin", func(b []byte) ([]byte, error) {
		id, err := decodeOwner(b)
		return id[:], err
	}, []string{strings.Repeat("07", 16)}},
	{"funds", func(b []byte) ([]byte, error) {
		f, err := decodeFunds(b)
		return f.append(nil), err
	}, []string{"ffffffffffffffff" + "0000000000000007"}},
	{"tally", func(b []byte) ([]byte, error) {
		v, err := decodeTally(b)
		return v.append(nil), err
	}, []string{"0000000000000001" + "0000000000000002" + "7fffffffffffffff"}},
	{"counters", func(b []byte) ([]byte, error) {
		c, err := decodeCounters(b)
		return c.append(nil), err
	}, []string{"0000000000000005" + "0000000000000004" + "0000000000000003" + "0000000000000002" + "0000000000000001" + "0000000000000009"}},
	{"kept", func(b []byte) ([]byte, error) {
		w, err := decodeKept(b)
		if err != nil {
			return nil, err
		}
		return appendWindowKey(nil, kindSpent, w)[1:], nil
	}, []string{"65535455"}},
	{"withdrawal", func(b []byte) ([]byte, error) {
		w, err := decodeWithdrawal(b)
		return w.append(nil), err
	}, []string{
		"01" + "00002710" + strings.Repeat("5a", 32),
		"02" + "00000001" + strings.Repeat("00", 32),
		"03" + "00000002" + strings.Repeat("ff", 32),
	}},
	{"returned", func(b []byte) ([]byte, error) {
		c, err := decodeReturned(b)
		return appendReturned(nil, &c), err
	}, []string{strings.Repeat("01", 16) + strings.Repeat("02", 16) + "0000018bcfe56800"}},
	{"spent", func(b []byte) ([]byte, error) {
		c, err := decodeSpent(b)
		return appendSpent(nil, &c), err
	}, []string{
		"01" + strings.Repeat("01", 16) + "0000018bcfe56800" + strings.Repeat("02", 16),
		"02" + strings.Repeat("03", 16) + "0000018bcfe56800",
		"03" + strings.Repeat("03", 16) + "0000018bcfe56800" + strings.Repeat("01", 16) + strings.Repeat("02", 16),
	}},
}

func golden(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecords(t *testing.T) {
	for _, c := range codecs {
		for _, s := range c.golden {
			b := golden(t, s)
			if got, err := c.recode(b); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%s %s: read and written again it is %x, %v", c.name, s, got, err)
			}
			if _, err := c.recode(b[:len(b)-1]); c.name != "account" && !errors.Is(err, errRecord) {
				t.Errorf("%s without its last byte: %v", c.name, err)
			}
			if _, err := c.recode(append(slices.Clone(b), 0)); !errors.Is(err, errRecord) {
				t.Errorf("%s with a byte more: %v", c.name, err)
			}
		}
		if _, err := c.recode(nil); !errors.Is(err, errRecord) {
			t.Errorf("empty %s: %v", c.name, err)
		}
	}
	for name, bad := range map[string]string{
		"meta":       "00000001" + "0003", // three shards
		"account":    "01" + "03" + "0000000000000000" + strings.Repeat("00", 64) + "78",
		"funds":      "0000000000000000" + "ffffffffffffffff",
		"tally":      "ffffffffffffffff" + "0000000000000002" + "0000000000000002",
		"counters":   "0000000000000005" + "8000000000000000" + "0000000000000003" + "0000000000000002" + "0000000000000001",
		"withdrawal": "01" + "00002711" + strings.Repeat("5a", 32),
		"spent":      "04" + strings.Repeat("03", 16) + "0000018bcfe56800",
	} {
		for _, c := range codecs {
			if c.name != name {
				continue
			}
			if _, err := c.recode(golden(t, bad)); !errors.Is(err, errRecord) {
				t.Errorf("bad %s: %v", name, err)
			}
		}
	}
}

// FuzzRecords checks for every decoder that it does not panic, refuses with errRecord,
// gives nothing with an error, and that what it takes is written again byte for byte.
// The first byte of the input picks the decoder.
func FuzzRecords(f *testing.F) {
	seeds := 0
	for i, c := range codecs {
		for _, s := range c.golden {
			f.Add(byte(i), golden(f, s))
			seeds++
		}
	}
	if seeds != 17 {
		f.Fatalf("%d seeds, want 17", seeds)
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		c := codecs[int(which)%len(codecs)]
		got, err := c.recode(b)
		if err != nil {
			if !errors.Is(err, errRecord) {
				t.Fatalf("%s: error %v does not wrap errRecord", c.name, err)
			}
			return
		}
		if !bytes.Equal(got, b) {
			t.Fatalf("%s: %x was read and written again as %x", c.name, b, got)
		}
	})
}

// FuzzPending does the same for a row of a withdrawal under way, key and value.
func FuzzPending(f *testing.F) {
	acc, id := AccountID{1}, RequestID{2}
	w := withdrawal{state: withdrawalPending, count: 3, salt: core.Salt{4}}
	f.Add(appendPendingKey(nil, &acc, &id), w.append(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		p, err := decodePending(key, value)
		if err != nil {
			if !errors.Is(err, errRecord) || p != (pendingWithdrawal{}) {
				t.Fatalf("error %v, with something", err)
			}
			return
		}
		if !bytes.Equal(appendPendingKey(nil, &p.account, &p.id), key) || !bytes.Equal(p.append(nil), value) {
			t.Fatal("not the same bytes when written again")
		}
	})
}

// Keys must sort as the schema says: by kind, window, account, fingerprint, shard.
func TestKeyOrder(t *testing.T) {
	a, b := AccountID{1}, AccountID{1, 0, 1}
	x, y := core.Fingerprint{9}, core.Fingerprint{9, 1}
	r1, r2 := RequestID{1}, RequestID{2}
	keys := [][]byte{
		accountKey(a), accountKey(b),
		appendTallyKey(nil, &a, 0), appendTallyKey(nil, &a, 255), appendTallyKey(nil, &b, 0),
		appendCountersKey(nil, 0), appendCountersKey(nil, 255),
		appendEndedKey(nil, 1, &b, &r2), appendEndedKey(nil, 256, &a, &r1), appendEndedKey(nil, 256, &a, &r2),
		fundsKey(a), fundsKey(b),
		appendLiveKey(nil, &x), appendLiveKey(nil, &y),
		metaKey(),
		nameKey("a"), nameKey("ab"), nameKey("b"),
		pinKey(Pin{}), pinKey(Pin{1}),
		appendReturnedKey(nil, &x), appendReturnedKey(nil, &y),
		appendWindowKey(nil, kindSpent, 7), appendSpentKey(nil, 7, &y), appendSpentKey(nil, 300, &x), appendSpentKey(nil, 300, &y),
		keptKey(kindEnded), keptKey(kindSpent),
		appendPendingKey(nil, &a, &r2), appendPendingKey(nil, &b, &r1),
	}
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		t.Error("keys are out of order")
	}
	if !slices.IsSorted([]byte(kinds)) {
		t.Error("kinds are out of order")
	}
	seen := ""
	for _, k := range keys {
		if !strings.Contains(seen, string(k[0])) {
			seen += string(k[0])
		}
	}
	if seen != kinds {
		t.Errorf("kinds seen are %q, want %q", seen, kinds)
	}
}

func TestShardOf(t *testing.T) {
	for shards := 1; shards <= maxShards; shards *= 2 {
		var hit [maxShards]int
		for first := range 256 {
			fp := core.Fingerprint{byte(first), 0xff}
			i := shardOf(&fp, shards)
			if i < 0 || i >= shards || i != first*shards/256 {
				t.Fatalf("first byte %d of %d shards belongs to shard %d", first, shards, i)
			}
			hit[i]++
		}
		for i := range shards {
			if hit[i] != 256/shards {
				t.Errorf("shard %d of %d has %d of 256 prefixes", i, shards, hit[i])
			}
		}
	}
}
