package pgledger

import (
	"io"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Away reports whether calls are refused because the database did not answer.
func (l *Ledger) Away() bool { return l.breaker.openFor(time.Now()) > 0 }

// WriteMetrics writes what only a ledger in a database has, in Prometheus text format.
func (l *Ledger) WriteMetrics(w io.Writer) {
	away := 0.0
	if l.Away() {
		away = 1
	}
	hot, lookups, cold := l.hot.Stat(), l.lookups.Stat(), l.cold.Stat()
	for _, v := range []struct {
		name  string
		value float64
	}{
		{"ecoin_database_away", away},
		{"ecoin_database_tries_repeated_total", float64(l.events.again.Load())},
		{"ecoin_database_unavailable_total", float64(l.events.unavailable.Load())},
		{`ecoin_database_connections{pool="coins",state="busy"}`, float64(hot.AcquiredConns())},
		{`ecoin_database_connections{pool="coins",state="idle"}`, float64(hot.IdleConns())},
		{`ecoin_database_connections{pool="lookups",state="busy"}`, float64(lookups.AcquiredConns())},
		{`ecoin_database_connections{pool="lookups",state="idle"}`, float64(lookups.IdleConns())},
		{`ecoin_database_connections{pool="other",state="busy"}`, float64(cold.AcquiredConns())},
		{`ecoin_database_connections{pool="other",state="idle"}`, float64(cold.IdleConns())},
		{"ecoin_database_connects_total", float64(hot.NewConnsCount() + lookups.NewConnsCount() + cold.NewConnsCount())},
	} {
		metrics.WriteGaugeFloat64(w, v.name, v.value)
	}
}
