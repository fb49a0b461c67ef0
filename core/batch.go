package core

import (
	"slices"

	"ecoin/core/internal/hpke"
)

// A batchSealer is a sealer that seals many headers in less time than one by one.
type batchSealer interface {
	// sealHeaders seals up to hpke.Batch messages, or fails for all of them.
	sealHeaders(s *hpke.ManyScratch, msgs []hpke.Message) error
}

// A batchOpener is an opener that opens many headers in less time than one by one.
type batchOpener interface {
	// openHeaders opens up to hpke.Batch messages; each says whether it opened.
	openHeaders(s *hpke.ManyScratch, msgs []hpke.Message)
}

// A headerBatch is what a batch of headers works with.
type headerBatch struct {
	hpke  hpke.ManyScratch
	msgs  [hpke.Batch]hpke.Message
	plain [hpke.Batch][secretsLen]byte
	index [hpke.Batch]int // of each message among the caller's records
}

// headerBatch returns the memory for batches of headers, which a Scratch has from the
// first batch on.
func (s *Scratch) headerBatch() *headerBatch {
	if s.headers == nil {
		s.headers = new(headerBatch)
	}
	return s.headers
}

// message adds message n: bound | header in record, with its content in b.plain[n].
func (b *headerBatch) message(n int, record []byte) {
	b.msgs[n] = hpke.Message{AAD: (*[BoundLen]byte)(record), Plain: &b.plain[n], Sealed: record[BoundLen:]}
}

// clear forgets the first n messages.
func (b *headerBatch) clear(n int) {
	clear(b.plain[:n])
	clear(b.msgs[:n])
}

// openBatch opens those of records that are for k, in batches, into out and ok.
func (k *PrivateKey) openBatch(s *Scratch, open batchOpener, records [][]byte, out []Secrets, ok []bool) {
	b, n := s.headerBatch(), 0
	flush := func() {
		open.openHeaders(&b.hpke, b.msgs[:n])
		for j := range n {
			if i := b.index[j]; b.msgs[j].OK {
				ok[i] = true
				out[i].get(&b.plain[j])
			}
		}
		b.clear(n)
		n = 0
	}
	for i, record := range records {
		if !k.takes(record) {
			continue
		}
		b.message(n, record)
		b.index[n] = i
		if n++; n == len(b.msgs) {
			flush()
		}
	}
	if n > 0 {
		flush()
	}
}

// sealBatch appends one record for each element of secs, in batches. dst has room for
// them; after an error it is of no use.
func (k *PublicKey) sealBatch(dst []byte, s *Scratch, seal batchSealer, secs []Secrets) ([]byte, error) {
	b, size := s.headerBatch(), k.suite.RecordLen()
	for chunk := range slices.Chunk(secs, hpke.Batch) {
		for i := range chunk {
			dst = append(dst, k.bound[:]...)
			dst = dst[:len(dst)+size-BoundLen]
			chunk[i].put(&b.plain[i])
			b.message(i, dst[len(dst)-size:])
		}
		err := seal.sealHeaders(&b.hpke, b.msgs[:len(chunk)])
		b.clear(len(chunk))
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}
