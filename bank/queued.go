package bank

// Queued returns what waits now: records for a worker that opens them, and coins of
// calls that are under way, those records among them.
func (b *Bank) Queued() (records, coins int) { return b.opener.queued(), b.room.coins.InUse() }
