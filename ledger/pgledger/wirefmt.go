package pgledger

import (
	"encoding/binary"

	"ecoin/core"
)

// Parameters of the statements that matter for speed are encoded here, without
// reflection: the binary format of uuid, bigint, smallint and uuid[] (PostgreSQL,
// src/backend/utils/adt: uuid_recv, int8recv, array_recv).

const uuidOID = 2950

// uuidArray is a uuid[] parameter being made.
type uuidArray struct{ b []byte }

// reset makes it an array of n elements that are to be added. A one-dimensional array
// with a lower bound of 1.
func (a *uuidArray) reset(n int) {
	a.b = a.b[:0]
	for _, v := range [...]uint32{1, 0, uuidOID, uint32(n), 1} {
		a.b = binary.BigEndian.AppendUint32(a.b, v)
	}
}

func (a *uuidArray) add(id *[16]byte) {
	a.b = binary.BigEndian.AppendUint32(a.b, 16)
	a.b = append(a.b, id[:]...)
}

// fingerprints returns fps as a uuid[] parameter.
func fingerprints(fps []core.Fingerprint) []byte {
	a := uuidArray{b: make([]byte, 0, 20+20*len(fps))}
	a.reset(len(fps))
	for i := range fps {
		a.add((*[16]byte)(&fps[i]))
	}
	return a.b
}

func bigint(v int64) []byte   { return binary.BigEndian.AppendUint64(nil, uint64(v)) }
func smallint(v int16) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

// toInt64 reads a bigint; toUUID a uuid, zero for NULL.
func toInt64(b []byte) int64 {
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func toUUID(b []byte) (id [16]byte) {
	copy(id[:], b)
	return id
}
