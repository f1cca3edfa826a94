package assertrotation_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// A client certificate is presented in every handshake, the new one when it changes. A
// server that does not ask for it in one of them breaks the proof.
func TestClientCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		asks    bool // the first replica asks for a certificate
		changes bool // the client certificate changes meanwhile
		want    []string
		clients int // certificates on record
	}{
		"presented":  {asks: true, clients: 1},
		"changes":    {asks: true, changes: true, clients: 2},
		"nobody ask": {want: []string{"the server asks for the client certificate in every handshake"}, clients: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				defer w.close()
				clients := tlstest.NewCA(t, "Clients")
				credential := func() *tlskit.Credential {
					p := clients.Issue(t, tlstest.Leaf{CommonName: "client", Client: true})
					return tlskit.NewCredential(p.Chain, p.Key)
				}
				for i, r := range w.replicas {
					if i > 0 || c.asks {
						r.server.Clients = clients
					}
				}
				w.identity = tlskit.NewIdentity(credential())
				if c.changes {
					w.rotating = func(int, *replica, bool) { w.identity.Replace(credential()) }
				}
				s := w.newSpec()
				s.Client = new(tlskit.ClientCertificate)
				r, err := w.prove(s, time.Minute)
				if (err != nil) != (len(c.want) > 0) || !slices.Equal(r.violated(), c.want) {
					t.Fatalf("error %v, broken %q, want %q", err, r.violated(), c.want)
				}
				record := r.records[0]
				if len(record.Clients) < c.clients {
					t.Errorf("%d client certificates on record, want %d", len(record.Clients), c.clients)
				}
				i := slices.IndexFunc(record.Rules, func(r evidence.Rule) bool { return r.Name == "maxUnasked" })
				if i < 0 || record.Rules[i].Holds != (len(c.want) == 0) {
					t.Errorf("rules %+v", record.Rules)
				}
				if found := r.find("the server asks"); c.changes && !strings.Contains(found.Detail, "changed meanwhile") {
					t.Errorf("finding %+v", found)
				}
			})
		})
	}
}

// Without its certificate, or with a foreign one, every probe is refused, and the hint
// names the certificate that the server wants.
func TestClientRefused(t *testing.T) {
	for name, c := range map[string]struct {
		identity func(*testing.T) *tlskit.Identity
		hint     string
	}{
		"none": {func(*testing.T) *tlskit.Identity { return nil }, "the server wants a client certificate"},
		"foreign": {func(t *testing.T) *tlskit.Identity {
			p := tlstest.NewCA(t, "Clients").Issue(t, tlstest.Leaf{CommonName: "client", Client: true})
			return tlskit.NewIdentity(tlskit.NewCredential(p.Chain, p.Key))
		}, "does not know the authority of the client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.replicas[0].server.Clients = tlstest.NewCA(t, "Clients")
				w.identity = c.identity(t)
				_, err := w.prove(w.newSpec(), time.Minute)
				if err == nil || !strings.Contains(engine.HintOf(err), c.hint) {
					t.Errorf("error %v, hint %q, want %q", err, engine.HintOf(err), c.hint)
				}
			})
		})
	}
}
