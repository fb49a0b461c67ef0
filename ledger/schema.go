package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// The whole schema. A key is one kind byte, then fields of fixed length, so that
// byte order is field order; every integer is big-endian. Windows are explained at
// type windows, coin states in package life.
//
//	key                                    value
//	a | account 16                         role 1 | state 1 | created unix ms 8 | pin 32 | old pin 32 | name   account
//	b | account 16 | shard 1               redeemed 8 | returned 8 | refunded 8                     tally of one account in one shard
//	c | shard 1                            issued 8 | redeemed 8 | returned 8 | refunded live 8 | refunded returned 8 | commits 8
//	d | window 4 | account 16 | request 16 state 1 | count 4 | salt 32                              withdrawal that ended
//	g | account 16                         granted 8 (signed) | issued 8                            funds
//	l | fingerprint 16                     -                                                        live coin
//	m                                      format 4 | shards 2 | mint 16 | disks 1 | disk 1 | id 16   what this store is
//	n | name                               account 16                                               account of a name, unless it is removed
//	p | pin 32                             account 16                                               account of a pin
//	r | fingerprint 16                     redeemer 16 | digest 16 | unix ms 8                      returned coin
//	s | window 4 | fingerprint 16          state 1 | account 16 | unix ms 8 [| redeemer 16 | digest 16]   spent coin
//	w | kind 1                             window 4                                                 first window of that kind that was not dropped
//	x | account 16 | request 16            state 1 | count 4 | salt 32                              withdrawal under way
//
// A fingerprint is at any time under at most one of l, r, s. Its shard is given by
// its first bits, see shardOf. Rows b and c are written only by the committer of
// their shard, in one batch with the coins they count; rows g and x only under
// their account's lock, rows a, n and p only under the truststore's.
const (
	kindAccount  = 'a'
	kindTally    = 'b'
	kindCounters = 'c'
	kindEnded    = 'd'
	kindFunds    = 'g'
	kindLive     = 'l'
	kindMeta     = 'm'
	kindName     = 'n'
	kindPin      = 'p'
	kindReturned = 'r'
	kindSpent    = 's'
	kindKept     = 'w'
	kindPending  = 'x'
)

// kinds lists every kind byte there is, in order.
const kinds = "abcdglmnprswx"

// formatVersion is written into new stores. A store with a higher number was
// written by a newer program and is refused.
const formatVersion = 3

const (
	liveKeyLen     = 1 + 16
	spentKeyLen    = 1 + 4 + 16
	tallyKeyLen    = 1 + 16 + 1
	pendingKeyLen  = 1 + 16 + 16
	endedKeyLen    = 1 + 4 + 16 + 16
	accountKeyLen  = 1 + 16
	countersKeyLen = 1 + 1
	pinKeyLen      = 1 + 32
)

func appendLiveKey(dst []byte, fp *core.Fingerprint) []byte {
	return append(append(dst, kindLive), fp[:]...)
}

func appendReturnedKey(dst []byte, fp *core.Fingerprint) []byte {
	return append(append(dst, kindReturned), fp[:]...)
}

func appendSpentKey(dst []byte, window uint32, fp *core.Fingerprint) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, kindSpent), window)
	return append(dst, fp[:]...)
}

func appendTallyKey(dst []byte, acc *AccountID, shard int) []byte {
	return append(append(append(dst, kindTally), acc[:]...), byte(shard))
}

func appendCountersKey(dst []byte, shard int) []byte {
	return append(dst, kindCounters, byte(shard))
}

func appendPendingKey(dst []byte, acc *AccountID, id *RequestID) []byte {
	return append(append(append(dst, kindPending), acc[:]...), id[:]...)
}

func appendEndedKey(dst []byte, window uint32, acc *AccountID, id *RequestID) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, kindEnded), window)
	return append(append(dst, acc[:]...), id[:]...)
}

