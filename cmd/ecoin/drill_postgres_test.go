package main

import (
	"testing"

	"ecoin/internal/pgtest"
)

// The drills of a bank on PostgreSQL: two nodes on a primary with two standbys, of which one
// has to have each commit. "make drill-postgres" runs them at full size, "go test" at a
// fraction of it.

// TestDrillPostgresKill kills the primary while clients work at both nodes, and promotes a
// standby. How long an operator's tools take to notice is not part of the gap.
func TestDrillPostgresKill(t *testing.T) {
	workers, rounds := 4, int64(3)
	if fullDrill {
		workers, rounds = 8, 15
	} else {
		t.Parallel()
	}
	c := pgtest.StartCluster(t, 2)
	ns := startNodes(t, c.NewDatabase(), 2)
	var patrons []*patron
	for i := range workers {
		patrons = append(patrons, ns.patron(i))
	}
	end := ns.work(patrons)
	defer end()
	ns.progress(patrons, rounds)
	steady := ns.gaps()
	c.KillPrimary()
	c.Promote()
	ns.progress(patrons, rounds)
	gaps := ns.gaps()
	end()

	v := ns.audit(patrons)
	t.Logf("no write acknowledged for: %s (before the kill: %s); %d calls asked again", gaps, steady, ns.asked.Load())
	t.Logf("%d withdrawals of %d coins, %d coins redeemed: %d redeems lost, %d coins revived, %d coins missing",
		v.rounds, withdrawnCoins, v.redeemed, v.lost, v.revived, v.missing)
	if v.lost+v.revived+v.missing > 0 {
		t.Error("an acknowledged answer did not hold")
	}
}
