package cbc

import "testing"

// An implementation is one way of doing all that the package does. The methods and
// EncryptMany use it after use was called.
type implementation struct {
	name string
	use  func()
}

// eachImplementation runs f on all that this machine can run.
func eachImplementation(t *testing.T, f func(*testing.T)) {
	for _, impl := range implementations() {
		t.Run("impl="+impl.name, func(t *testing.T) {
			with(t, impl)
			f(t)
		})
	}
}

// with uses impl until the test ends.
func with(t testing.TB, impl implementation) {
	t.Cleanup(useBest)
	impl.use()
}

func useBest() {
	all := implementations()
	all[len(all)-1].use()
}
