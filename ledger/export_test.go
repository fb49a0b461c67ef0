package ledger

// RaceEnabled says whether the race detector is in this build.
const RaceEnabled = raceEnabled

// WithTinyMemory makes deltas and log files so small that short tests flush often and
// use many files.
func WithTinyMemory(o Options) Options {
	o.deltaCoins = 256
	o.logSegment = 64 << 10
	return o
}