func keptKey(kind byte) []byte       { return []byte{kindKept, kind} }
func accountKey(id AccountID) []byte { return append([]byte{kindAccount}, id[:]...) }
func fundsKey(id AccountID) []byte   { return append([]byte{kindFunds}, id[:]...) }
func nameKey(name string) []byte     { return append([]byte{kindName}, name...) }
func pinKey(pin Pin) []byte          { return append([]byte{kindPin}, pin[:]...) }
func metaKey() []byte                { return []byte{kindMeta} }

// appendWindowKey returns the first key of a window of kind spent or ended.
func appendWindowKey(dst []byte, kind byte, window uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, kind), window)
}

// errRecord is wrapped by every decoder's error.
var errRecord = errors.New("ledger: record cannot be read")

func badRecord(what, why string) error { return fmt.Errorf("%w: %s: %s", errRecord, what, why) }

// reader cuts fixed fields off a record whose length was checked.
type reader []byte

func (r *reader) byte() byte {
	v := (*r)[0]
	*r = (*r)[1:]
	return v
}

func (r *reader) uint16() uint16 {
	v := binary.BigEndian.Uint16(*r)
	*r = (*r)[2:]
	return v
}

func (r *reader) uint32() uint32 {
	v := binary.BigEndian.Uint32(*r)
	*r = (*r)[4:]
	return v
}

func (r *reader) int64() int64 {
	v := binary.BigEndian.Uint64(*r)
	*r = (*r)[8:]
	return int64(v)
}

func (r *reader) copy(dst []byte) {
	copy(dst, *r)
	*r = (*r)[len(dst):]
}

func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// meta says what this store is.
type meta struct {
	format uint32
	shards int
	mint   core.Fingerprint // tells the keys the store was created with, see mintCheck
	disks  int              // how many disks the ledger is on
	disk   int              // which of them this is
	id     [16]byte         // the same on all disks of a ledger, and random
}

const metaLen = 4 + 2 + 16 + 1 + 1 + 16

func (m meta) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, m.format)
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.shards))
	dst = append(dst, m.mint[:]...)
	dst = append(dst, byte(m.disks), byte(m.disk))
	return append(dst, m.id[:]...)
}

// decodeMeta reads the format first and nothing else of a newer one, whose record
// may look different.
func decodeMeta(b []byte) (m meta, err error) {
	if len(b) < 4 {
		return meta{}, badRecord("store description", "wrong length")
	}
	r := reader(b)
	if m.format = r.uint32(); m.format > formatVersion {
		return meta{format: m.format}, nil
	}
	if m.format != formatVersion {
		return meta{}, badRecord("store description", "unknown format")
	}
	if len(b) != metaLen {
		return meta{}, badRecord("store description", "wrong length")
	}
	if m.shards = int(r.uint16()); !validShards(m.shards) {
		return meta{}, badRecord("store description", "number of shards is not a power of two from 1 to 256")
	}
	r.copy(m.mint[:])
	m.disks, m.disk = int(r.byte()), int(r.byte())
	if m.disks < 1 || m.disks > m.shards || m.disk >= m.disks {
		return meta{}, badRecord("store description", "impossible number of disks")
	}
	r.copy(m.id[:])
	return m, nil
}

// accountRecord is the part of an account that only the operator changes.
type accountRecord struct {
	role    Role
	state   State
	created int64 // unix ms
	pin     Pin
	oldPin  Pin // zero if there is none
	name    string
}

const accountMinLen = 1 + 1 + 8 + 32 + 32

func (a accountRecord) append(dst []byte) []byte {
	dst = appendInt64(append(dst, byte(a.role), byte(a.state)), a.created)
	dst = append(append(dst, a.pin[:]...), a.oldPin[:]...)
	return append(dst, a.name...)
}

func decodeAccount(b []byte) (a accountRecord, err error) {
	if len(b) < accountMinLen {
		return a, badRecord("account", "too short")
	}
	r := reader(b)
	a.role = Role(r.byte())
	if _, err := a.role.MarshalText(); err != nil {
		return accountRecord{}, badRecord("account", "unknown role")
	}
	if a.state = State(r.byte()); a.state > Suspended {
		return accountRecord{}, badRecord("account", "unknown state")
	}
	a.created = r.int64()
	r.copy(a.pin[:])
	r.copy(a.oldPin[:])
	if err := checkName(string(r)); err != nil {
		return accountRecord{}, badRecord("account", err.Error())
	}
	a.name = string(r)
	return a, nil
}

