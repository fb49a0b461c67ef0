package plan

import "fmt"

// measured adds the figures that all ledgers share.
func (s *sheet) measured(m *Measurements, t *Target, r redeemFigure) {
	s.begin("Measured, whatever the ledger", "")
	s.figure("bank_us", "CPU time of the bank a redeemed coin", "us", r.cpuUs)
	s.figure("small_us", "of it in the ledger, which was small there", "us", m.small())
	if r.suite != t.Suite {
		s.figure("open_from", "opening a header of suite "+r.suite, "us", open(r.suite, r.headers))
		s.figure("open_to", "opening a header of suite "+t.Suite, "us", open(t.Suite, r.headers))
		s.line("outside_us", "outside of the ledger, "+t.Suite, "us", "max(0, bank_us - small_us - open_from) + open_to")
	} else {
		s.line("outside_us", "outside of the ledger", "us", "max(0, bank_us - small_us)")
	}
	s.figure("lone_us", "CPU time of a coin alone in its request", "us", m.loneUs)
	s.figure("full_us", "CPU time of a full handshake", "us", m.bank.handshake(false))
	s.figure("resumed_us", "of a resumed one", "us", m.bank.handshake(true))
	s.figure("conn_bytes", "memory of an idle connection", "B", Figure{Value: m.bank.Idle.Bytes / m.bank.Idle.Conns, Where: "B: idle: bytes / connections"})
	s.figure("mint_us", "making a coin and its fingerprint", "us", mintUs)
	if w := m.withdrawUs; w != nil {
		s.figure("bank_withdraw_us", "CPU time of the bank a withdrawn coin", "us", *w)
		s.line("withdraw_outside_us", "a withdrawn coin outside of the ledger", "us", "max(0, bank_withdraw_us - small_us)")
	} else {
		s.line("withdraw_outside_us", "a withdrawn coin outside of the ledger", "us", "mint_us + lone_us / per_request")
		s.note("not measured: its request taken as a lone redeem")
	}
	s.figure("disk_syncs", "syncs of a disk", "/s", diskSyncs)
	s.figure("disk_writes", "synced writes of a disk", "MB/s", diskWrites)
	s.figure("disk_reads", "random reads of a disk", "/s", diskReads)
	s.figure("request_bytes", "around a request and its answer", "B", requestBytes)
	s.figure("handshake_bytes", "a handshake", "B", handshakeBytes)
}

// small is what a redeem costs in a ledger of the size that the bank had in its measurement.
func (m *Measurements) small() Figure {
	row, err := m.growth.row("index", 0)
	if err != nil {
		panic("plan: " + err.Error()) // the recorded file has one
	}
	return Figure{Value: row.CPUUs, Where: fmt.Sprintf("A: %s, index: cpu_us_per_coin", coins(row.Coins))}
}

func coins(n float64) string { return number(n/1e6) + " M coins" }

