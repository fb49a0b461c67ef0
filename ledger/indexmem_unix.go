//go:build unix

package ledger

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapFrom is the size, in slots, from which on memory is asked from the system.
const mapFrom = 1 << 14

// allocSlots returns tables of n free slots each, from outside of Go's heap
// if they are many, and what gives the memory of a table back. Neighbouring tables
// share huge pages where the system has them: looking a coin up in gigabytes of small
// ones would mostly be looking up pages. One goroutine uses them all.
func allocSlots(tables, n int) ([][]slot, func(table int), error) {
	slots := make([][]slot, tables)
	if tables*n < mapFrom {
		for i := range slots {
			slots[i] = make([]slot, n)
		}
		return slots, func(int) {}, nil
	}
	page := os.Getpagesize()
	size := (n*slotSize + page - 1) / page * page
	b, err := unix.Mmap(-1, 0, tables*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errIndexFull, err)
	}
	preferHugePages(b)
	for i := range slots {
		slots[i] = unsafe.Slice((*slot)(unsafe.Pointer(&b[i*size])), n)
	}
	left := tables
	return slots, func(table int) {
		if left--; left == 0 {
			_ = unix.Munmap(b)
			return
		}
		_ = unix.Madvise(b[table*size:(table+1)*size], unix.MADV_DONTNEED)
	}, nil
}
