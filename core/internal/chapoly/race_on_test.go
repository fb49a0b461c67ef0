//go:build race

package chapoly

const raceEnabled = true
