package plan

// What was measured outside of the files in docs/plots; BENCHMARKS.md has the same figures.

// codec is the time to open a header, us, by suite: in full batches and in batches of
// eight. A suite that is not in it was not measured.
var codec = map[string]*struct{ batch64, batch8 float64 }{
	"x25519": {12.379, 14.026},
	"xwing":  {115.633, 135.794},
}

// open returns what opening a header costs in requests of so many.
func open(suite string, headers float64) Figure {
	us, batch := codec[suite].batch64, "64"
	if headers < 64 {
		us, batch = codec[suite].batch8, "8"
	}
	return Figure{Value: us, Where: "D: header open, " + suite + ", batch " + batch}
}

var (
	mintUs = Figure{Value: 0.168, Where: "D: coins 75 ns + fingerprints 93 ns"}

	diskSyncs  = Figure{Value: 2712, Where: "E: 4 KiB append + fdatasync"}
	diskReads  = Figure{Value: 80_028, Where: "E: random read of 4 KiB, 32 at once"}
	diskWrites = Figure{Value: 482, Where: "E: 256 KiB append + fdatasync"}
	groupCoins = Figure{Value: 1400, Where: "BENCHMARKS.md, \"A redeem\": coins a sync, index path"}

	fixedGB = Figure{Value: 0.643, Where: "OPERATIONS.md: 256 MiB block cache + 2.5 million changed coins x 150 bytes"}

	requestBytes   = Figure{Value: 500, Assumed: true, Where: "HTTP, TLS and TCP around the bodies of a request and its answer"}
	handshakeBytes = Figure{Value: 4000, Assumed: true, Where: "both directions, X25519MLKEM768 and two certificates"}

	sqlRate     = Figure{Value: 93_497, Where: "F: DELETE .. RETURNING of 256, 5 M rows, after a checkpoint"}
	sqlRows     = Figure{Value: 5e6, Where: "F: the most rows that were tried"}
	sqlIssue    = Figure{Value: 328_569, Where: "F: INSERT of 256, 300 k rows, hot"}
	sqlBytes    = Figure{Value: 106, Where: "F: heap 52 + index 54 of a 16-byte key"}
	sqlLogHot   = Figure{Value: 1000, Where: "F: log of a redeem, 5 M rows, after a checkpoint"}
	sqlLogCold  = Figure{Value: 16_384, Assumed: true, Where: "page images of heap and index, 8 KiB each; F: 1,000 B with 5 M rows"}
	sqlReads    = Figure{Value: 2, Assumed: true, Where: "a page of the heap and one of the index; upper pages are in memory"}
	sqlPatroniS = Figure{Value: 30.3, Where: "F: promotion 0.3 s after Patroni's default ttl of 30 s"}
)

const measuredProcessors = 2 // of every machine above
