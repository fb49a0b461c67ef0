//go:build !race

// Package race tells tests whether the race detector is there: it allocates, and takes
// its time. Only tests import it.
package race

// Enabled says whether the race detector is in this build.
const Enabled = false
