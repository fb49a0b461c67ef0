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
