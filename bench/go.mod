module ecoin/bench

go 1.26.4

replace ecoin => ../

require (
	ecoin v0.0.0
	github.com/alecthomas/kong v1.17.0
	github.com/cloudflare/circl v1.6.5
	golang.org/x/crypto v0.58.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
