package bank

import (
	"fmt"
	"io"
	"sync/atomic"

	"ecoin/internal/latency"
)

// stages measures where the time of a redeem or return goes.
type stages struct {
	queue  latency.Histogram // a record, until a worker takes it
	open   latency.Histogram // a batch of records, being opened
	ledger latency.Histogram // a call, until the ledger's answer is durable

	batches, records atomic.Int64 // opened
}

// WriteMetrics writes how the bank's stages do, in Prometheus text format.
func (b *Bank) WriteMetrics(w io.Writer) {
	s := &b.stages
	s.queue.Write(w, `ecoin_stage_seconds{stage="queue"}`)
	s.open.Write(w, `ecoin_stage_seconds{stage="open"}`)
	s.ledger.Write(w, `ecoin_stage_seconds{stage="ledger"}`)
	fmt.Fprintf(w, "ecoin_open_batches_total %d\n", s.batches.Load())
	fmt.Fprintf(w, "ecoin_open_records_total %d\n", s.records.Load())
	fmt.Fprintf(w, "ecoin_open_waiting_records %d\n", b.opener.queued())
	fmt.Fprintf(w, "ecoin_coins_under_way %d\n", b.room.coins.InUse())
}
