//go:build race

package hpke

const raceEnabled = true
