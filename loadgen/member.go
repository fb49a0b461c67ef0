package loadgen

import (
	"context"
	"time"

	"ecoin/loadgen/result"
)

// member is a worker of a load: in this process, or another.
type member interface {
	prepare(ctx context.Context, tell progress) error
	run(ctx context.Context, start time.Time, visit func(result.Second))
	finish(ctx context.Context) (*result.Run, error)
	close()
}

// here is a worker in this process.
type here struct{ w *Worker }

func (h here) prepare(ctx context.Context, tell progress) error { return h.w.Prepare(ctx, tell) }
func (h here) run(ctx context.Context, start time.Time, visit func(result.Second)) {
	h.w.Run(ctx, start, visit)
}
func (h here) finish(ctx context.Context) (*result.Run, error) { return h.w.Finish(ctx), nil }
func (h here) close()                                          { h.w.Close() }
