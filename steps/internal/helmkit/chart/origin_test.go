package chart

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A listener notes the credentials that it is sent.
type listener struct {
	http.Handler
	mu  sync.Mutex
	got []string
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.got = append(l.got, r.Header.Get("Authorization"))
	l.mu.Unlock()
	l.Handler.ServeHTTP(w, r)
}

func (l *listener) heard() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.got, "")
}

func caFile(t *testing.T, s *httptest.Server) engine.File {
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return engine.File{Name: "ca.pem", Path: path}
}

// A repository that redirects gets the password; where it redirects to does not,
// and plain HTTP is not followed.
func TestCredentialsDoNotFollowRedirects(t *testing.T) {
	archive := app("1.0.0").Pack(t)
	index := []byte("apiVersion: v1\nentries:\n  app:\n  - {name: app, version: 1.0.0, digest: " + evidence.Digest(archive) + ", urls: [app-1.0.0.tgz]}\n")
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".tgz") {
			_, _ = w.Write(archive)
			return
		}
		_, _ = w.Write(index)
	})
	for _, c := range []struct {
		name  string
		serve func(http.Handler) *httptest.Server
		want  string // error; "" for none

	}{
		{name: "to another path"},
		{name: "to another port", serve: httptest.NewTLSServer},
		{name: "to plain HTTP", serve: httptest.NewServer, want: "leads from https to http://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, _ := newEnv(t)
			elsewhere, target := &listener{Handler: files}, ""
			if c.serve != nil {
				s := c.serve(elsewhere)
				t.Cleanup(s.Close)
				target = s.URL
			}
			repo := &listener{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/moved") {
					files(w, r)
					return
				}
				http.Redirect(w, r, target+"/moved"+r.URL.Path, http.StatusFound)
			})}
			s := httptest.NewTLSServer(repo)
			t.Cleanup(s.Close)
			_, err := Fetch(t.Context(), env, Source{
				Repo: s.URL, Chart: "app", Version: "1.0.0", CAFile: caFile(t, s),
				Username: "me", Password: engine.NewSecret("sesame"),
			})
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if !strings.Contains(repo.heard(), "Basic ") {
				t.Error("the repository itself did not get the password")
			}
			if got := elsewhere.heard(); got != "" {
				t.Errorf("where it leads got %q", got)
			}
		})
	}
}

// A registry may send anyone to its token server, but the password only to its
// own.
func TestRegistryPasswordStaysWithTheRegistry(t *testing.T) {
	env, _ := newEnv(t)
	elsewhere := &listener{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"token":"t"}`))
	})}
	tokens := httptest.NewServer(elsewhere)
	defer tokens.Close()
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+tokens.URL+`/token",service="test"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer registry.Close()
	s := Source{Chart: "oci://" + strings.TrimPrefix(registry.URL, "http://") + "/charts/app", Version: "1.0.0"}
	s.Username, s.Password = "me", engine.NewSecret("sesame")
	_, err := Fetch(t.Context(), env, s)
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "names the token server "+strings.TrimPrefix(tokens.URL, "http://")) || engine.HintOf(err) == "" {
		t.Errorf("error is %v, hint %q", err, engine.HintOf(err))
	}
	if got := elsewhere.heard(); got != "" {
		t.Errorf("the token server got %q", got)
	}
}

func TestTokenGuard(t *testing.T) {
	for _, c := range []struct {
		registry, to string
		password, ok bool
	}{
		{"https://registry-1.docker.io", "https://auth.docker.io/token", true, true},
		{"https://registry.gitlab.com", "https://gitlab.com/jwt/auth", true, true},
		{"https://ghcr.io", "https://ghcr.io:443/token", true, true},
		{"https://charts.example.com:5000", "https://charts.example.com:5000/token", true, true},
		{"http://127.0.0.1:5000", "http://127.0.0.1:5000/token", true, true},
		{"https://charts.example.com", "https://charts.example.com:8443/token", true, false},
		{"https://charts.example.com", "https://example.org/token", true, false},
		{"https://one.github.io", "https://two.github.io/token", true, false}, // a public suffix
		{"https://charts.example.com", "http://charts.example.com/token", true, false},
		{"https://charts.example.com", "http://charts.example.com/token", false, false},
		{"https://10.0.0.1", "https://10.0.0.2/token", true, false},
		{"https://charts.example.com", "https://example.org/token", false, true},
	} {
		registry, err := url.Parse(c.registry)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, c.to, nil)
		if c.password {
			r.SetBasicAuth("me", "sesame")
		}
		if err := (tokenGuard{registry: registry}).check(r); (err == nil) != c.ok {
			t.Errorf("from %s to %s, password %v: %v", c.registry, c.to, c.password, err)
		}
	}
}
