package core

import "unsafe"

// mustNotOverlap panics if in shares memory with the spare capacity of dst, which
// is where output goes. Writing there would silently change the input half way.
func mustNotOverlap(name string, dst, in []byte) {
	if overlap(dst[len(dst):cap(dst)], in) {
		panic("core: " + name + " overlaps the spare capacity of dst")
	}
}

// overlap reports whether a and b share a byte. Pointers are compared as numbers;
// none is made from a number.
func overlap(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	a0 := uintptr(unsafe.Pointer(unsafe.SliceData(a)))
	b0 := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return a0 < b0+uintptr(len(b)) && b0 < a0+uintptr(len(a))
}
