//go:build !race

package chapoly

const raceEnabled = false
