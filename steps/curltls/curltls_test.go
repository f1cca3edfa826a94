package curltls_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/curltls"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

const host = "hello.example.local"

// newSpec returns a spec with the kind's defaults that asks host for / and
// trusts root.
func newSpec(root *tlstest.CA) *curltls.Spec {
	s := curltls.Kind.New().(*curltls.Spec)
	s.URL, s.Trust = "https://"+host, root.PEM()
	return s
}

// newEnv returns an environment and its log.
func newEnv() (*engine.Env, func() string) {
	var (
		mu sync.Mutex
		b  strings.Builder
	)
	logf := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&b, format+"\n", args...)
	}
	env := &engine.Env{Now: time.Now, Session: new(engine.Session), Logf: logf, Statusf: func(string, ...any) {}, Warnf: logf, Conceal: func(...engine.Secret) {}}
	return env, func() string {
		mu.Lock()
		defer mu.Unlock()
		return b.String()
	}
}

// A gateway is a gateway with the certificate of the guide.
type gateway struct {
	root, sub *tlstest.CA
	pair      *tlstest.Pair
	server    *tlstest.Server
	address   string
}

func newGateway(t *testing.T) *gateway {
	w := &gateway{root: tlstest.NewCA(t, "Root CA Lab")}
	w.sub = w.root.Intermediate(t, "Intermediate CA Lab")
	w.pair = w.sub.Issue(t, tlstest.Leaf{CommonName: "*.example.local", Names: []string{"*.example.local", "example.local"}})
	w.server = tlstest.NewServer(t, w.pair, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Server", "APISIX/3.14.1")
		rw.Header().Add("X-List", "a")
		rw.Header().Add("X-List", "b")
		switch r.URL.Path {
		case "/missing":
			http.Error(rw, "404 Route Not Found", http.StatusNotFound)
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(rw, "%s %s %s %s", r.Method, r.Host, r.Header.Get("X-Token"), body)
		default:
			_, _ = io.WriteString(rw, "<title>Welcome to nginx!</title>")
		}
	}))
	w.address = w.server.Listen()
	return w
}

func violated(findings []engine.Finding) []string {
	var rules []string
	for _, f := range findings {
		if !f.Holds {
			rules = append(rules, f.Rule)
		}
	}
	return rules
}

func find(findings []engine.Finding, rule string) *engine.Finding {
	for i := range findings {
		if strings.HasPrefix(findings[i].Rule, rule) {
			return &findings[i]
		}
	}
	return nil
}

func TestProve(t *testing.T) {
	w := newGateway(t)
	s := newSpec(w.root)
	s.Address = w.address
	s.Expect = curltls.Expect{
		Status:   200,
		Headers:  map[string]string{"Server": "/^APISIX/", "x-list": "b"},
		Body:     "Welcome to nginx!",
		Protocol: "h2",
		TLS:      "1.3",
		Certificate: curltls.Certificate{
			CommonName:   "*.example.local",
			Subject:      "/^CN=\\*/",
			DNSNames:     []string{"example.local", "*.example.local"},
			Issuer:       "Intermediate CA Lab",
			ChainLength:  2,
			MinRemaining: engine.Duration(30 * time.Minute),
			MaxLifetime:  engine.Duration(time.Hour + 30*time.Second),
			Serial:       strings.ToUpper(certs.Serial(w.pair.Leaf())),
			NotSerial:    "01:02",
		},
	}
	env, log := newEnv()
	out, findings, err := curltls.Kind.Prove(t.Context(), s, env)
	if err != nil {
		t.Fatal(err)
	}
	if v := violated(findings); v != nil {
		t.Errorf("violated: %q", v)
	}
	if got, want := len(findings), 4+15; got != want {
		t.Errorf("%d findings, want %d", got, want)
	}
	leaf := w.pair.Leaf()
	want := curltls.Outputs{
		Status: 200, Protocol: "h2", TLSVersion: "TLS 1.3", RemoteAddress: w.address,
		PeerSerial: certs.Serial(leaf), PeerFingerprint: certs.Fingerprint(leaf), PeerKey: certs.KeyDigest(leaf),
		PeerCertificate: certs.Encode(leaf), Issuer: "CN=Intermediate CA Lab",
		NotAfter: leaf.NotAfter.UTC().Format(time.RFC3339),
	}
	if d := cmp.Diff(want, out.(curltls.Outputs)); d != "" {
		t.Errorf("outputs: -want +got:\n%s", d)
	}
	for _, part := range []string{
		"connected to " + w.address, "TLS 1.3, TLS_", "ALPN h2", "certificate 0: CN=*.example.local", "certificate 1: CN=Intermediate CA Lab",
		"leads to CN=Root CA Lab in 2 steps", "> GET / HTTP/2.0", "> Host: " + host, "< HTTP/2.0 200 OK", "< Server: APISIX/3.14.1", "body of 32 bytes",
	} {
		if !strings.Contains(log(), part) {
			t.Errorf("the log lacks %q:\n%s", part, log())
		}
	}
}

