package codec

import (
	"errors"
	"fmt"

	"ecoin/core"
)

// ours is package core, with n headers or payloads a call.
func ours(name string, n int) (Impl, error) {
	key, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		return Impl{}, err
	}
	ring, err := core.NewKeyring(key)
	if err != nil {
		return Impl{}, err
	}
	var s core.Scratch
	public, secs := key.Public(), newSecrets(n)
	sealed, err := public.AppendHeaders(nil, &s, secs)
	if err != nil {
		return Impl{}, err
	}
	size := public.Suite().RecordLen()
	records, plain, msgs := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i := range records {
		records[i], plain[i] = sealed[i*size:(i+1)*size], make([]byte, PayloadLen)
	}
	if err := core.AppendRequests(msgs, &s, records, secs, plain); err != nil {
		return Impl{}, err
	}
	reqs := make([]core.Request, n)
	for i := range reqs {
		if reqs[i], err = core.ParseRequest(msgs[i]); err != nil {
			return Impl{}, err
		}
	}
	var buf []byte
	out, ok, dst := make([]core.Secrets, n), make([]bool, n), make([][]byte, n)
	reset := func() {
		for i := range dst {
			dst[i] = dst[i][:0]
		}
	}
	return Impl{Name: name, Note: fmt.Sprintf("package core: suite x25519; payloads are AES-256-CBC and HMAC-SHA256, each under a key of its own; %d a call, one goroutine", n), Jobs: map[string]Job{
		HeaderOpen: {n, func() error {
			ring.OpenHeaders(&s, records, out, ok)
			if !ok[n-1] || out[n-1] != secs[n-1] {
				return errOpen
			}
			return nil
		}},
		HeaderSeal: {n, func() (err error) {
			buf, err = public.AppendHeaders(buf[:0], &s, secs)
			return err
		}},
		PayloadOpen: {n, func() error {
			reset()
			core.OpenRequests(dst, &s, reqs, secs, ok)
			if !ok[n-1] || len(dst[n-1]) != PayloadLen {
				return errOpen
			}
			return nil
		}},
		PayloadSeal: {n, func() error {
			reset()
			return core.AppendRequests(dst, &s, records, secs, plain)
		}},
	}}, nil
}

// errOpen is returned by a job whose outcome is wrong.
var errOpen = errors.New("what was sealed does not open")
