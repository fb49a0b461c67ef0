package loadgen

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ecoin/core"
	"ecoin/internal/wire"
)

// need returns how many coins the requests of a kind take, at most.
func (p *plan) need(k Kind) (int, error) {
	weight := p.share(k, int64(len(p.kinds)))
	if weight == 0 || k == Withdraw || k == Null {
		return 0, nil
	}
	batch := int64(p.Batch)
	if k == Operation {
		batch = 1
	}
	if p.Closed {
		return int(int64(p.MostCoins) * weight / int64(len(p.kinds)) / batch * batch), nil
	}
	sends := p.schedule.Total(p.Duration)
	if first, ok := warmup(p.schedule, p.Duration); ok && p.Warmup > 0 {
		sends += first.Total(p.Warmup)
	}
	sends = (sends + int64(p.Workers) - 1) / int64(p.Workers)
	n := (p.share(k, sends) + 1) * batch
	if n > int64(p.MostCoins) {
		return 0, fmt.Errorf("%w: %d for %v, and %d is the most: send for a shorter time, or allow more (a coin takes %d bytes of memory)",
			errTooManyCoins, n, k, p.MostCoins, len(core.Coin{})+p.suite.RecordLen()+2)
	}
	return int(n), nil
}

// needs is need of all kinds.
func (p *plan) needs() (sum int, err error) {
	for _, w := range p.Mix {
		n, err := p.need(w.Kind)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// errTooManyCoins is returned for a load that takes more coins than may be prepared.
var errTooManyCoins = errors.New("loadgen: this load takes too many coins")

// progress is told how many of all coins are prepared.
type progress func(done, all int)

// stock withdraws n coins, each parcel of them by one collector, and seals a header
// for each unless key is nil. ivs is filled if it is not nil.
func (w *worker) stock(ctx context.Context, n, parcel int, key *core.PublicKey, ivs []core.IV, tell progress) (*book, error) {
	b := &book{coins: make([]core.Coin, n), state: make([]state, n), by: make([]uint8, n)}
	parcel = min(parcel, max(n, 1))
	parcels := (n + parcel - 1) / parcel
	for i := range parcels {
		b.owners = append(b.owners, span{i * parcel, w.plan.First + uint32(i%w.plan.Fleet)})
	}
	if key != nil {
		b.size = key.Suite().RecordLen()
		b.records = make([]byte, n*b.size)
	}
	var next, done atomic.Int64
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for range min(2*runtime.GOMAXPROCS(0), parcels) {
		g.Go(func() error {
			var s core.Scratch
			defer s.Wipe()
			var buf []byte
			for {
				i := int(next.Add(1)) - 1
				if i >= parcels || ctx.Err() != nil {
					return ctx.Err()
				}
				first := i * parcel
				coins := b.coins[first:min(first+parcel, n)]
				if err := w.buy(ctx, b.owners[i].owner, coins, &buf); err != nil {
					return err
				}
				if key != nil {
					var of []core.IV
					if ivs != nil {
						of = ivs[first:]
					}
					if err := seal(key, &s, coins, of, b.records[first*b.size:first*b.size:(first+len(coins))*b.size]); err != nil {
						return err
					}
				}
				d := done.Add(int64(len(coins)))
				if tell != nil {
					mu.Lock()
					tell(int(d), n)
					mu.Unlock()
				}
			}
		})
	}
	return b, g.Wait()
}

// buy withdraws coins, and asks again for a while when the bank is busy or does not answer.
func (w *worker) buy(ctx context.Context, owner uint32, coins []core.Coin, buf *[]byte) error {
	ws := withdraws{plan: w.plan, collectors: w.collectors}
	for len(coins) > 0 {
		p := purchase{owner: owner, n: min(len(coins), wire.MaxWithdraw)}
		_, _ = rand.Read(p.id[:])
		for try := 0; p.coins == nil; try++ {
			o := ws.ask(ctx, &p, time.Now().Add(w.plan.Timeout), buf)
			switch {
			case o.verdict == good:
			case try == 20 || ctx.Err() != nil:
				return fmt.Errorf("loadgen: collector %d cannot withdraw %d coins: %s", owner, p.n, o.reason)
			default:
				sleepPlain(ctx, time.Now().Add(time.Duration(try+1)*50*time.Millisecond))
			}
		}
		copy(coins, p.coins)
		clear(p.coins)
		coins = coins[p.n:]
	}
	return nil
}

// seal appends a header for each coin to dst.
func seal(key *core.PublicKey, s *core.Scratch, coins []core.Coin, ivs []core.IV, dst []byte) error {
	secs := make([]core.Secrets, 0, 64)
	defer func() { clear(secs[:cap(secs)]) }()
	for len(coins) > 0 {
		n := min(len(coins), cap(secs))
		secs = secs[:0]
		for i := range n {
			sec := core.Secrets{Coin: coins[i], IV: newIV()}
			secs = append(secs, sec)
			if ivs != nil {
				ivs[i] = sec.IV
			}
		}
		var err error
		if dst, err = key.AppendHeaders(dst, s, secs); err != nil {
			return err
		}
		coins = coins[n:]
		if ivs != nil {
			ivs = ivs[n:]
		}
	}
	return nil
}