// Every rule must be able to fail, alone, and show its measurement.
func TestRulesFail(t *testing.T) {
	w := newGateway(t)
	tests := []struct {
		name   string
		change func(*curltls.Spec)
		rule   string // that fails
		have   any
		detail string
	}{
		{"status", func(s *curltls.Spec) { s.Expect.Status = 301 }, "status is 301", 200, "the body begins with <title>Welcome"},
		{"any status", func(s *curltls.Spec) { s.URL += "/missing" }, "status is below 400", 404, "404 Route Not Found"},
		{"header", func(s *curltls.Spec) { s.Expect.Headers = map[string]string{"Server": "APISIX"} }, `header Server is "APISIX"`, "APISIX/3.14.1", ""},
		{"header regexp", func(s *curltls.Spec) { s.Expect.Headers = map[string]string{"Server": "/nginx/"} }, `header Server matches /nginx/`, "APISIX/3.14.1", ""},
		{"no header", func(s *curltls.Spec) { s.Expect.Headers = map[string]string{"Via": "x"} }, `header Via is "x"`, nil, "no such header"},
		{"body", func(s *curltls.Spec) { s.Expect.Body = "Apache" }, `body contains "Apache"`, "32 bytes", "Welcome"},
		{"body regexp", func(s *curltls.Spec) { s.Expect.Body = "/^Welcome/" }, `body matches /^Welcome/`, "32 bytes", "Welcome"},
		{"protocol", func(s *curltls.Spec) { s.HTTP = "1.1"; s.Expect.Protocol = "h2" }, "protocol is h2", "http/1.1", ""},
		{"common name", func(s *curltls.Spec) { s.Expect.Certificate.CommonName = "x" }, "certificate has common name x", "*.example.local", ""},
		{"subject", func(s *curltls.Spec) { s.Expect.Certificate.Subject = "CN=x" }, `certificate subject is "CN=x"`, "CN=*.example.local", ""},
		{"names", func(s *curltls.Spec) { s.Expect.Certificate.DNSNames = []string{"example.local", "a", "b"} }, "certificate has the names example.local, a, b", "*.example.local, example.local", "missing: a, b"},
		{"issuer", func(s *curltls.Spec) { s.Expect.Certificate.Issuer = "Root CA Lab" }, `certificate issuer is "Root CA Lab"`, "CN=Intermediate CA Lab", ""},
		{"chain", func(s *curltls.Spec) { s.Expect.Certificate.ChainLength = 1 }, "certificate chain is 1 long", 2, ""},
		{"remaining", func(s *curltls.Spec) { s.Expect.Certificate.MinRemaining = engine.Duration(2 * time.Hour) }, "certificate is valid for another 2h", nil, ""},
		{"lifetime", func(s *curltls.Spec) { s.Expect.Certificate.MaxLifetime = engine.Duration(time.Hour) }, "certificate lives for at most 1h", "1h0m30s", ""},
		{"serial", func(s *curltls.Spec) { s.Expect.Certificate.Serial = "0a:0b" }, "certificate has serial 0a:0b", certs.Serial(w.pair.Leaf()), ""},
		{"not serial", func(s *curltls.Spec) { s.Expect.Certificate.NotSerial = certs.Serial(w.pair.Leaf()) }, "certificate no longer has serial", certs.Serial(w.pair.Leaf()), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSpec(w.root)
			s.Address = w.address
			tt.change(s)
			env, _ := newEnv()
			_, findings, err := curltls.Kind.Prove(t.Context(), s, env)
			if err == nil || !strings.HasPrefix(err.Error(), "does not hold: ") || engine.UntilOf(err).Before(time.Now()) {
				t.Fatalf("%v, served until %s", err, engine.UntilOf(err))
			}
			if v := violated(findings); len(v) != 1 || !strings.HasPrefix(v[0], tt.rule) {
				t.Fatalf("violated: %q, want only %q", v, tt.rule)
			}
			f := find(findings, tt.rule)
			if d := cmp.Diff(tt.have, f.Have); d != "" && tt.name != "remaining" {
				t.Errorf("have: -want +got:\n%s", d)
			}
			if !strings.Contains(f.Detail, tt.detail) {
				t.Errorf("detail = %q, want it to contain %q", f.Detail, tt.detail)
			}
		})
	}
}

