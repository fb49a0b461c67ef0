package proc

import (
	"errors"
	"sync"
	"time"
)

// Sampler notes the CPU time of processes as it goes by, for those who learn afterwards
// which moments count. Start with [Sample].
type Sampler struct {
	stop chan struct{}
	done chan struct{}

	mu     sync.Mutex
	points []point
	err    error
}

type point struct {
	at  time.Time
	cpu time.Duration
}

// Sample notes the CPU time of pids and their descendants every so often until Stop.
func Sample(every time.Duration, pids ...int) *Sampler {
	s := &Sampler{stop: make(chan struct{}), done: make(chan struct{})}
	s.look(pids)
	go func() {
		defer close(s.done)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.look(pids)
			case <-s.stop:
				s.look(pids)
				return
			}
		}
	}()
	return s
}

func (s *Sampler) look(pids []int) {
	at := time.Now()
	cpu, err := CPU(pids...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = errors.Join(s.err, err)
		return
	}
	s.points = append(s.points, point{at, cpu})
}

// Stop ends it. It is called once.
func (s *Sampler) Stop() {
	close(s.stop)
	<-s.done
}

// Between returns the CPU time used from one moment to another, both between the first and
// the last look.
func (s *Sampler) Between(from, to time.Time) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	a, err := at(s.points, from)
	if err != nil {
		return 0, err
	}
	b, err := at(s.points, to)
	return b - a, err
}

// at interpolates the CPU time at a moment.
func at(points []point, t time.Time) (time.Duration, error) {
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		if !t.Before(a.at) && !t.After(b.at) {
			share := float64(t.Sub(a.at)) / float64(max(b.at.Sub(a.at), 1))
			return a.cpu + time.Duration(share*float64(b.cpu-a.cpu)), nil
		}
	}
	return 0, errors.New("proc: nobody looked at that moment")
}
