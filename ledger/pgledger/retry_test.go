package pgledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ecoin/ledger"
)

func TestFateOf(t *testing.T) {
	code := func(c string) error { return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: c}) }
	for _, c := range []struct {
		err  error
		want fate
	}{
		{code("40001"), again}, {code("40P01"), again}, {code("55P03"), again}, {code("57014"), again},
		{code("57P03"), away}, {code("25006"), away}, {code("53300"), away},
		{code("57P01"), doubt}, {code("57P02"), doubt}, {code("40003"), doubt}, {code("08006"), doubt}, {code("58030"), doubt}, {code("XX000"), doubt},
		{code("23505"), refused}, {code("42P01"), refused}, {code(diskFull), refused},
		{io.ErrUnexpectedEOF, doubt}, {context.DeadlineExceeded, doubt},
		{notSent{context.DeadlineExceeded}, away}, {&pgconn.ConnectError{}, away},
		{doubtful{code("40001")}, doubt}, {doubtful{notSent{io.EOF}}, doubt},
	} {
		if got := fateOf(c.err); got != c.want {
			t.Errorf("%v has fate %d, want %d", c.err, got, c.want)
		}
	}
}

// The breaker opens after three failures in a row, lets one caller through a moment, and
// closes with the first success.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker
		fail := func() bool { return b.note(false, time.Now()) }
		allow := func() bool { return b.allow(time.Now()) }
		for i := range 2 {
			if !allow() || fail() {
				t.Fatalf("failure %d opens it", i+1)
			}
		}
		if b.note(true, time.Now()); fail() || fail() {
			t.Fatal("failures before a success count")
		}
		if !fail() {
			t.Fatal("the third failure in a row does not open it")
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
		if !allow() || !b.note(true, time.Now()) || b.openFor(time.Now()) != 0 || !allow() || !allow() {
			t.Error("a success does not close it")
		}
	})
}

// The queue gives calls of one kind, up to a batch, each kind in turn, and what was put is
// taken even after the end.
func TestQueue(t *testing.T) {
	q := newQueue(Options{MaxQueued: 10, BatchCoins: 4})
	coins := func(n int) []ledger.Redemption { return make([]ledger.Redemption, n) }
	put := func(kind op, n int) *call {
		c := &call{op: kind, coins: coins(n), done: make(chan struct{})}
		if err := q.put(c); err != nil {
			t.Fatalf("put: %v", err)
		}
		return c
	}
	a, b, c := put(opRedeem, 2), put(opRedeem, 2), put(opRedeem, 1)
	d := put(opRefund, 5) // more than a batch
	if err := q.put(&call{coins: coins(1)}); !errors.Is(err, ledger.ErrOverload) {
		t.Errorf("put over the limit: %v", err)
	}
	want := [][]*call{{a, b}, {d}, {c}}
	for i := range want {
		got := q.take()
		if len(got) != len(want[i]) || got[0] != want[i][0] {
			t.Fatalf("take %d gave %d calls", i+1, len(got))
		}
		q.answered(got)
		<-got[len(got)-1].done
	}
	if n := q.waiting(); n != 0 {
		t.Errorf("%d coins still count", n)
	}
	put(opReturn, 1)
	q.close()
	if got := q.take(); len(got) != 1 {
		t.Error("what was put before the end is not taken")
	}
	if q.take() != nil {
		t.Error("taken after the end")
	}
}
