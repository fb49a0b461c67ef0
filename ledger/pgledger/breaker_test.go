package pgledger

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The breaker opens after three failures in a row, lets one caller through a moment, and
// closes with the first success.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker
		failure := errors.New("no answer")
		fail := func() bool { return b.note(failure, time.Now()) }
		allow := func() bool {
			err := b.allow(time.Now())
			if err != nil && err != failure {
				t.Errorf("the refusal says %v", err)
			}
			return err == nil
		}
		for i := range 2 {
			if !allow() || fail() {
				t.Fatalf("failure %d opens it", i+1)
			}
		}
		b.note(nil, time.Now())
		for i, opens := range []bool{false, false, true} {
			if fail() != opens {
				t.Fatalf("after a success failure %d in a row opens it: %t", i+1, !opens)
			}
		}
		if allow() {
			t.Error("a caller may try at once")
		}
		time.Sleep(probeEvery)
		if !allow() || allow() {
			t.Error("after a moment not just one caller may try")
		}
		if fail() {
			t.Error("it opens twice")
		}
		time.Sleep(time.Second)
		if got := b.openFor(time.Now()); got != time.Second+probeEvery {
			t.Errorf("open for %v", got)
		}
		if !allow() || !b.note(nil, time.Now()) || b.openFor(time.Now()) != 0 || !allow() || !allow() {
			t.Error("a success does not close it")
		}
	})
}