// pins returns the pins that lead to the account.
func (a accountRecord) pins() []Pin {
	if a.oldPin == (Pin{}) {
		return []Pin{a.pin}
	}
	return []Pin{a.pin, a.oldPin}
}

// maxAccountName limits an account's name, in bytes.
const maxAccountName = 128

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("name is empty")
	case len(name) > maxAccountName:
		return fmt.Errorf("name has %d bytes, at most %d are allowed", len(name), maxAccountName)
	case !utf8.ValidString(name):
		return errors.New("name is not UTF-8")
	}
	for _, c := range name {
		if c < ' ' || c == 0x7f {
			return errors.New("name holds a control character")
		}
	}
	return nil
}

// decodeOwner reads the account of a pin or a name.
func decodeOwner(b []byte) (id AccountID, err error) {
	if len(b) != len(id) {
		return id, badRecord("pin or name", "wrong length")
	}
	return AccountID(b), nil
}

// funds is the part of an account that changes only under its lock.
type funds struct {
	granted, issued int64
}

const fundsLen = 8 + 8

func (f funds) append(dst []byte) []byte { return appendInt64(appendInt64(dst, f.granted), f.issued) }

func decodeFunds(b []byte) (f funds, err error) {
	if len(b) != fundsLen {
		return f, badRecord("funds", "wrong length")
	}
	r := reader(b)
	f.granted, f.issued = r.int64(), r.int64()
	if f.issued < 0 {
		return funds{}, badRecord("funds", "negative count")
	}
	return f, nil
}

// tally counts an account's coins in one shard; it only grows.
type tally struct {
	redeemed, returned, refunded int64
}

const tallyLen = 3 * 8

func (t *tally) add(u tally) {
	t.redeemed += u.redeemed
	t.returned += u.returned
	t.refunded += u.refunded
}

func (t tally) append(dst []byte) []byte {
	return appendInt64(appendInt64(appendInt64(dst, t.redeemed), t.returned), t.refunded)
}

func decodeTally(b []byte) (t tally, err error) {
	if len(b) != tallyLen {
		return t, badRecord("tally", "wrong length")
	}
	r := reader(b)
	t.redeemed, t.returned, t.refunded = r.int64(), r.int64(), r.int64()
	if t.redeemed < 0 || t.returned < 0 || t.refunded < 0 {
		return tally{}, badRecord("tally", "negative count")
	}
	return t, nil
}

// counters counts the coins of one shard, and the batches that changed any, since its
// creation; it only grows. commits numbers the batches: it tells which of those in a
// log the store has.
type counters struct {
	issued, redeemed, returned, refundedLive, refundedReturned, commits int64
}

const countersLen = 6 * 8

// live returns how many coins are live, held how many are returned and not refunded.
func (c counters) live() int64 { return c.issued - c.redeemed - c.refundedLive }
func (c counters) held() int64 { return c.returned - c.refundedReturned }

func (c counters) append(dst []byte) []byte {
	for _, v := range [...]int64{c.issued, c.redeemed, c.returned, c.refundedLive, c.refundedReturned, c.commits} {
		dst = appendInt64(dst, v)
	}
	return dst
}

func decodeCounters(b []byte) (c counters, err error) {
	if len(b) != countersLen {
		return c, badRecord("counters", "wrong length")
	}
	r := reader(b)
	for _, v := range [...]*int64{&c.issued, &c.redeemed, &c.returned, &c.refundedLive, &c.refundedReturned, &c.commits} {
		if *v = r.int64(); *v < 0 {
			return counters{}, badRecord("counters", "negative count")
		}
	}
	return c, nil
}

