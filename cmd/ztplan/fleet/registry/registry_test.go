package registry_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/registry"
	"github.com/ztplan/ztplan/engine"
)

// A request that a registry refuses is not repeated, and TLS is verified unless the fleet
// has plainHTTP.
func TestRefusals(t *testing.T) {
	answer := func(code int, header ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
		})
	}
	for _, tc := range []struct {
		name      string
		tls       bool
		elsewhere bool
		handler   http.Handler
		config    string
		permanent bool
		want      string
	}{
		{"an unknown certificate", true, true, answer(200), "", true, "certificate"},
		{"plain HTTP elsewhere", false, true, answer(200), "", true, "HTTP response to HTTPS client"},
		{"no credentials", false, false, answer(401, "WWW-Authenticate", "Basic"), "", true, "credential"},
		{"wrong credentials", false, false, answer(401, "WWW-Authenticate", "Basic"), `{"auths":{"HOST":{"username":"u","password":"token-of-the-registry"}}}`, true, "401"},
		{"a token server without TLS", false, false, answer(401, "WWW-Authenticate", `Bearer realm="http://tokens.example/",service="s"`), `{"auths":{"HOST":{"username":"u","password":"token-of-the-registry"}}}`, true, "without TLS"},
		{"not allowed", false, false, answer(403), "", true, "403"},
		{"too many requests", false, false, answer(429), "", false, "429"},
		{"unavailable", false, false, answer(503), "", false, "503"},
	} {
		s := httptest.NewUnstartedServer(tc.handler)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		host := s.Listener.Addr().String()
		if tc.tls {
			s.StartTLS()
		} else {
			s.Start()
		}
		if tc.elsewhere {
			// Linux connects to this machine, and it is no loopback address.
			host = strings.Replace(host, "127.0.0.1", "0.0.0.0", 1)
		}
		var config []byte
		if tc.config != "" {
			config = []byte(strings.ReplaceAll(tc.config, "HOST", host))
		}
		r, err := registry.Open(record.Registry{Repository: host + "/evidence/prod"}, config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Push(t.Context(), "r1-pod", record.Verdict{Schema: record.VerdictSchema}, []byte("evidence"))
		s.Close()
		if err == nil || errors.Is(err, engine.ErrPermanent) != tc.permanent || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "token-of") {
			t.Errorf("%s: permanent %v: %v", tc.name, errors.Is(err, engine.ErrPermanent), err)
		}
	}
}

func TestOpen(t *testing.T) {
	if _, err := registry.Open(record.Registry{Repository: "registry.example.com/evidence"}, []byte(`{"auths": token-of-the-registry`)); err == nil || strings.Contains(err.Error(), "token-of") {
		t.Errorf("credentials that are none: %v", err)
	}
	for _, name := range []string{"https://registry.example.com/evidence", "registry.example.com", "registry.example.com/Evidence"} {
		if _, err := registry.Open(record.Registry{Repository: name}, nil); err == nil {
			t.Errorf("%s: is no repository", name)
		}
	}
}
