package server

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"ecoin/bank"
	"ecoin/internal/problem"
	"ecoin/ledger"
)

// TestVerdicts takes every row of the table twice, as calls wrap it, with different texts:
// what is made once must be what would be made each time, and no text may be another call's.
func TestVerdicts(t *testing.T) {
	for _, r := range refusals {
		errs := []error{fmt.Errorf("redeem: %w", r.err), fmt.Errorf("return: %w", r.err)}
		verdicts := []verdict{verdictOn(errs[0]), verdictOn(errs[1])}
		for i, v := range verdicts {
			detail := r.detail
			if detail == "" {
				detail = errs[i].Error()
			}
			want := problem.New(r.status, detail)
			want.RetryAfter = r.retry
			if *v.Problem != *want || !bytes.Equal(v.json(), problem.Marshal(want)) {
				t.Errorf("%v: %+v as %s, want %+v", errs[i], *v.Problem, v.json(), *want)
			}
			if v.reason != r.err.Error() || !v.expected {
				t.Errorf("%v: reason %q, expected %v", errs[i], v.reason, v.expected)
			}
		}
	}
	for _, c := range []struct {
		err      error
		status   int
		reason   string
		expected bool
	}{
		{problem.New(http.StatusNotFound, "quotes the request"), 404, "not found", true},
		{&bank.RateError{Wait: time.Second}, 429, "above the account's rate", true},
		{ledger.ErrNoAccount, 500, "account removed", false},
		{errors.New("on fire"), 500, "failed, see the log", false},
	} {
		v := verdictOn(fmt.Errorf("redeem: %w", c.err))
		if v.Status != c.status || v.reason != c.reason || v.expected != c.expected {
			t.Errorf("%v: %d, %q, expected %v", c.err, v.Status, v.reason, v.expected)
		}
		if bytes.Contains(v.json(), []byte("fire")) {
			t.Errorf("%v is told to the client: %s", c.err, v.json())
		}
	}
}
