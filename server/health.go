package server

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"
)

// newHealth makes the second listener's server: what operators and their machines
// watch. It has no authentication and shows no coin; keep it on loopback or in a
// private network.
func (s *Server) newHealth() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.forOperator(s.servePage()))
	mux.HandleFunc("GET /status.json", s.forOperator(s.serveStatus))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // the process runs and answers
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case s.ready.Load() && s.databaseAway():
			http.Error(w, "the ledger's database does not answer", http.StatusServiceUnavailable)
		case s.ready.Load():
			_, _ = io.WriteString(w, "ready\n")
		case s.draining.Load():
			http.Error(w, "draining", http.StatusServiceUnavailable)
		default:
			http.Error(w, "starting", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /metrics", s.serveMetrics)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
