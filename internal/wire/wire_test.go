package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ecoin/core"
)

// record returns a well-formed record of the suite whose header bytes are fill.
func record(s core.Suite, fill byte) []byte {
	r := []byte{core.Version, byte(s), core.KindRequest, 0}
	r = append(r, bytes.Repeat([]byte{0xa1}, 8)...)
	return append(r, bytes.Repeat([]byte{fill}, s.HeaderLen())...)
}

func secrets(fill byte) *core.Secrets {
	var s core.Secrets
	for i := range s.Coin {
		s.Coin[i] = fill + byte(i)
	}
	for i := range s.IV {
		s.IV[i] = fill ^ 0x80 + byte(i)
	}
	return &s
}

func TestRecordLengthsAreThoseOfTheSuites(t *testing.T) {
	if got := core.SuiteX25519.RecordLen(); got != minRecordLen {
		t.Errorf("an x25519 record has %d bytes, minRecordLen is %d", got, minRecordLen)
	}
	if got := core.SuiteXWing.RecordLen(); got != maxRecordLen {
		t.Errorf("an xwing record has %d bytes, maxRecordLen is %d", got, maxRecordLen)
	}
	for n := range 256 {
		if got := core.Suite(n).RecordLen(); got != 0 && (got < minRecordLen || got > maxRecordLen) {
			t.Errorf("a record of %v has %d bytes, not %d to %d", core.Suite(n), got, minRecordLen, maxRecordLen)
		}
	}
}

func TestAppendRecords(t *testing.T) {
	x, r, w := record(core.SuiteX25519, 1), record(core.SuiteRSA3072, 2), record(core.SuiteXWing, 3)
	mixed := bytes.Join([][]byte{x, r, w, x}, nil)
	got, err := AppendRecords(nil, mixed)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{x, r, w, x} {
		if !bytes.Equal(got[i], want) {
			t.Errorf("record %d differs", i)
		}
		if cap(got[i]) != len(got[i]) {
			t.Errorf("record %d has spare capacity: an append would overwrite its neighbour", i)
		}
	}
	if &got[0][0] != &mixed[0] {
		t.Error("the records do not alias the body")
	}
	if got, err = AppendRecords([][]byte{{9}}, x); err != nil || len(got) != 2 || got[0][0] != 9 {
		t.Errorf("appended to one record: %d records, %v", len(got), err)
	}
	for _, suite := range []core.Suite{core.SuiteX25519, core.SuiteXWing, core.SuiteRSA3072} {
		full := bytes.Repeat(record(suite, 3), MaxBatch)
		if len(full) > MaxRecordsBody {
			t.Errorf("a full batch of %v has %d bytes, MaxRecordsBody is %d", suite, len(full), MaxRecordsBody)
		}
		if got, err := AppendRecords(nil, full); err != nil || len(got) != MaxBatch {
			t.Errorf("a full batch of %v: %d records, %v", suite, len(got), err)
		}
	}
}

func TestAppendRecordsRefuses(t *testing.T) {
	x := record(core.SuiteX25519, 1)
	change := func(i int, v byte) []byte {
		b := bytes.Clone(x)
		b[i] = v
		return append(bytes.Clone(x), b...) // the second record is the bad one
	}
	tests := []struct {
		name string
		body []byte
		want error
		text string
	}{
		{"nothing", nil, ErrEmpty, "empty"},
		{"one too many", bytes.Repeat(x, MaxBatch+1), ErrTooMany, "1000"},
		{"one and a byte too many", append(bytes.Repeat(x, MaxBatch), 1), ErrTooMany, "1000"},
		{"one byte", []byte{1}, core.ErrFormat, "record 0 (at byte 0)"},
		{"a byte short", x[:len(x)-1], core.ErrFormat, "record 0"},
		{"a byte long", append(bytes.Clone(x), 1), core.ErrFormat, "record 1 (at byte 108)"},
		{"version", change(0, 2), core.ErrFormat, "record 1 (at byte 108)"},
		{"suite", change(1, 0x77), core.ErrFormat, "record 1"},
		{"kind", change(2, core.KindReply), core.ErrFormat, "record 1"},
		{"zero byte", change(3, 1), core.ErrFormat, "record 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := make([][]byte, 0, 2000)
			got, err := AppendRecords(dst, tt.body)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q, want %q with %q", err, tt.want, tt.text)
			}
			if len(got) != 0 {
				t.Errorf("%d records with an error", len(got))
			}
		})
	}
}

