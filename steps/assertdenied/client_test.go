package assertdenied_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// files writes a client certificate as a plan names it.
func files(t *testing.T, p *tlstest.Pair) *tlskit.ClientCertificate {
	t.Helper()
	file := func(name string, data []byte) engine.File {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return engine.File{Name: name, Path: path}
	}
	return &tlskit.ClientCertificate{CertificateFile: file("client.crt", p.CertPEM), KeyFile: file("client.key", p.KeyPEM)}
}

func clientPair(t *testing.T, ca *tlstest.CA) *tlstest.Pair {
	return ca.Issue(t, tlstest.Leaf{CommonName: "client", Names: []string{"client.test"}, Client: true})
}

// A dialOnly is a spec with a connection and without Vault, and its records.
type dialOnly struct {
	*assertdenied.Spec
	env     *engine.Env
	records []evidence.Denial
}

func newDialOnly(t *testing.T, clients *tlstest.CA, status int) *dialOnly {
	root := tlstest.NewCA(t, "Root")
	server := tlstest.NewServer(t, root.Issue(t, tlstest.Leaf{CommonName: host, Names: []string{host}}), nil)
	server.Clients, server.Status = clients, status
	s := assertdenied.Kind.New().(*assertdenied.Spec)
	s.Dial = &assertdenied.Dial{URL: "https://" + host, Tries: 3}
	s.Dial.Address, s.Dial.Trust = server.Listen(), root.PEM()
	d := &dialOnly{Spec: s}
	discard := func(string, ...any) {}
	d.env = &engine.Env{Now: time.Now, Session: new(engine.Session), Logf: discard, Statusf: discard, Warnf: discard, Conceal: func(...engine.Secret) {},
		Record: func(_ string, data any) { d.records = append(d.records, data.(evidence.Denial)) }}
	return d
}

// A server lets clients of its authority in, and must refuse all others. It may do so
// with an alert or with a status.
func TestClientDenied(t *testing.T) {
	clients := tlstest.NewCA(t, "Clients")
	another := tlstest.NewCA(t, "Another")
	pair := clientPair(t, clients)
	for name, c := range map[string]struct {
		clients *tlstest.CA // nil: the server asks nobody
		status  int         // with which the server answers others
		attempt *assertdenied.Attempt
		answers []string // of the attempts about clients
		broken  string   // detail of the findings, if they do not hold
		err     string
	}{
		"alerts": {clients: clients, answers: []string{"3 × TLS alert certificate_required", "3 × TLS alert unknown_ca"}},
		"400":    {clients: clients, status: http.StatusBadRequest, answers: []string{"3 × HTTP 400 Bad Request", "3 × HTTP 400 Bad Request"}},
		"another team": {clients: clients, attempt: &assertdenied.Attempt{Name: "another team", Dial: &assertdenied.DialAttempt{Client: files(t, clientPair(t, another))}},
			answers: []string{"3 × TLS alert unknown_ca"}},
		"a colleague": {clients: clients, attempt: &assertdenied.Attempt{Name: "a colleague", Dial: &assertdenied.DialAttempt{Client: files(t, clientPair(t, clients))}},
			answers: []string{"3 × HTTP 200 OK"}, broken: "does not insist on a right one"},
		"asks nobody":     {answers: []string{"3 × HTTP 200 OK", "3 × HTTP 200 OK"}, broken: "does not even ask"},
		"lets all in":     {clients: clients, status: http.StatusOK, answers: []string{"3 × HTTP 200 OK", "3 × HTTP 200 OK"}, broken: "does not insist on a right one"},
		"breaks":          {clients: clients, status: http.StatusInternalServerError, answers: []string{"3 × HTTP 500", "3 × HTTP 500"}, broken: "for another reason"},
		"refuses all":     {clients: another, err: "control: https://" + host + "/ serves the client CN=client"},
		"refuses all 403": {clients: another, status: http.StatusForbidden, err: "HTTP 403 Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDialOnly(t, c.clients, c.status)
			d.Dial.Client = files(t, pair)
			if c.attempt != nil {
				d.Attempts = []assertdenied.Attempt{*c.attempt}
			}
			out, findings, err := d.Prove(t.Context(), d.env)
			if (err != nil) != (c.err != "") || err != nil && (!strings.Contains(err.Error(), c.err) || engine.HintOf(err) == "") {
				t.Fatalf("error %v, hint %q, want %q", err, engine.HintOf(err), c.err)
			}
			about := slices.DeleteFunc(d.records, func(r evidence.Denial) bool { return r.Method != "client" })
			if len(about) != len(c.answers) {
				t.Fatalf("%d attempts on record, want %d", len(about), len(c.answers))
			}
			for i, r := range about {
				if !strings.HasPrefix(r.Answer, c.answers[i]) || r.Refused != (c.broken == "") || r.ControlCertificate.Fingerprint != certs.Fingerprint(pair.Leaf()) {
					t.Errorf("%s: %q, refused %t, want %q", r.What, r.Answer, r.Refused, c.answers[i])
				}
				if before, after := r.Client.Before, r.Client.After; len(before) != 1 || !before[0].Served() || len(after) != 1 || !after[0].Served() {
					t.Errorf("%s: the legitimate client before %+v, and after %+v", r.What, before, after)
				}
			}
			for _, f := range findings {
				if !f.Holds && !strings.Contains(f.Detail, c.broken) || !f.Holds && c.broken == "" {
					t.Errorf("finding %+v, want detail %q", f, c.broken)
				}
			}
			if c.err == "" && (out.Refused == out.Attempts) != (c.broken == "") {
				t.Errorf("outputs %+v", out)
			}
		})
	}
}

