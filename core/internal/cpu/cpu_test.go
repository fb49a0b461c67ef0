//go:build amd64 && !purego

package cpu

import "testing"

// TestSets prints what was detected, so that a test log says which routines ran, and
// checks that a set never comes without the sets it is built on.
func TestSets(t *testing.T) {
	t.Logf("AESNI=%t SHANI=%t AVX2=%t AVX512=%t VAES=%t IFMA=%t", AESNI, SHANI, AVX2, AVX512, VAES, IFMA)
	for _, c := range []struct {
		name      string
		has, base bool
	}{
		{"VAES without AVX512", VAES, AVX512},
		{"VAES without AESNI", VAES, AESNI},
		{"IFMA without AVX512", IFMA, AVX512},
	} {
		if c.has && !c.base {
			t.Error(c.name)
		}
	}
}
