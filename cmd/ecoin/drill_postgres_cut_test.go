package main

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/nettest"
	"ecoin/internal/pgtest"
)

// TestDrillPostgresCut cuts the host of the primary off, and with it a bank node that goes
// on taking calls there. A standby is promoted on the other side, where two more nodes are.
// What the node that is cut off is asked for cannot be acknowledged, as no standby has it;
// in the end its coins went one way, and the state that the old primary has alone is not
// what any node shows, though that server still runs when the cut has healed.
func TestDrillPostgresCut(t *testing.T) {
	if !fullDrill {
		t.Parallel() // it waits most of the time
	}
	if !nettest.Alone(t) {
		return
	}
	workers, rounds := 2, int64(2)
	if fullDrill {
		workers, rounds = 8, 8
	}
	host := nettest.NewHost(t)
	near := pgtest.Place{Address: host.Near}
	c := pgtest.StartClusterAt(t, pgtest.Place{Address: host.Address, Do: host.Do}, near, near)
	dsn := c.NewDatabase()
	ns := startNodes(t, dsn, 2)
	island := ns.prepare(dsn)
	if err := host.Do(func() error { island.start(); return nil }); err != nil {
		t.Fatal(err)
	}
	var patrons []*patron
	for i := range workers {
		patrons = append(patrons, ns.patron(i))
	}
	cast := ns.castaway(patrons[0].key, "https://"+bridge(t, host, island.listen))

	end := ns.work(patrons)
	defer end()
	ns.progress(patrons, rounds)
	ns.gaps()
	host.Cut()
	inVain := cast.ask()
	c.Promote()
	ns.progress(patrons, rounds)
	gaps := ns.gaps()
	asks := inVain()
	if t.Failed() {
		return
	}

	// Others may have the coins that the island could not redeem, but for the first few.
	half := cast.records[:len(cast.records)/2]
	rival := ns.clients("cut-rival", "analyst", 0)
	for i, st := range ns.redeem(rival, 0, half) {
		if st != core.StatusOK {
			t.Errorf("coin %d, of whose redeem nobody was told: %v", i, st)
		}
	}
	host.Heal()
	ns.banks[0].kill() // so that it connects anew, with the old primary's address first
	ns.banks[0].start()
	ns.progress(patrons, rounds)
	end()

	// Everybody is told the same, at the island too. What it was asked for before, it may
	// have done by itself now.
	for node, who := range [][]*client.Client{{cast.far, cast.far}, cast.near} {
		for i, st := range ns.redeem(who, 0, cast.records) {
			if i < len(half) && st != core.StatusRedeemed || i >= len(half) && st != core.StatusOK && st != core.StatusRedeemedBefore {
				t.Errorf("place %d: coin %d of the castaway: %v", node, i, st)
			}
		}
	}
	v := ns.audit(patrons)
	t.Logf("no write acknowledged for: %s; %d calls in vain at the node that was cut off", gaps, asks)
	t.Logf("%d withdrawals, %d coins redeemed: %d redeems lost, %d coins revived, %d coins missing; %d calls asked again",
		v.rounds, v.redeemed, v.lost, v.revived, v.missing, ns.asked.Load())
	if v.lost+v.revived+v.missing > 0 {
		t.Error("an acknowledged answer did not hold")
	}
}

// castaway is an analyst at the node that is cut off, with coins from before.
type castaway struct {
	ns      *nodes
	near    []*client.Client // of each other node
	far     *client.Client
	records [][]byte
	buyer   *client.Client // a collector, at that node too
}

func (ns *nodes) castaway(key *core.PublicKey, url string) *castaway {
	ns.t.Helper()
	lab, cam := ns.account("cast-lab", "analyst", 0), ns.account("cast-cam", "collector", 1000)
	const patience = 2 * time.Second
	w := &castaway{ns: ns, far: ns.client(url, lab, patience), buyer: ns.client(url, cam, patience)}
	for _, b := range ns.banks {
		w.near = append(w.near, ns.client(b.url(), lab, patience))
	}
	var id [16]byte
	rand.Read(id[:])
	coins := settle(ns.t, func() ([]core.Coin, error) { return w.buyer.Withdraw(context.Background(), id, 40) })
	w.records = seal(ns.t, key, coins)
	// The node opens all the connections it may have, to the primary that will be cut off.
	unknown := seal(ns.t, key, make([]core.Coin, 1))
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				settle(ns.t, func() ([]client.Redeemed, error) { return w.far.Redeem(context.Background(), unknown) })
			}
		})
	}
	wg.Wait()
	return w
}

// ask has the analyst redeem all its coins, and the collector withdraw, again and again at
// the node that is cut off, where none of it may be acknowledged. It goes on until the
// returned function is called, which returns how often they asked, at least twice each.
func (w *castaway) ask() (end func() int64) {
	ctx, stop := context.WithCancel(context.Background())
	var asks atomic.Int64
	var wg sync.WaitGroup
	for _, call := range []func() error{
		func() error { _, err := w.far.Redeem(context.Background(), w.records); return err },
		func() error { _, err := w.buyer.Withdraw(context.Background(), [16]byte{1}, 10); return err },
	} {
		wg.Go(func() {
			for try := 0; try < 2 || ctx.Err() == nil; try++ {
				if call() == nil {
					w.ns.t.Error("a node that is cut off acknowledges a redeem or a withdrawal")
				}
				asks.Add(1)
			}
		})
	}
	return func() int64 {
		stop()
		wg.Wait()
		return asks.Load()
	}
}

// bridge returns an address here that leads to one on the other host, cable or not: so that
// somebody can be a client there.
func bridge(t *testing.T, host *nettest.Host, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			var far net.Conn
			if err := host.Do(func() (err error) { far, err = net.Dial("tcp", to); return err }); err != nil {
				near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					way[0].Close()
					way[1].Close()
				}()
			}
		}
	}()
	return l.Addr().String()
}
