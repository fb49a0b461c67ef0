package pgledger

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// hosts remembers which host of a DSN worked last, and puts it first. Otherwise each new
// connection would first wait in vain for a host that is gone, for as long as the DSN
// names it before the others. It is safe for concurrent use.
type hosts struct {
	lookup pgconn.LookupFunc

	mu        sync.Mutex
	addresses map[string][]string // of each name that was looked up
	last      string              // address and port
}

// newHosts takes over the lookups of a configuration.
func newHosts(c *pgx.ConnConfig) *hosts {
	h := &hosts{lookup: c.LookupFunc, addresses: map[string][]string{}}
	c.LookupFunc = h.find
	return h
}

// find resolves a name.
func (h *hosts) find(ctx context.Context, name string) ([]string, error) {
	addresses, err := h.lookup(ctx, name)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addresses[name] = addresses
	return addresses, err
}

// worked notes the host of a connection that is good.
func (h *hosts) worked(c *pgconn.PgConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = c.Conn().RemoteAddr().String()
}

// prefer reorders the hosts of a connection that is about to be made.
func (h *hosts) prefer(_ context.Context, c *pgx.ConnConfig) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	isLast := func(f *pgconn.FallbackConfig) bool {
		return slices.ContainsFunc(h.addresses[f.Host], func(address string) bool {
			return net.JoinHostPort(address, strconv.Itoa(int(f.Port))) == h.last
		})
	}
	all := append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
	first := slices.DeleteFunc(slices.Clone(all), func(f *pgconn.FallbackConfig) bool { return !isLast(f) })
	all = append(first, slices.DeleteFunc(all, isLast)...)
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = all[0].Host, all[0].Port, all[0].TLSConfig, all[1:]
	return nil
}