func TestConnectionFailures(t *testing.T) {
	w := newGateway(t)
	other := tlstest.NewCA(t, "Another Root")
	tests := []struct {
		name   string
		change func(*curltls.Spec)
		rule   string
		want   string // part of the error
		hint   string
	}{
		{"another root", func(s *curltls.Spec) { s.Trust = other.PEM() }, "the certificate is for hello.example.local and leads to CN=Another Root",
			"issued by CN=Root CA Lab; trusted is CN=Another Root", "trust the root"},
		{"another name", func(s *curltls.Spec) { s.URL = "https://a.b.example.local" }, "the certificate is for a.b.example.local",
			"is for *.example.local, example.local, not for a.b.example.local", "dnsNames"},
		{"refused", func(s *curltls.Spec) { s.Address = "127.0.0.1:1" }, "a TCP connection is made", "127.0.0.1:1: connection refused", "address and the port in the plan"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSpec(w.root)
			s.Address = w.address
			s.Expect.Status = 200
			tt.change(s)
			env, log := newEnv()
			_, findings, err := curltls.Kind.Prove(t.Context(), s, env)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
			if !strings.Contains(engine.HintOf(err), tt.hint) {
				t.Errorf("hint = %q, want %q", engine.HintOf(err), tt.hint)
			}
			if v := violated(findings); len(v) != 1 || !strings.HasPrefix(v[0], tt.rule) {
				t.Errorf("violated: %q, want only %q", v, tt.rule)
			}
			if f := find(findings, "status"); f != nil {
				t.Errorf("a rule was judged that nothing was measured for: %+v", f)
			}
			if !strings.Contains(log(), tt.want) {
				t.Errorf("the log lacks %q:\n%s", tt.want, log())
			}
		})
	}
}

func TestRequest(t *testing.T) {
	w := newGateway(t)
	s := newSpec(w.root)
	s.URL, s.Address, s.Method, s.Body = "https://"+host+":31758/echo", w.address, "POST", "payload"
	s.Headers = map[string]string{"X-Token": "t"}
	s.Expect.Body = "POST " + host + ":31758 t payload"
	env, _ := newEnv()
	_, findings, err := curltls.Kind.Prove(t.Context(), s, env)
	if err != nil || violated(findings) != nil {
		t.Errorf("error %v, violated %q", err, violated(findings))
	}
}