// pebble adds the plan of banks side by side, each with a ledger on Pebble; index tells
// whether live coins are indexed in memory.
func (s *sheet) pebble(m *Measurements, t *Target, n *Node, r redeemFigure, index bool) (*Ledger, error) {
	path := map[bool]string{true: "index", false: "plain"}[index]
	l := &Ledger{Name: path, Title: map[bool]string{
		true:  "Pebble banks side by side, index of live coins in memory",
		false: "Pebble banks side by side, coins looked up on disk",
	}[index]}
	row, err := m.growth.row(path, t.Devices*t.Coins)
	if err != nil {
		return nil, err
	}
	from := func(value float64, field string) Figure {
		return Figure{Value: value, Where: fmt.Sprintf("A: %s, %s: %s", coins(row.Coins), path, field)}
	}

	s.begin(l.Title, path+"_")
	s.figure("size", "live coins when it was measured", "", from(row.Coins, "coins"))
	s.figure("ledger_us", "CPU time a redeem, compactions too", "us", from(row.CPUDrainedUs, "cpu_drained_us_per_coin"))
	s.figure("bytes", "disk of a live coin", "B", from(row.DiskBytes, "disk_bytes_per_coin"))
	s.figure("spent_bytes", "disk of a spent record", "B", from(row.SpentBytes, "spent_bytes_per_coin"))
	s.figure("amplification", "bytes written over 16 a redeem", "", from(row.WriteAmp, "write_amplification"))
	if index {
		s.figure("index_bytes", "index of a live coin", "B", from(row.IndexBytes, "index_bytes_per_coin"))
		s.figure("index_s", "index read after a start", "s", from(row.IndexedS, "indexed_s"))
		s.figure("fixed", "memory of a node beside it", "GB", fixedGB)
		s.figure("group", "coins a sync, the most that was seen", "", groupCoins)
	}
	s.figure("load_rate", "coins loaded a second", "/s", from(row.LoadPerS, "load_coins_per_s"))
	s.figure("audit_s", "audit", "s", from(row.AuditS, "audit_s"))
	s.figure("reopen_s", "serves again after kill -9, at any size", "s", from(row.ReopenS, "reopen_s"))

	s.line("redeem_us", "CPU time of a redeemed coin", "us", "outside_us + ledger_us")
	s.line("withdraw_us", "CPU time of a withdrawn coin", "us", "withdraw_outside_us + ledger_us")
	s.note("in the ledger taken as a redeem: not measured")
	s.line("redeem_cores", "cores for redeems, peak", "", "redeems * redeem_us / 1e6")
	s.line("withdraw_cores", "cores for withdrawals, peak", "", "withdraws * withdraw_us / 1e6")
	s.line("cores", "cores, peak", "", "redeem_cores + withdraw_cores + connect_cores")
	s.need(l, "cores", "ceil(cores / (node_cores * core_speed * utilisation))")
	s.mark(n.Cores/m.processors, "the processors of the measured machine, in each node")
	s.need(l, "connects", "ceil(connect_cores / (node_cores * core_speed * utilisation))")
	s.note("a part of those for cores")
	if _, has := s.byKey["usl_low"]; has {
		s.line("low_cores", "nodes for cores at the band's low end", "", "ceil(n_cores * usl / usl_low)")
	}

	if index {
		s.line("memory", "memory for index and connections", "GB", "(total * index_bytes + idle * conn_bytes) / 1e9")
		if n.MemoryGB*t.MemoryShare <= fixedGB.Value {
			return nil, fmt.Errorf("a node %s has %s GB of memory, of which --memory-share leaves nothing beside %s GB for cache and buffers: take a larger node", n.Name, number(n.MemoryGB), number(fixedGB.Value))
		}
		s.need(l, "memory", "ceil(memory / (node_memory * memory_share - fixed))")
	} else {
		s.line("memory", "memory for connections", "GB", "idle * conn_bytes / 1e9")
		s.need(l, "memory", "ceil(memory / (node_memory * memory_share))")
	}
	s.line("disk", "tables of all copies", "TB", "(total * bytes + spent * spent_bytes) * replicas / 1e12")
	s.need(l, "disk space", "ceil(disk / (node_disks * node_disk * disk_fill))")
	s.line("written", "written by redeems and withdrawals, peak", "MB/s", "(redeems + withdraws) * 16 * amplification / 1e6")
	s.note("a withdrawal is taken to write as much as a redeem; its share was not measured")
	s.need(l, "disk writes", "ceil(written * replicas / (node_disks * disk_writes * disk_speed * utilisation))")
	if !index {
		s.need(l, "disk reads", "ceil(redeems / (node_disks * disk_reads * disk_speed * utilisation))")
		s.note("a block read for each redeem; the stores that were measured fitted into memory")
	}
	s.line("network", "network, copies on other nodes", "Gbit/s", "wire + written * (replicas - 1) * 2 * 8 / 1000")
	s.need(l, "network", "ceil(network / (node_network * utilisation))")
	s.need(l, "connections", "ceil(idle / conns_node)")
	s.nodes(l)

	s.line("coins_node", "live coins of a node", "", "total / nodes")
	s.beyond(row.Coins, "the largest ledger measured on this path")
	s.line("redeems_node", "redeems a second of a node, peak", "/s", "redeems / nodes")
	s.beyond(r.rate, "the bank's highest measured rate")
	s.line("connects_node", "connects a second of a node, peak", "/s", "connects / nodes")
	s.beyond(m.bank.connectRate(), "the measured rate of full handshakes")
	s.line("idle_node", "connections of a node, peak", "", "idle / nodes")
	s.beyond(m.bank.Idle.Conns, "the idle connections that were measured")
	s.line("idle_memory", "memory of a node's connections", "GB", "idle_node * conn_bytes / 1e9")
	s.line("disk_node", "stored on a node, copies of others too", "TB", "disk / nodes")
	if index {
		s.line("index_node", "index of a node", "GB", "coins_node * index_bytes / 1e9")
		s.line("sync_coins", "coins a sync of a disk carries, peak", "", "(redeems + withdraws) / (nodes * node_disks * disk_syncs * disk_speed)")
		s.beyond(groupCoins.Value, "the most coins a sync that were seen")
	}
	s.line("written_day", "written to the disks a day", "TB", "mean * 2 * 86400 * 16 * amplification * replicas / 1e12")
	s.line("dwpd", "drive writes a day (DWPD)", "", "written_day / (nodes * node_disks * node_disk)")
	s.line("gather", "an analyst waits for a request's headers", "s", "batch * nodes / (mean / analysts)")
	s.line("refill_cores", "refill of all coins, by cores", "days",
		"total * withdraw_us / 1e6 / 86400 / max(withdraw_cores, nodes * node_cores * core_speed * utilisation - (redeem_cores + connect_cores) / peak)")
	s.line("refill_disks", "by disk writes", "days",
		"total * 16 * amplification * replicas / 1e6 / 86400 / (nodes * node_disks * disk_writes * disk_speed * utilisation)")
	s.line("refill", "refill of all coins", "days", "max(refill_cores, refill_disks)")
	s.line("load", "loading a node anew", "hours", "coins_node / load_rate / 3600")
	s.line("audit", "audit of a node", "hours", "coins_node / (size / audit_s) / 3600")
	if index {
		s.line("indexed", "index of a node read after a start", "hours", "coins_node / (size / index_s) / 3600")
	}
	return l, s.err
}

// connectRate is the median rate of full handshakes.
func (b *bankFigures) connectRate() float64 {
	var rates []float64
	for _, h := range b.Handshakes {
		if !h.Resumed {
			rates = append(rates, h.PerS)
		}
	}
	return median(rates, func(v float64) float64 { return v })
}
