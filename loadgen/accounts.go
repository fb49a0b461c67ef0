package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/result"
)

// totals are sums over the accounts of a load. What is not known is not compared.
type totals struct {
	fleet, market    int64 // paid to analysts, less what they returned
	issued, refunded int64 // to and by collectors

	knowsMarket, knowsCollectors bool
}

// mostAsked is how many collectors are asked for their accounts one by one.
const mostAsked = 1000

// totals asks the bank for the accounts: the operator's way if there is one, else each
// account with its own key.
func (s *Stage) totals(ctx context.Context) (t totals, err error) {
	if s.admin != nil {
		t.knowsMarket, t.knowsCollectors = s.market != nil, true
		analyst, collector := s.o.Seed.Prefix(roleAnalyst), s.o.Seed.Prefix(roleCollector)
		return t, s.admin.Accounts(ctx, func(a wire.AdminAccount) error {
			switch {
			case slices.Contains(s.market, a.Name):
				t.market += a.Redeemed - a.Returned
			case strings.HasPrefix(a.Name, analyst):
				t.fleet += a.Redeemed - a.Returned
			case strings.HasPrefix(a.Name, collector):
				t.issued += a.Issued
				t.refunded += a.Refunded
			}
			return nil
		})
	}
	for i := range s.o.Analysts {
		a, err := s.account(ctx, s.analysts, roleAnalyst, uint32(i))
		if err != nil {
			return t, err
		}
		t.fleet += a.Redeemed - a.Returned
	}
	if s.o.Fleet > mostAsked {
		return t, nil
	}
	t.knowsCollectors = true
	for i := range s.o.Fleet {
		a, err := s.account(ctx, s.collectors, roleCollector, uint32(i))
		if err != nil {
			return t, err
		}
		t.issued += a.Issued
		t.refunded += a.Refunded
	}
	return t, nil
}

// account asks the bank for an account, with the account's own key.
func (s *Stage) account(ctx context.Context, p *fleet.Pool, role string, i uint32) (a wire.Account, err error) {
	c, err := p.Get(ctx, i, time.Now().Add(time.Minute))
	if err != nil {
		return a, fmt.Errorf("loadgen: %s cannot connect to %s (has it an account there?): %w", s.o.Seed.Name(role, i), s.base.Bank, err)
	}
	defer p.Put(c)
	r, err := c.Get(wire.PathAccount, time.Now().Add(10*time.Second))
	if err != nil {
		return a, fmt.Errorf("loadgen: ask %s for an account: %w", s.base.Bank, err)
	}
	if r.Status != http.StatusOK || json.Unmarshal(r.Body, &a) != nil || a.Role != role {
		return a, fmt.Errorf("loadgen: %s answers %d when asked for the account of %s", s.base.Bank, r.Status, s.o.Seed.Name(role, i))
	}
	return a, nil
}

// compareAccounts holds what the accounts gained by a load against what the load knows.
func compareAccounts(before, after totals, a *result.Audit) {
	for _, c := range []struct {
		known     bool
		got, want int64
		text      string
	}{
		{true, after.fleet - before.fleet, a.ByFleet, "the analysts were paid %d coins for %d redeemed"},
		{after.knowsMarket, after.market - before.market, a.Redeemed - a.ByFleet, "the analysts of operations were paid %d coins for %d redeemed"},
		{after.knowsCollectors, after.issued - before.issued, a.Issued, "the collectors were charged for %d coins, and got %d"},
		{after.knowsCollectors, after.refunded - before.refunded, a.Refunded + a.Refunds, "the collectors were refunded %d coins, for %d given back"},
	} {
		if c.known && c.got != c.want {
			a.Problems = append(a.Problems, fmt.Sprintf(c.text, c.got, c.want))
		}
	}
}
