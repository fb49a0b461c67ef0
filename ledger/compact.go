package ledger

import (
	"context"
	"errors"
	"fmt"
)

// Compact rewrites the whole store without what was deleted and with as few sorted runs
// as there can be, while the ledger works on. It does by force what the store does by
// itself in time, and may need as much free space as the store occupies. progress, if
// not nil, is called with how many steps of about equal size are done, and of how many.
// Errors: ErrClosed, also when Close breaks it off, ctx.Err(), or the store's.
func (l *Ledger) Compact(ctx context.Context, progress func(done, steps int)) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := l.untilClose(ctx)
	defer cancel()

	if err := l.pause(func() error { return nil }); err != nil { // all there is to compact is in the store now
		return err
	}
	type step struct {
		disk       *store
		start, end []byte
	}
	var steps []step
	for _, s := range l.stores {
		steps = append(steps, step{s, []byte{0}, []byte{kindLive}})
	}
	for i, s := range l.shards {
		r := coinRange([]byte{kindLive}, i, len(l.shards))
		steps = append(steps, step{s.disk, r.LowerBound, r.UpperBound})
	}
	for _, s := range l.stores {
		steps = append(steps, step{s, []byte{kindLive + 1}, []byte{0xff}})
	}
	for i, s := range steps {
		err := s.disk.db.Compact(ctx, s.start, s.end, false)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("ledger: compact %s: %w", s.disk.dir, err)
		}
		if progress != nil {
			progress(i+1, len(steps))
		}
	}
	return nil
}

// untilClose returns a context that ends with ctx, with cancel, or with cause ErrClosed
// when the ledger begins to close. It is for calls under way, which Close waits for.
func (l *Ledger) untilClose(ctx context.Context) (_ context.Context, cancel func()) {
	ctx, cause := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-l.gate.Closing():
			cause(ErrClosed)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cause(nil) }
}

// TableBytes are the bytes of the store's sorted tables by what is in them, and the
// bytes written to tables since Open. A block with several kinds counts for each.
type TableBytes struct {
	Live    uint64 // live coins
	Spent   uint64 // spent coins
	All     uint64 // everything
	Added   uint64 // written when what was in memory, or came as a table, was added
	Rewrote uint64 // written again by compaction
}

// TableBytes measures the tables. What is in memory or in a log only is not counted.
func (l *Ledger) TableBytes() (t TableBytes, err error) {
	if err := l.gate.Enter(); err != nil {
		return t, err
	}
	defer l.gate.Leave()
	for _, s := range l.stores {
		for _, r := range []struct {
			sum   *uint64
			first byte
			after byte
		}{{&t.Live, kindLive, kindLive + 1}, {&t.Spent, kindSpent, kindSpent + 1}, {&t.All, 0, 0xff}} {
			n, e := s.db.EstimateDiskUsage([]byte{r.first}, []byte{r.after})
			*r.sum += n
			err = errors.Join(err, e)
		}
		for _, level := range s.db.Metrics().Levels {
			t.Added += level.TableBytesFlushed + level.TableBytesIngested
			t.Rewrote += level.TableBytesCompacted
		}
	}
	if err != nil {
		return TableBytes{}, fmt.Errorf("ledger: measure the tables: %w", err)
	}
	return t, nil
}