// With endpoints all, one address that is wrong is enough.
func TestEveryEndpoint(t *testing.T) {
	w := newGateway(t)
	stale := tlstest.NewServer(t, w.sub.Issue(t, tlstest.Leaf{Names: []string{host}}), nil).Listen()
	good, bad, down := tlskit.Address(w.address), tlskit.Address(stale), tlskit.Address("127.0.0.1:1")
	tests := []struct {
		name      string
		mode      string
		endpoints []tlskit.Endpoint
		violated  []string
		detail    string
		err       string
	}{
		{"all good", "all", []tlskit.Endpoint{good, good}, nil, "", ""},
		{"one stale", "all", []tlskit.Endpoint{good, bad, good}, []string{"certificate has serial"}, stale, "does not hold: certificate has serial"},
		{"one down", "all", []tlskit.Endpoint{good, down}, []string{"a TCP connection is made"}, "127.0.0.1:1", "connection refused"},
		{"first only", "first", []tlskit.Endpoint{good, bad, down}, nil, "", ""},
		{"first that answers", "first", []tlskit.Endpoint{down, good}, nil, "", ""},
		{"none answers", "first", []tlskit.Endpoint{down, down}, []string{"a TCP connection is made"}, "127.0.0.1:1, 127.0.0.1:1", "connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSpec(w.root)
			s.Endpoints = tt.mode
			s.Expect.Certificate.Serial = certs.Serial(w.pair.Leaf())
			env, _ := newEnv()
			_, findings, err := s.ProveAt(t.Context(), env, tt.endpoints...)
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error = %v, want %q", err, tt.err)
			}
			got := violated(findings)
			if len(got) != len(tt.violated) {
				t.Fatalf("violated: %q, want %q", got, tt.violated)
			}
			for i, rule := range tt.violated {
				if !strings.HasPrefix(got[i], rule) {
					t.Errorf("violated: %q, want %q", got[i], rule)
				}
				if f := find(findings, rule); !strings.Contains(f.Detail, tt.detail) {
					t.Errorf("detail = %q, want it to name %s", f.Detail, tt.detail)
				}
			}
		})
	}
}

func TestValidate(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	tests := []struct {
		name   string
		change func(*curltls.Spec)
		field  string
	}{
		{"defaults", func(*curltls.Spec) {}, ""},
		{"url", func(s *curltls.Spec) { s.URL = "http://a" }, "url"},
		{"host header", func(s *curltls.Spec) { s.Headers = map[string]string{"host": "x"} }, "headers.host"},
		{"body", func(s *curltls.Spec) { s.Expect.Body = "/(/" }, "expect.body"},
		{"header", func(s *curltls.Spec) { s.Expect.Headers = map[string]string{"a": "/(/"} }, "expect.headers.a"},
		{"issuer", func(s *curltls.Spec) { s.Expect.Certificate.Issuer = "/[/" }, "expect.certificate.issuer"},
		{"serial", func(s *curltls.Spec) { s.Expect.Certificate.Serial = "xyz" }, "expect.certificate.serial"},
		{"status", func(s *curltls.Spec) { s.Expect.Status = 42 }, "expect.status"},
		{"never h2", func(s *curltls.Spec) { s.HTTP = "1.1"; s.Expect.Protocol = "h2" }, "expect.protocol"},
		{"always h2", func(s *curltls.Spec) { s.HTTP = "2"; s.Expect.Protocol = "http/1.1" }, "expect.protocol"},
		{"no trust", func(s *curltls.Spec) { s.Trust = "" }, "trust"},
	}
	for _, tt := range tests {
		s := newSpec(root)
		tt.change(s)
		var p engine.Problems
		s.Validate(&p)
		got := ""
		if l := p.List(); len(l) > 0 {
			got = l[0].Field
		}
		if got != tt.field || len(p.List()) > 1 {
			t.Errorf("%s: problems %v, want one with %q", tt.name, p.List(), tt.field)
		}
	}
}

func TestIntent(t *testing.T) {
	s := newSpec(tlstest.NewCA(t, "Root CA Lab"))
	s.Address, s.Expect.Status = "127.0.0.1:30443", 200
	want := []string{
		"GET https://hello.example.local/ over a new TLS connection to 127.0.0.1:30443, with the server name hello.example.local",
		"verify the certificate against CN=Root CA Lab and nothing else",
		"assert that status is 200",
	}
	if d := cmp.Diff(want, curltls.Kind.Intent(s)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	// References to outputs are not known in a dry run.
	if got := curltls.Kind.Intent(&curltls.Spec{}); len(got) == 0 {
		t.Error("no intent for a spec whose inputs are not known yet")
	}
}
