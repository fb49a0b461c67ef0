//go:build !unix

package ledger

// allocSlots returns tables of n free slots each, and what gives the memory of a table back.
func allocSlots(tables, n int) ([][]slot, func(table int), error) {
	slots := make([][]slot, tables)
	for i := range slots {
		slots[i] = make([]slot, n)
	}
	return slots, func(int) {}, nil
}
