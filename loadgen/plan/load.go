package plan

import "ecoin/core"

// target adds what the plan is for: every flag.
func (s *sheet) target(t *Target) {
	s.begin("Target", "")
	s.given("devices", "devices", "", t.Devices, "--devices")
	s.given("coins", "live coins of a device", "", t.Coins, "--coins")
	s.given("operations", "operations of a device a day", "", t.Operations, "--operations-per-device-day")
	s.given("peak", "peak over mean", "", t.Peak, "--peak")
	s.given("utilisation", "share of the highest rate that a peak takes", "", t.Utilisation, "--utilisation")
	s.given("replicas", "copies of what is stored", "", t.Replicas, "--replicas")
	s.given("batch", "headers of a redeem request", "", t.Batch, "--batch")
	s.given("per_request", "coins of a withdrawal", "", t.CoinsPerRequest, "--coins-per-withdrawal")
	s.given("connects_day", "connects of a device a day", "", t.Connects, "--connects-per-device-day")
	s.given("resumed", "share of them that resume a session", "", t.Resumed, "--resumed")
	s.given("hold", "life of a connection", "s", t.Hold, "--hold-seconds")
	s.given("conns_node", "most connections of a node", "", t.ConnsPerNode, "--connections-per-node")
	s.given("window", "spent records are kept, at least", "s", t.SpentWindow.Seconds(), "--spent-window")
	s.given("refill_days", "all coins withdrawn anew within", "days", t.RefillDays, "--refill-days")
	s.given("analysts", "analysts", "", t.Analysts, "--analysts")
	s.given("payload", "a reading, and its result", "B", t.Payload, "--payload")
	s.given("disk_fill", "share of a disk that may be full", "", t.DiskFill, "--disk-fill")
	s.given("memory_share", "share of memory that may be used", "", t.MemoryShare, "--memory-share")
	s.given("core_speed", "planned core over measured core", "", t.CoreSpeed, "--core-speed")
	s.given("disk_speed", "planned disk over measured disk", "", t.DiskSpeed, "--disk-speed")
	s.given("header", "header", "B", suiteHeader(t.Suite), "--suite "+t.Suite+" (docs/PROTOCOL.md)")
}

func suiteHeader(name string) float64 {
	suite, err := core.ParseSuite(name)
	if err != nil {
		panic("plan: " + err.Error()) // validated before
	}
	return float64(suite.HeaderLen())
}

func (s *sheet) node(n *Node) {
	name := "node " + n.Name
	from := "--node-file"
	if n.Example {
		from = "--node"
	}
	s.begin("A "+name, "")
	s.given("node_cores", "cores", "", n.Cores, from)
	s.given("node_memory", "memory", "GB", n.MemoryGB, from)
	s.given("node_disks", "disks", "", n.Disks, from)
	s.given("node_disk", "a disk", "TB", n.DiskTB, from)
	s.given("node_network", "network", "Gbit/s", n.Gbits, from)
	if n.Example {
		from = "an example, not an offer"
	}
	s.given("node_price", "price a month", n.Currency, n.Price, from)
}

// load adds what the fleet asks for, whatever the ledger.
func (s *sheet) load() {
	s.begin("What the fleet asks for", "")
	s.line("total", "live coins", "", "devices * coins")
	s.line("mean", "redeems a second, mean", "/s", "devices * operations / 86400")
	s.line("redeems", "redeems a second, peak", "/s", "mean * peak")
	s.line("refill_rate", "withdrawn a second to refill", "/s", "total / (refill_days * 86400)")
	s.line("withdraws", "coins withdrawn a second, peak", "/s", "max(redeems, refill_rate)")
	s.line("connects", "connects a second, peak", "/s", "devices * connects_day / 86400 * peak")
	s.line("idle", "connections held, peak", "", "connects * hold")
	s.line("spent", "spent records of two windows", "", "redeems * window * 2")
	s.line("connect_us", "CPU time of a connect", "us", "full_us * (1 - resumed) + resumed_us * resumed")
	s.line("connect_cores", "cores for connects", "", "connects * connect_us / 1e6")
	s.line("redeem_bytes", "bytes of a redeemed coin on the wire", "B", "12 + header + 49 + request_bytes / batch")
	s.line("withdraw_bytes", "bytes of a withdrawn coin on the wire", "B", "32 + request_bytes / per_request")
	s.line("wire", "network of the banks, both directions", "Gbit/s",
		"(redeems * redeem_bytes + withdraws * withdraw_bytes + connects * handshake_bytes) * 8 / 1e9")
	s.line("operation_bytes", "bytes of an operation and its reply", "B", "2 * (payload + 64) + header")
	s.line("directors", "network of all directors, in and out", "Gbit/s", "redeems * operation_bytes * 2 * 8 / 1e9")
}

// notes adds the estimates of the first proof of concept, put right.
func (s *sheet) notes() {
	s.begin("Sizes and chances, the first notes put right", "")
	s.line("wallet", "coins of a device (the notes said 32 bytes)", "B", "coins * 32")
	s.line("raw", "all coins of 256 bits, one copy", "TB", "total * 32 / 1e12")
	s.line("keys", "the same as 16-byte keys of the ledger", "TB", "total * 16 / 1e12")
	s.line("space", "possible coins (they said 10^64)", "", "pow(2, 256)")
	s.line("years", "10^15 s in years (they said 3 years)", "years", "1e15 / (365.25 * 86400)")
	s.line("guess", "one guess meets a live fingerprint", "", "total / pow(2, 128)")
}
