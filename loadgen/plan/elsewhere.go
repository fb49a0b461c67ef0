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

	sqlRate       = Figure{Value: 138_800, Where: "F: redeems of 256 coins, 2 M live"}
	sqlRows       = Figure{Value: 10e6, Where: "F: the most live coins that were tried"}
	sqlRedeemUs   = Figure{Value: 12.1, Where: "F: redeem, database's us"}
	sqlWithdrawUs = Figure{Value: 7.57, Where: "F: withdraw, database's us"}
	sqlAskUs      = Figure{Value: 1.83, Where: "F: redeem, client's us"}
	sqlIssueUs    = Figure{Value: 0.37, Where: "F: withdraw, client's us"}
	sqlIssue      = Figure{Value: 127_000, Where: "F: withdrawals of 1000 coins"}
	sqlBytes      = Figure{Value: 83, Where: "F: withdraw, disk"}
	sqlSpentBytes = Figure{Value: 126, Where: "F: redeem, disk"}
	sqlLogHot     = Figure{Value: 276, Where: "F: redeem, log, long after a checkpoint"}
	sqlLogCold    = Figure{Value: 16_384, Assumed: true, Where: "a page of the coins, one of the spent records' keys; F: 5,623 B with 10 M live"}
	sqlReads      = Figure{Value: 2, Assumed: true, Where: "a page of the heap and one of the index; upper pages are in memory"}
	sqlPatroniS   = Figure{Value: 30.3, Where: "F: promotion 0.3 s after Patroni's default ttl of 30 s"}
)

const measuredProcessors = 2 // of every machine above
