//go:build !race

package hpke

const raceEnabled = false