func TestRedeemRecord(t *testing.T) {
	sec := secrets(7)
	for st := core.StatusOK; st <= core.StatusTemporary; st++ {
		rec := AppendRedeemRecord([]byte("before"), st, sec)[len("before"):]
		if len(rec) != RedeemRecordLen {
			t.Fatalf("%v: %d bytes", st, len(rec))
		}
		out := *secrets(99)
		got, err := ParseRedeemRecord(rec, &out)
		if err != nil || got != st {
			t.Errorf("%v: parsed %v, %v", st, got, err)
		}
		want := core.Secrets{}
		if st == core.StatusOK || st == core.StatusRedeemedBefore {
			want = *sec
		} else if !bytes.Equal(rec[1:], make([]byte, 48)) {
			t.Errorf("%v: a refusal carries secrets", st)
		}
		if out != want {
			t.Errorf("%v: wrong secrets", st)
		}
	}
	if rec := AppendRedeemRecord(nil, core.StatusNotLive, nil); len(rec) != RedeemRecordLen {
		t.Errorf("without secrets: %d bytes", len(rec))
	}
}

func TestRedeemRecordRefuses(t *testing.T) {
	good := AppendRedeemRecord(nil, core.StatusOK, secrets(7))
	refusal := AppendRedeemRecord(nil, core.StatusRedeemed, nil)
	with := func(b []byte, i int, v byte) []byte { b = bytes.Clone(b); b[i] = v; return b }
	for name, rec := range map[string][]byte{
		"empty":                   nil,
		"a byte short":            good[:48],
		"a byte long":             append(bytes.Clone(good), 0),
		"status 6":                with(good, 0, 6),
		"status 255":              with(refusal, 0, 255),
		"coin in a refusal":       with(refusal, 1, 1),
		"last byte of a refusal":  with(refusal, 48, 1),
		"secrets but status live": with(good, 0, byte(core.StatusNotLive)),
	} {
		out := *secrets(99)
		if _, err := ParseRedeemRecord(rec, &out); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if out != (core.Secrets{}) {
			t.Errorf("%s: secrets with an error", name)
		}
	}
}

func TestReturnStatus(t *testing.T) {
	allowed := map[byte]bool{0: true, 3: true, 4: true, 5: true}
	for b := range 256 {
		st, err := ParseReturnStatus(byte(b))
		if (err == nil) != allowed[byte(b)] {
			t.Errorf("byte %d: %v", b, err)
		}
		if err == nil && byte(st) != byte(b) {
			t.Errorf("byte %d: parsed as %v", b, st)
		}
	}
}

func TestRefundRecord(t *testing.T) {
	at := time.Date(2026, 11, 23, 11, 52, 3, 456_789_000, time.FixedZone("", 7200))
	who := [16]byte{1, 2, 3, 15: 16}
	tests := []struct {
		name   string
		st     core.Status
		at     time.Time
		who    [16]byte
		wantAt time.Time
		want   [16]byte
	}{
		{"refunded", core.StatusOK, at, who, time.Time{}, [16]byte{}},
		{"not live", core.StatusNotLive, at, who, time.Time{}, [16]byte{}},
		{"temporary", core.StatusTemporary, at, who, time.Time{}, [16]byte{}},
		{"redeemed", core.StatusRedeemed, at, who, at.UTC().Truncate(time.Millisecond), who},
		{"evidence gone", core.StatusRedeemed, time.Time{}, [16]byte{}, time.Time{}, [16]byte{}},
		{"before 1970", core.StatusRedeemed, time.UnixMilli(-1), who, time.Time{}, who},
	}
	for _, tt := range tests {
		rec := AppendRefundRecord(nil, tt.st, tt.at, tt.who)
		if len(rec) != RefundRecordLen {
			t.Errorf("%s: %d bytes", tt.name, len(rec))
		}
		st, gotAt, gotWho, err := ParseRefundRecord(rec)
		if err != nil || st != tt.st || !gotAt.Equal(tt.wantAt) || gotWho != tt.want {
			t.Errorf("%s: %v %v %x, %v", tt.name, st, gotAt, gotWho, err)
		}
		if gotAt.IsZero() != tt.wantAt.IsZero() {
			t.Errorf("%s: time %v", tt.name, gotAt)
		}
	}
}

func TestRefundRecordRefuses(t *testing.T) {
	good := AppendRefundRecord(nil, core.StatusRedeemed, time.UnixMilli(math.MaxInt64), [16]byte{1})
	if _, _, _, err := ParseRefundRecord(good); err != nil {
		t.Errorf("the last moment: %v", err)
	}
	with := func(i int, v byte) []byte { b := bytes.Clone(good); b[i] = v; return b }
	for name, rec := range map[string][]byte{
		"empty":            nil,
		"a byte short":     good[:24],
		"a byte long":      append(bytes.Clone(good), 0),
		"redeemed before":  with(0, 1),
		"not open":         with(0, 2),
		"status 6":         with(0, 6),
		"time of 64 bits":  with(1, 0x80),
		"evidence with ok": with(0, 0),
	} {
		if _, at, who, err := ParseRefundRecord(rec); err == nil || !at.IsZero() || who != ([16]byte{}) {
			t.Errorf("%s: %v %x, %v", name, at, who, err)
		}
	}
}

func TestRefundRecordKeepsEveryMillisecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(1, math.MaxInt64).Draw(t, "ms")
		who := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "who"))
		st, at, got, err := ParseRefundRecord(AppendRefundRecord(nil, core.StatusRedeemed, time.UnixMilli(ms), who))
		if err != nil || st != core.StatusRedeemed || at.UnixMilli() != ms || got != who {
			t.Fatalf("%v %d %x, %v", st, at.UnixMilli(), got, err)
		}
	})
}

func TestCoins(t *testing.T) {
	coins := []core.Coin{secrets(1).Coin, secrets(2).Coin, secrets(3).Coin}
	body := AppendCoins([]byte{}, coins)
	if len(body) != 3*CoinLen {
		t.Fatalf("%d bytes", len(body))
	}
	for name, parse := range map[string]func([]core.Coin, []byte) ([]core.Coin, error){
		"refund":   ParseRefundRequest,
		"withdraw": func(dst []core.Coin, b []byte) ([]core.Coin, error) { return ParseWithdrawn(dst, b, 3) },
	} {
		got, err := parse(coins[:1:1], body)
		if err != nil || len(got) != 4 || got[0] != coins[0] || got[1] != coins[0] || got[3] != coins[2] {
			t.Errorf("%s: %d coins, %v", name, len(got), err)
		}
	}
	full := make([]byte, MaxCoinsBody)
	if got, err := ParseRefundRequest(nil, full); err != nil || len(got) != MaxBatch {
		t.Errorf("a full batch: %d coins, %v", len(got), err)
	}
}

func TestCoinsRefuse(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		want error
	}{
		{"empty", 0, ErrEmpty},
		{"a byte", 1, ErrLength},
		{"a byte short", 63, ErrLength},
		{"a byte long", 65, ErrLength},
		{"a byte over a full batch", MaxCoinsBody + 1, ErrTooMany},
		{"one coin too many", MaxCoinsBody + CoinLen, ErrTooMany},
	} {
		if got, err := ParseRefundRequest(nil, make([]byte, tt.size)); !errors.Is(err, tt.want) || got != nil {
			t.Errorf("refund, %s: %d coins, %v", tt.name, len(got), err)
		}
	}
	for _, size := range []int{0, 31, 32, 63, 65, 96} {
		if got, err := ParseWithdrawn(nil, make([]byte, size), 2); !errors.Is(err, ErrLength) || got != nil {
			t.Errorf("withdraw of 2, %d bytes: %d coins, %v", size, len(got), err)
		}
	}
	if _, err := ParseWithdrawn(nil, nil, -1); err == nil {
		t.Error("-1 coins are accepted")
	}
}

func TestIdempotencyKey(t *testing.T) {
	id, err := ParseIdempotencyKey("00112233445566778899aAbBcCdDeEfF")
	if err != nil || FormatIdempotencyKey(id) != "00112233445566778899aabbccddeeff" {
		t.Errorf("%x, %v", id, err)
	}
	for _, s := range []string{"", "0", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("0", 64),
		strings.Repeat("g", 32), " " + strings.Repeat("0", 31), "0x" + strings.Repeat("0", 30), strings.Repeat("é", 16)} {
		if id, err := ParseIdempotencyKey(s); err == nil || id != ([16]byte{}) {
			t.Errorf("%q: %x, %v", s, id, err)
		}
	}
}

func TestParseCount(t *testing.T) {
	for s, want := range map[string]int{"1": 1, "42": 42, "10000": 10000} {
		if n, err := ParseCount(s); err != nil || n != want {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "0", "-1", "10001", "+1", " 1", "1 ", "01", "1.0", "1e3", "0x10", "ten", "99999999999999999999"} {
		if n, err := ParseCount(s); err == nil || n != 0 {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
}

// Other programs read these names.
func TestJSONNames(t *testing.T) {
	for _, tt := range []struct {
		v    any
		want string
	}{
		{Account{}, `{"id":"","name":"","role":"","balance":0,"granted":0,"issued":0,"redeemed":0,"returned":0,"refunded":0}`},
		{Keys{Keys: []Key{{}}}, `{"keys":[{"suite":"","key_id":"","public_key":"","url":""}]}`},
		{AddAccount{}, `{"name":"","role":"","pin":"","credit":0}`},
		{Credit{}, `{"amount":0}`},
		{Checkpoint{}, `{"dir":""}`},
		{ChangedAccount{}, `{"id":"","name":"","role":"","state":"","pin":"","created":"0001-01-01T00:00:00Z",` +
			`"balance":0,"granted":0,"issued":0,"redeemed":0,"returned":0,"refunded":0,"connections_closed":0}`},
		{Audit{Problems: []string{}, Damaged: []int{}}, `{"ok":false,"problems":[],"damaged":[],"accounts":0,"live":0,"returned":0,"pending":0,"granted":0,"balances":0,"issued":0,"redeemed":0,"refunded":0}`},
	} {
		if got, err := json.Marshal(tt.v); err != nil || string(got) != tt.want {
			t.Errorf("%T:\n got %s, %v\nwant %s", tt.v, got, err, tt.want)
		}
	}
}
