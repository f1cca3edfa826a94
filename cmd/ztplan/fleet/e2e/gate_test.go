package e2e

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A gate is a site that the plans of a fleet ask in their middle: it holds the runs of a
// cluster until the test lets them go on, or fail.
type gate struct {
	address, trust string

	mu      sync.Mutex
	asked   map[string]time.Time // when a cluster's run was held last
	answers map[string][]bool    // to the next runs: whether the site is well
}

// held follows the path of a cluster where its run asks until it may go on.
const held = "/held"

func newGate(t testing.TB) *gate {
	g := &gate{asked: make(map[string]time.Time), answers: make(map[string][]bool)}
	s := httptest.NewUnstartedServer(g)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	g.address = s.Listener.Addr().String()
	g.trust = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	path, asks := strings.CutSuffix(r.URL.Path, held)
	list := g.answers[path]
	switch {
	case len(list) == 0:
		g.asked[path] = time.Now()
		w.WriteHeader(http.StatusServiceUnavailable)
	case asks:
	case !list[0]:
		w.WriteHeader(http.StatusInternalServerError)
		fallthrough
	default:
		if len(list) > 1 { // the last one is for ever
			g.answers[path] = list[1:]
		}
	}
}

// answer sets how the site answers the next runs of a cluster; the last answer is for
// ever.
func (g *gate) answer(path string, well ...bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers[path] = well
}

// heldSince reports whether a run of a cluster was held after a time.
func (g *gate) heldSince(path string, t time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[path].After(t)
}
