package keylock

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecoin/ledger/internal/gate"
)

var errClosed = errors.New("closed")

func TestLocks(t *testing.T) {
	var l Locks[int]
	open := gate.New(errClosed)
	var counts [3]int // guarded by their key
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := range 200 {
				k := (i + n) % len(counts)
				if err := l.Lock(t.Context(), open, k); err != nil {
					t.Error(err)
					return
				}
				counts[k]++
				l.Unlock(k)
			}
		})
	}
	wg.Wait()
	if sum := counts[0] + counts[1] + counts[2]; sum != 32*200 {
		t.Errorf("%d locked sections, want %d", sum, 32*200)
	}
	if len(l.slots) != 0 {
		t.Errorf("%d keys still hold memory", len(l.slots))
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Locks[string]
		g := gate.New(errClosed)
		ctx := t.Context()
		if err := l.Lock(ctx, g, "a"); err != nil {
			t.Fatal(err)
		}
		if err := l.Lock(ctx, g, "b"); err != nil {
			t.Fatal("another key waits:", err)
		}
		l.Unlock("b")
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		start := time.Now()
		if err := l.Lock(short, g, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("lock of a held key: %v after %v", err, time.Since(start))
		}
		go func() {
			time.Sleep(time.Minute)
			if users := l.Users("a"); users != 2 {
				t.Errorf("%d users, want the holder and one that waits", users)
			}
			g.Close()
		}()
		if err := l.Lock(ctx, g, "a"); err != errClosed {
			t.Errorf("lock of a held key when closing: %v", err)
		}
		l.Unlock("a")
		if users := l.Users("a"); users != 0 || len(l.slots) != 0 {
			t.Errorf("%d users; %d keys still hold memory", users, len(l.slots))
		}
	})
}
