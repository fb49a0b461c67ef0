package core

import (
	"errors"
	"fmt"
	"log/slog"
)

// A Keyring is the set of keys a bank opens headers with, of one or several
// suites. It does not change and is safe for concurrent use, one Scratch to each
// goroutine. It prints as "redacted".
type Keyring struct {
	keys []*PrivateKey // few: a linear search is faster than a map
}

// NewKeyring returns a keyring of keys, at least one, each given once.
func NewKeyring(keys ...*PrivateKey) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("core: a keyring needs at least one key")
	}
	r := new(Keyring)
	for i, k := range keys {
		if k == nil {
			return nil, fmt.Errorf("core: key %d of the keyring is nil", i)
		}
		if r.find(&k.public.bound) != nil {
			return nil, fmt.Errorf("core: key %v of suite %v is in the keyring twice", k.public.id, k.public.suite)
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

// find returns the key whose records begin with bound, or nil.
func (r *Keyring) find(bound *[BoundLen]byte) *PrivateKey {
	for _, k := range r.keys {
		if k.public.bound == *bound {
			return k
		}
	}
	return nil
}

// Public returns the public halves in the order the keys were given.
func (r *Keyring) Public() []*PublicKey {
	out := make([]*PublicKey, len(r.keys))
	for i, k := range r.keys {
		out[i] = k.public
	}
	return out
}

// OpenHeaders opens a batch of records, which may mix keys and suites. For each
// record i it sets ok[i] and out[i]; if the record is malformed, names a key that
// is not in r, or does not open, ok[i] is false and out[i] zero. A bad record does
// not affect its neighbours. records, out and ok must have one length, else
// OpenHeaders panics.
func (r *Keyring) OpenHeaders(s *Scratch, records [][]byte, out []Secrets, ok []bool) {
	if len(out) != len(records) || len(ok) != len(records) {
		panic(fmt.Sprintf("core: OpenHeaders: %d records, %d out, %d ok", len(records), len(out), len(ok)))
	}
	if len(records) == 1 {
		ok[0] = r.open(s, records[0], &out[0])
		return
	}
	clear(out)
	clear(ok)
	for _, k := range r.keys {
		if many, can := k.open.(batchOpener); can {
			k.openBatch(s, many, records, out, ok)
			continue
		}
		for i, record := range records {
			if k.takes(record) {
				ok[i] = k.openOne(s, record, &out[i])
			}
		}
	}
}

// OpenHeader opens one record into out. Every failure is ErrOpen, with out zero.
func (r *Keyring) OpenHeader(s *Scratch, record []byte, out *Secrets) error {
	if !r.open(s, record, out) {
		return ErrOpen
	}
	return nil
}

func (r *Keyring) open(s *Scratch, record []byte, out *Secrets) bool {
	*out = Secrets{}
	for _, k := range r.keys {
		if k.takes(record) {
			return k.openOne(s, record, out)
		}
	}
	return false
}

// takes reports whether record is one for k. It is not checkRecord: nobody reads its
// error, which costs allocations.
func (k *PrivateKey) takes(record []byte) bool {
	return len(record) == k.public.suite.RecordLen() && [BoundLen]byte(record) == k.public.bound
}

// openOne opens a record that k takes.
func (k *PrivateKey) openOne(s *Scratch, record []byte, out *Secrets) bool {
	ok := k.open.openHeader(s, record[:BoundLen], record[BoundLen:])
	if ok {
		out.get(&s.plain)
	}
	clear(s.plain[:])
	return ok
}

// Format implements fmt.Formatter: it prints "redacted".
func (Keyring) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (Keyring) LogValue() slog.Value { return logRedacted() }
