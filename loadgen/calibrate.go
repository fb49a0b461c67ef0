package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// calibrateTime is how long a closed loop runs to find out what a bank can do.
const calibrateTime = 3 * time.Second

// Calibrate returns how many requests a second a closed loop of the load's requests
// reaches, at most with 64 connections.
func (s *Stage) Calibrate(ctx context.Context, l Load) (float64, error) {
	l.Job.Closed, l.Job.Schedule, l.Job.Audit, l.Job.Storm, l.Faults, l.Visit = true, "", 0, nil, nil, nil
	l.Job.Duration, l.Job.Warmup = calibrateTime, time.Second
	l.Job.Conns = min(l.Job.Conns, 64)
	guess := max(200_000, 6000*l.Job.Batch) // coins, of what any machine can do in that time
	l.Job.MostCoins = min(l.Job.MostCoins, guess)
	s.o.Tell("finding out what this bank can do", 0, 0)
	run, err := s.Run(ctx, l)
	if err != nil {
		return 0, err
	}
	if !run.Audit.OK {
		return 0, fmt.Errorf("loadgen: the audit of the first seconds found: %v", run.Audit.Problems)
	}
	total := run.Total()
	if total.OK == 0 {
		return 0, errors.New("loadgen: not one request of the first seconds was answered as it should be: see --closed for why")
	}
	return float64(total.OK) / run.Took, nil
}