// The expired certificate is served while it is valid, and refused after its end.
func TestClientExpired(t *testing.T) {
	w := newSetup(t)
	ca, err := certs.ParseOne(w.vault.DoJSON(t, http.MethodGet, w.pki+"/cert/ca", nil)["certificate"].(string))
	if err != nil {
		t.Fatal(err)
	}
	w.write(w.pki+"/roles/client", map[string]any{"allow_any_name": true, "key_type": "ec"})
	signed := w.vault.DoJSON(t, http.MethodPost, w.pki+"/issue/client", map[string]any{"common_name": host, "ttl": "1h"})
	pair := &tlstest.Pair{CertPEM: []byte(signed["certificate"].(string)), KeyPEM: []byte(signed["private_key"].(string))}
	w.server.Clients = &tlstest.CA{Cert: ca}
	s := w.spec()
	s.Dial.Client, s.Dial.Tries = files(t, pair), 2
	var expired *evidence.Denial
	w.env.Record = func(_ string, data any) {
		if d, ok := data.(evidence.Denial); ok && d.Client != nil && d.Client.Presents == evidence.PresentsExpired {
			expired = &d
		}
	}
	out, findings, err := w.prove(s)
	if err != nil || out.Refused != out.Attempts {
		t.Fatalf("%v; %+v", err, findings)
	}
	if expired == nil || !expired.Refused || !strings.Contains(expired.Answer, "2 × TLS alert certificate_expired") || !expired.Client.Before[0].Served() {
		t.Errorf("recorded %+v", expired)
	}
}

func TestValidateClient(t *testing.T) {
	client := &tlskit.ClientCertificate{Secret: &tlskit.SecretRef{Namespace: "a", Name: "b"}}
	for name, c := range map[string]struct {
		change func(*assertdenied.Spec)
		want   []string
	}{
		"sound":         {func(s *assertdenied.Spec) { s.Dial.Client = client }, nil},
		"no legitimate": {func(s *assertdenied.Spec) { attempt(s, assertdenied.DialAttempt{Presents: "none"}) }, []string{"attempts[0].dial: needs dial.client"}},
		"nobody signs": {func(s *assertdenied.Spec) {
			s.Dial.Client = client
			attempt(s, assertdenied.DialAttempt{Presents: "expired"})
		},
			[]string{"attempts[0].dial.presents: expired needs login and sign"}},
		"two reasons": {func(s *assertdenied.Spec) {
			s.Dial.Client = client
			attempt(s, assertdenied.DialAttempt{Presents: "none", Expired: true})
		}, []string{"attempts[0].dial: needs one of trust, expired, presents and client, and has 2"}},
		"no difference": {func(s *assertdenied.Spec) { attempt(s, assertdenied.DialAttempt{}) }, []string{"attempts[0].dial: needs one of"}},
		"half a source": {func(s *assertdenied.Spec) { s.Dial.Client = &tlskit.ClientCertificate{} }, []string{"dial.client: is neither a Secret nor files"}},
	} {
		s := newDialOnly(t, nil, 0).Spec
		c.change(s)
		p := &engine.Problems{}
		s.Validate(p)
		var got []string
		for _, one := range p.List() {
			got = append(got, one.Field+": "+one.Message)
		}
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func attempt(s *assertdenied.Spec, d assertdenied.DialAttempt) {
	s.Attempts = []assertdenied.Attempt{{Name: "an attempt", Dial: &d}}
}
