package plan

// sql adds the plan of banks without state in front of an SQL engine that keeps and
// replicates the ledger.
func (s *sheet) sql(m *Measurements, t *Target, n *Node, r redeemFigure) (*Ledger, error) {
	l := &Ledger{Name: "sql", Title: "Banks in front of an SQL engine; measured on one PostgreSQL"}
	s.begin(l.Title, "sql_")
	s.figure("rate", "redeems a second of both processors", "/s", sqlRate)
	s.figure("size", "live coins it was measured with", "", sqlRows)
	s.figure("redeem_engine_us", "CPU time of the engine a redeem", "us", sqlRedeemUs)
	s.figure("withdraw_engine_us", "CPU time of the engine a withdrawn coin", "us", sqlWithdrawUs)
	s.figure("ask_us", "of a bank to ask it, a redeem", "us", sqlAskUs)
	s.figure("issue_us", "of a bank to ask it, a withdrawn coin", "us", sqlIssueUs)
	s.figure("load_rate", "coins inserted a second", "/s", sqlIssue)
	s.figure("bytes", "disk of a live coin and its key", "B", sqlBytes)
	s.figure("spent_bytes", "disk of a spent record and its key", "B", sqlSpentBytes)
	log := sqlLogCold
	if t.Devices*t.Coins <= sqlRows.Value {
		log = sqlLogHot
	}
	s.figure("log", "log of a redeem or a withdrawn coin", "B", log)
	s.figure("reads", "random reads of a redeem", "", sqlReads)
	s.figure("failover", "another copy serves after", "s", sqlPatroniS)

	// The banks.
	s.line("redeem_us", "CPU time of a bank a redeemed coin", "us", "outside_us + ask_us")
	s.line("withdraw_us", "CPU time of a bank a withdrawn coin", "us", "withdraw_outside_us + issue_us")
	s.line("bank_cores", "cores of the banks, peak", "", "(redeems * redeem_us + withdraws * withdraw_us) / 1e6 + connect_cores")
	banks := &Ledger{}
	s.need(banks, "bank cores", "ceil(bank_cores / (node_cores * core_speed * utilisation))")
	s.mark(n.Cores/m.processors, "the processors of the measured machine, in each node")
	s.need(banks, "connects", "ceil(connect_cores / (node_cores * core_speed * utilisation))")
	s.line("memory", "memory for connections", "GB", "idle * conn_bytes / 1e9")
	s.need(banks, "bank memory", "ceil(memory / (node_memory * memory_share))")
	s.need(banks, "bank network", "ceil(wire / (node_network * utilisation))")
	s.need(banks, "bank connections", "ceil(idle / conns_node)")
	s.line("banks", "nodes for banks", "", "max("+banks.keys()+")")

	// The engine. All its copies are alike.
	s.line("cores", "cores of one copy, peak", "", "(redeems * redeem_engine_us + withdraws * withdraw_engine_us) / 1e6")
	engine := &Ledger{}
	s.need(engine, "cores", "ceil(cores / (node_cores * core_speed * utilisation))")
	s.mark(n.Cores/measuredProcessors, "the processors of the measured machine, in each node")
	s.line("disk", "rows and spent rows of one copy", "TB", "(total * bytes + spent * spent_bytes) / 1e12")
	s.need(engine, "disk space", "ceil(disk / (node_disks * node_disk * disk_fill))")
	s.line("written", "log of one copy, peak", "MB/s", "(redeems + withdraws) * log / 1e6")
	s.need(engine, "disk writes", "ceil(written / (node_disks * disk_writes * disk_speed * utilisation))")
	s.need(engine, "disk reads", "ceil(redeems * reads / (node_disks * disk_reads * disk_speed * utilisation))")
	s.line("network", "network, log to the other copies", "Gbit/s", "written * (replicas - 1) * 8 / 1000")
	s.need(engine, "network", "ceil(network / (node_network * utilisation))")
	s.line("copy", "nodes of one copy", "", "max("+engine.keys()+")")
	s.line("engine", "nodes of the engine", "", "copy * replicas")
	for _, need := range engine.Needs {
		l.Needs = append(l.Needs, Need{need.Resource, need.Nodes * t.Replicas, need.Line, ""})
	}
	l.Needs = append(l.Needs, banks.Needs...)
	l.decide()
	s.line("nodes", "nodes, engine and banks", "", "engine + banks")
	s.bought(l)

	s.line("coins_node", "rows of an engine's node", "", "total / copy")
	s.beyond(sqlRows.Value, "the largest table measured")
	s.line("redeems_node", "redeems a second of an engine's node", "/s", "redeems / copy")
	s.beyond(sqlRate.Value, "the measured rate")
	s.line("idle_node", "connections of a bank's node, peak", "", "idle / banks")
	s.beyond(m.bank.Idle.Conns, "the idle connections that were measured")
	s.line("idle_memory", "memory of a node's connections", "GB", "idle_node * conn_bytes / 1e9")
	s.line("bank_redeems", "redeems a second of a bank's node, peak", "/s", "redeems / banks")
	s.beyond(r.rate, "the bank's highest measured rate")
	s.line("written_day", "written to the disks a day", "TB", "mean * 2 * 86400 * log * 2 * replicas / 1e12")
	s.note("the log, and later the pages themselves")
	s.line("dwpd", "drive writes a day (DWPD)", "", "written_day / (engine * node_disks * node_disk)")
	s.line("gather", "an analyst waits for a request's headers", "s", "batch / (mean / analysts)")
	s.line("refill_cores", "refill of all coins, by cores", "days",
		"total * withdraw_engine_us / 1e6 / 86400 / max(withdraws * withdraw_engine_us / 1e6, copy * node_cores * core_speed * utilisation - redeems * redeem_engine_us / 1e6 / peak)")
	s.line("refill_disks", "by disk writes", "days",
		"total * log / 1e6 / 86400 / (copy * node_disks * disk_writes * disk_speed * utilisation)")
	s.line("refill", "refill of all coins", "days", "max(refill_cores, refill_disks)")
	s.line("load", "loading a node anew", "hours", "coins_node / load_rate / 3600")
	return l, s.err
}