// decodeKept reads the first window that was not dropped.
func decodeKept(b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, badRecord("kept windows", "wrong length")
	}
	return binary.BigEndian.Uint32(b), nil
}

// withdrawal is what repeats of a withdrawal, and a restart, need to know.
type withdrawal struct {
	state withdrawalState
	count int
	salt  core.Salt
}

type withdrawalState uint8

const (
	withdrawalPending withdrawalState = 1 // debited; its coins may not be live yet
	withdrawalDone    withdrawalState = 2 // every coin became live
	withdrawalVoid    withdrawalState = 3 // refused after the debit, see errSaltUsed
)

const withdrawalLen = 1 + 4 + 32

func (w *withdrawal) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(w.state)), uint32(w.count))
	return append(dst, w.salt[:]...)
}

func decodeWithdrawal(b []byte) (w withdrawal, err error) {
	if len(b) != withdrawalLen {
		return w, badRecord("withdrawal", "wrong length")
	}
	r := reader(b)
	w.state = withdrawalState(r.byte())
	w.count = int(r.uint32())
	r.copy(w.salt[:])
	switch {
	case w.state < withdrawalPending || w.state > withdrawalVoid:
		return withdrawal{}, badRecord("withdrawal", "unknown state")
	case w.count < 1 || w.count > MaxCall:
		return withdrawal{}, badRecord("withdrawal", "impossible number of coins")
	}
	return w, nil
}

const (
	returnedLen      = 16 + 16 + 8
	spentLen         = 1 + 16 + 8
	spentRedeemerLen = spentLen + 16 + 16
)

// The state bytes of a spent record.
const (
	spentRedeemed         = 1 // with redeemer (= account) and digest, each once
	spentRefunded         = 2 // refunded while live: no redeemer
	spentRefundedReturned = 3 // refunded after a return: redeemer and digest kept for repeats of the return
)

// appendSpent encodes a coin that is redeemed or refunded.
func appendSpent(dst []byte, c *life.Coin) []byte {
	switch {
	case c.Phase == life.Redeemed:
		dst = append(append(dst, spentRedeemed), c.Redeemer[:]...)
		dst = appendInt64(dst, c.At)
		return append(dst, c.Digest[:]...)
	case c.WasReturned:
		dst = append(append(dst, spentRefundedReturned), c.Refunder[:]...)
		dst = appendInt64(dst, c.At)
		return append(append(dst, c.Redeemer[:]...), c.Digest[:]...)
	default:
		dst = append(append(dst, spentRefunded), c.Refunder[:]...)
		return appendInt64(dst, c.At)
	}
}

func decodeSpent(b []byte) (c life.Coin, err error) {
	if len(b) < spentLen {
		return c, badRecord("spent coin", "too short")
	}
	r := reader(b)
	state := r.byte()
	var account AccountID
	r.copy(account[:])
	c.At = r.int64()
	switch {
	case state == spentRedeemed && len(r) == 16:
		c.Phase, c.Redeemer = life.Redeemed, account
		r.copy(c.Digest[:])
	case state == spentRefunded && len(r) == 0:
		c.Phase, c.Refunder = life.Refunded, account
	case state == spentRefundedReturned && len(r) == 32:
		c.Phase, c.Refunder, c.WasReturned = life.Refunded, account, true
		r.copy(c.Redeemer[:])
		r.copy(c.Digest[:])
	default:
		return life.Coin{}, badRecord("spent coin", "unknown state or wrong length")
	}
	return c, nil
}

func appendReturned(dst []byte, c *life.Coin) []byte {
	dst = append(append(dst, c.Redeemer[:]...), c.Digest[:]...)
	return appendInt64(dst, c.At)
}

func decodeReturned(b []byte) (c life.Coin, err error) {
	if len(b) != returnedLen {
		return c, badRecord("returned coin", "wrong length")
	}
	r := reader(b)
	c.Phase = life.Returned
	r.copy(c.Redeemer[:])
	r.copy(c.Digest[:])
	c.At = r.int64()
	return c, nil
}
