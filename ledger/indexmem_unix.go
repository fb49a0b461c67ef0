//go:build unix

package ledger

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapFrom is the size, in slots, from which on memory is asked from the system.
const mapFrom = 1 << 14

// allocSlots returns n free slots, from outside of Go's heap if they are many, and
// what gives them back.
func allocSlots(n int) ([]slot, func(), error) {
	if n < mapFrom {
		return make([]slot, n), func() {}, nil
	}
	b, err := unix.Mmap(-1, 0, n*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errIndexFull, err)
	}
	return unsafe.Slice((*slot)(unsafe.Pointer(&b[0])), n), func() { _ = unix.Munmap(b) }, nil
}
