package ledger

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeyLock(t *testing.T) {
	var l keyLock[int]
	never := make(chan struct{})
	var counts [3]int // guarded by their key
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := range 200 {
				k := (i + n) % len(counts)
				if err := l.lock(ctx, never, k); err != nil {
					t.Error(err)
					return
				}
				counts[k]++
				l.unlock(k)
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

func TestKeyLockWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l keyLock[string]
		stop := make(chan struct{})
		if err := l.lock(ctx, stop, "a"); err != nil {
			t.Fatal(err)
		}
		if err := l.lock(ctx, stop, "b"); err != nil {
			t.Fatal("another key waits:", err)
		}
		l.unlock("b")
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		start := time.Now()
		if err := l.lock(short, stop, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("lock of a held key: %v after %v", err, time.Since(start))
		}
		go func() {
			time.Sleep(time.Minute)
			close(stop)
		}()
		if err := l.lock(ctx, stop, "a"); !errors.Is(err, ErrClosed) {
			t.Errorf("lock of a held key when closing: %v", err)
		}
		l.unlock("a")
		if len(l.slots) != 0 {
			t.Errorf("%d keys still hold memory", len(l.slots))
		}
	})
}
