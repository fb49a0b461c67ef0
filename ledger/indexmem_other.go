//go:build !unix

package ledger

// allocSlots returns n free slots and what gives them back.
func allocSlots(n int) ([]slot, func(), error) { return make([]slot, n), func() {}, nil }
