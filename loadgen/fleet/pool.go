package fleet

import (
	"container/list"
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"ecoin/internal/identity"
)

// PoolOptions configures [NewPool].
type PoolOptions struct {
	Address string         // host:port of the server
	Name    string         // that its certificate is held against
	Roots   *x509.CertPool // the server's certificate
	Seed    Seed
	Role    string

	// Idle is how many connections are kept open between requests; the one that was
	// idle longest goes first. 0 keeps none.
	Idle int
	// Requests is how many requests a connection carries before its client goes back to
	// sleep; 0 means any number.
	Requests int
	// Resume is the share, 0 to 1, of connects that resume the client's last session, if it
	// has one. Sessions is how many clients keep one.
	Resume   float64
	Sessions int

	// Connected is called after each connect with how long it took, handshake included,
	// or why it failed; nil for nobody.
	Connected func(took time.Duration, err error)
}

// A Pool holds the live connections of a fleet. It is safe for concurrent use.
type Pool struct {
	o PoolOptions

	mu       sync.Mutex
	idle     map[uint32][]*list.Element // by client; of order
	order    *list.List                 // of *Conn, the longest idle first
	sessions map[uint32]*tls.ClientSessionState
	// broke is when a request last failed: connections that were idle then are looked at
	// before they are used, because what broke one may have broken all.
	broke time.Time

	connects, resumed atomic.Int64
}

// restTime is how long a connection may be idle before it is looked at: the server may have
// closed it.
const restTime = time.Second

// NewPool returns a pool without connections.
func NewPool(o PoolOptions) *Pool {
	return &Pool{o: o, idle: map[uint32][]*list.Element{}, order: list.New(), sessions: map[uint32]*tls.ClientSessionState{}}
}

// Get returns a connection of client number who, an idle one or a new one, made before
// the deadline. The caller gives it back with [Pool.Put].
func (p *Pool) Get(ctx context.Context, who uint32, deadline time.Time) (*Conn, error) {
	for {
		p.mu.Lock()
		of, broke := p.idle[who], p.broke
		if len(of) == 0 {
			p.mu.Unlock()
			break
		}
		e := of[len(of)-1]
		p.forget(e)
		p.mu.Unlock()
		c := e.Value.(*Conn)
		if c.used.After(broke) && time.Since(c.used) < restTime || alive(c.tls.NetConn(), c.requests > 0) {
			return c, nil
		}
		_ = c.Close()
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return p.connect(ctx, who)
}

// forget takes an idle connection out. p.mu is held.
func (p *Pool) forget(e *list.Element) {
	c := p.order.Remove(e).(*Conn)
	of := p.idle[c.who]
	for i := range of {
		if of[i] == e {
			of = append(of[:i], of[i+1:]...)
			break
		}
	}
	if len(of) == 0 {
		delete(p.idle, c.who)
	} else {
		p.idle[c.who] = of
	}
}

// Put takes a connection back. One that is not usable, or has carried its requests, is
// closed.
func (p *Pool) Put(c *Conn) {
	if c.broken {
		p.mu.Lock()
		p.broke = time.Now()
		p.mu.Unlock()
	}
	if !c.usable() || p.o.Requests > 0 && c.requests >= p.o.Requests {
		_ = c.Close()
		return
	}
	c.used = time.Now()
	p.mu.Lock()
	p.idle[c.who] = append(p.idle[c.who], p.order.PushBack(c))
	var gone *Conn
	if p.order.Len() > p.o.Idle {
		e := p.order.Front()
		gone = e.Value.(*Conn)
		p.forget(e)
	}
	p.mu.Unlock()
	if gone != nil {
		_ = gone.Close()
	}
}

func (p *Pool) connect(ctx context.Context, who uint32) (c *Conn, err error) {
	began := time.Now()
	defer func() {
		if p.o.Connected != nil {
			p.o.Connected(time.Since(began), err)
		}
	}()
	id, err := p.o.Seed.Identity(p.o.Role, who)
	if err != nil {
		return nil, err
	}
	config := identity.ClientConfig(id, p.o.Roots)
	config.ServerName = p.o.Name
	config.ClientSessionCache = &session{pool: p, who: who, offer: rand.Float64() < p.o.Resume}
	c, err = dial(ctx, p.o.Address, config)
	if err != nil {
		return nil, err
	}
	c.who = who
	p.connects.Add(1)
	if c.resumed {
		p.resumed.Add(1)
	}
	return c, nil
}

// session is the session cache of one connection.
type session struct {
	pool  *Pool
	who   uint32
	offer bool
}

func (s *session) Get(string) (*tls.ClientSessionState, bool) {
	if !s.offer {
		return nil, false
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	state, ok := s.pool.sessions[s.who]
	return state, ok
}

// Put keeps the session if there is room for one more client's.
func (s *session) Put(_ string, state *tls.ClientSessionState) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	if _, has := s.pool.sessions[s.who]; state == nil {
		delete(s.pool.sessions, s.who)
	} else if has || len(s.pool.sessions) < s.pool.o.Sessions {
		s.pool.sessions[s.who] = state
	}
}

// dropIdle closes all idle connections and returns whose they were.
func (p *Pool) dropIdle() []uint32 {
	p.mu.Lock()
	var who []uint32
	var all []*Conn
	for e := p.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*Conn))
		who = append(who, e.Value.(*Conn).who)
	}
	p.order.Init()
	clear(p.idle)
	p.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
	return who
}

// Counts returns how often the pool connected, and how many of these connects resumed a
// session.
func (p *Pool) Counts() (connects, resumed int64) {
	return p.connects.Load(), p.resumed.Load()
}

// Close closes all idle connections.
func (p *Pool) Close() { p.dropIdle() }

// Reconnect closes all idle connections and has their clients connect again, all at once.
func (p *Pool) Reconnect(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, who := range p.dropIdle() {
		wg.Go(func() {
			if c, err := p.connect(ctx, who); err == nil {
				p.Put(c) // who could not connect does so with the next request
			}
		})
	}
	wg.Wait()
}
