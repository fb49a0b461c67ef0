package report

import (
	"cmp"
	"fmt"
	"slices"

	"ecoin/loadgen/result"
)

// frequent returns the n most frequent errors, and all others as one more.
func frequent(errors []result.Error, n int) []result.Error {
	all := slices.Clone(errors)
	slices.SortStableFunc(all, func(a, b result.Error) int { return cmp.Compare(b.Count, a.Count) })
	if len(all) <= n {
		return all
	}
	rest := result.Error{Kind: "others", Reason: fmt.Sprintf("%d further reasons", len(all)-n)}
	for _, e := range all[n:] {
		rest.Count += e.Count
	}
	return append(all[:n], rest)
}
