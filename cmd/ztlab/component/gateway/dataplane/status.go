package dataplane

import (
	"net/http"
	"time"
)

// status answers /status and /status/ready on the status port: whether the
// gateway runs, and whether its workers have a configuration.
func (g *gateway) status() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /status/ready", func(w http.ResponseWriter, _ *http.Request) {
		g.mu.Lock()
		configured := !g.starting && !time.Now().Before(g.hold.routes)
		g.mu.Unlock()
		if !configured {
			reply(w, http.StatusServiceUnavailable, map[string]string{"status": "error", "error": "worker id: 0 has not received configuration"})
			return
		}
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	return mux
}
