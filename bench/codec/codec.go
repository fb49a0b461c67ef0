// Package codec has the work that a coin's header and payload cost, done by ours and by
// what one would use instead. Each [Impl] does the same four jobs, or those of them that it
// can. Start with [Impls].
package codec

import (
	"crypto/rand"
	"fmt"
	"time"

	"ecoin/core"
)

// PayloadLen is the length of the payloads in bytes.
const PayloadLen = 4096

// Jobs, by the key of their figure: nanoseconds for one header or payload.
const (
	HeaderOpen  = "header_open_ns"
	HeaderSeal  = "header_seal_ns"
	PayloadOpen = "payload_open_ns"
	PayloadSeal = "payload_seal_ns"
)

// JobNames are all jobs in order.
var JobNames = []string{HeaderOpen, HeaderSeal, PayloadOpen, PayloadSeal}

// Job does a job for n headers or payloads at once, and says whether the outcome was
// right. One goroutine uses it at a time.
type Job struct {
	N   int
	Run func() error
}

// Impl is one implementation.
type Impl struct {
	Name    string
	Note    string
	Against []string // which of ours it is compared with; none for ours
	Jobs    map[string]Job
}

// Measure runs a job for about a time and returns the nanoseconds that one header or payload
// took.
func (j Job) Measure(d time.Duration) (float64, error) {
	if err := j.Run(); err != nil { // makes tables and memory
		return 0, err
	}
	start, runs := time.Now(), 0
	for step := 1; ; step *= 2 {
		for range step {
			if err := j.Run(); err != nil {
				return 0, err
			}
		}
		runs += step
		if took := time.Since(start); took >= d {
			return float64(took.Nanoseconds()) / float64(runs*j.N), nil
		} else if rest := int(float64(runs) * float64(d-took) / float64(took)); rest < step {
			step = max(rest/2, 1) // not beyond the end
		}
	}
}

// Names of ours, and of the sizes that they work in.
const (
	Batch64  = "ecoin, 64 at once"
	OneByOne = "ecoin, one by one"
)

// Impls returns all implementations that are Go code.
func Impls() ([]Impl, error) {
	var out []Impl
	for _, f := range []func() (Impl, error){
		func() (Impl, error) { return ours(Batch64, 64) }, func() (Impl, error) { return ours(OneByOne, 1) },
		stdlib, design2015, circl, naclBox,
	} {
		i, err := f()
		if err != nil {
			return nil, fmt.Errorf("codec: %w", err)
		}
		out = append(out, i)
	}
	return out, nil
}

var both = []string{Batch64, OneByOne}

// headerInfo is the info of HPKE, and the aad is the 12 bytes that a header is bound to.
const headerInfo = "ecoin/v1 header"

// newSecrets returns n different coins and IVs.
func newSecrets(n int) []core.Secrets {
	secs := make([]core.Secrets, n)
	for i := range secs {
		_, _ = rand.Read(secs[i].Coin[:])
		_, _ = rand.Read(secs[i].IV[:])
	}
	return secs
}

// plaintext is what all headers of one kind of peer hold.
func plaintext(sec *core.Secrets) []byte { return append(sec.Coin[:], sec.IV[:]...) }
