package vaultkit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

// standby sends every request to another server, as a node does that cannot reach the
// active one.
func standby(t *testing.T, to func(r *http.Request) string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to(r), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(s.Close)
	return s
}

// A redirect is followed to a node that the plan lists, with the same request; nowhere
// else does the token go.
func TestRedirectToAListedNode(t *testing.T) {
	v := vaulttest.Shared(t)
	active := vaulttest.NewProxy(t, v.Address)
	mount := v.Mount(t, "")
	s := standby(t, func(r *http.Request) string { return active.Address + r.URL.RequestURI() })
	conn := connection(s.URL, v.Token)
	ctx := engine.AllowWrites(t.Context())

	err := connect(t, conn).Put(ctx, "sys/mounts/"+mount, map[string]any{"type": "kv"})
	if err == nil || !strings.Contains(engine.HintOf(err), "list it in connections.vault.redirectTo") || len(active.Requests()) != 0 {
		t.Errorf("not listed: %v (%s), %d requests", err, engine.HintOf(err), len(active.Requests()))
	}
	conn.RedirectTo = []string{"http://127.0.0.1:1", active.Address}
	c := connect(t, conn)
	if err := c.Put(ctx, "sys/mounts/"+mount, map[string]any{"type": "kv"}); err != nil {
		t.Error(err)
	}
	mounts, err := c.Read(t.Context(), "sys/mounts")
	if err != nil || mounts[mount+"/"] == nil {
		t.Errorf("the mount is not there: %v", err)
	}
	if err := c.Put(t.Context(), "sys/mounts/"+mount, nil); !errors.Is(err, vaultkit.ErrReadOnly) {
		t.Errorf("a write while looking: %v", err)
	}

	before := len(active.Requests())
	elsewhere := connection(standby(t, func(*http.Request) string { return active.Address + "/v1/sys/seal" }).URL, v.Token)
	elsewhere.RedirectTo = conn.RedirectTo
	if err := connect(t, elsewhere).Put(ctx, "sys/mounts/x", nil); err == nil || len(active.Requests()) != before {
		t.Errorf("another request was made of it: %v", err)
	}
	var circle string
	again := standby(t, func(r *http.Request) string { return circle + r.URL.RequestURI() })
	circle = again.URL
	round := connection(again.URL, v.Token)
	round.RedirectTo = []string{again.URL}
	if _, err := connect(t, round).Read(t.Context(), "sys/mounts"); err == nil || !strings.Contains(err.Error(), "no active node at the moment") {
		t.Errorf("in a circle: %v", err)
	}
}

// Of several nodes behind an address one may be sealed: another connection finds one
// that is not.
func TestSealedNodeOfSeveral(t *testing.T) {
	v := vaulttest.Shared(t)
	to, err := url.Parse(v.Address)
	if err != nil {
		t.Fatal(err)
	}
	type sealedConn struct{}
	var conns atomic.Int64
	var awake atomic.Bool
	awake.Store(true)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(sealedConn{}).(bool) && r.URL.Path != "/v1/sys/seal-status" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprint(w, `{"errors":["Vault is sealed"]}`)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	s.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, sealedConn{}, !awake.Load() || conns.Add(1)%2 == 1)
	}
	s.Start()
	t.Cleanup(s.Close)
	for range 3 {
		if _, err := connect(t, connection(s.URL, v.Token)).Read(t.Context(), "sys/mounts"); err != nil {
			t.Error(err)
		}
	}
	awake.Store(false)
	_, err = connect(t, connection(s.URL, v.Token)).Read(t.Context(), "sys/mounts")
	if !errors.Is(err, vaultkit.ErrSealed) {
		t.Errorf("all sealed: %v", err)
	}
}

// An enterprise is Vault with a namespace, as far as a client sees it: the server claims
// to be the Enterprise edition, and ignores the header.
type enterprise struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // namespace and path of each request
}

func newEnterprise(t *testing.T, address string) *enterprise {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	e := new(enterprise)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.seen = append(e.seen, r.Header.Get("X-Vault-Namespace")+" "+strings.TrimPrefix(r.URL.Path, "/v1/"))
		e.mu.Unlock()
		if r.URL.Path == "/v1/sys/health" {
			_, _ = fmt.Fprint(w, `{"initialized":true,"enterprise":true,"version":"1.21.0+ent"}`)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

// The Community Edition ignores namespaces without a word: a plan for one must not write
// into the root.
func TestNamespaceWithoutNamespaces(t *testing.T) {
	v := vaulttest.Shared(t)
	proxy := vaulttest.NewProxy(t, v.Address)
	conn := connection(proxy.Address, v.Token)
	conn.Namespace = "team"
	c := connect(t, conn)
	for range 2 {
		err := c.Put(engine.AllowWrites(t.Context()), "sys/mounts/x", map[string]any{"type": "kv"})
		vaulttest.WantPermanent(t, err, "namespace team: this Vault has no namespaces", "remove namespace")
	}
	if proxy.Writes() != 0 || len(proxy.Requests()) != 1 {
		t.Errorf("requests: %v", proxy.Requests())
	}
	if _, err := c.SealStatus(t.Context()); err != nil {
		t.Error(err)
	}
}

// Requests about the server go to the root, all others to the namespace, which messages
// name.
func TestNamespaceOfEnterprise(t *testing.T) {
	v := vaulttest.Shared(t)
	e := newEnterprise(t, v.Address)
	conn := connection(e.URL, v.Token)
	conn.Namespace = "team"
	c := connect(t, conn)
	if _, err := c.Read(t.Context(), "sys/mounts"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SealStatus(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Serving(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := c.WithToken(engine.NewSecret("hvs.none")).Read(t.Context(), "sys/auth")
	vaulttest.WantPermanent(t, err, "read sys/auth in namespace team: vault answered 403", "")
	if want := []string{" sys/health", "team sys/mounts", " sys/seal-status", " sys/health", "team sys/auth"}; !slices.Equal(e.seen, want) {
		t.Errorf("requests %q, want %q", e.seen, want)
	}
}

// States of a node that only a cluster has, as Vault Enterprise answers them.
func TestServingInACluster(t *testing.T) {
	for name, test := range map[string]struct {
		health string
		ok     bool
		why    string
	}{
		"performance standby":       {`{"initialized":true,"standby":true,"performance_standby":true}`, true, ""},
		"secondary for performance": {`{"initialized":true,"replication_performance_mode":"secondary"}`, true, ""},
		"secondary for disasters":   {`{"initialized":true,"replication_dr_mode":"secondary"}`, false, "disaster recovery"},
		"standby of a DR secondary": {`{"initialized":true,"standby":true,"replication_dr_mode":"secondary"}`, false, "disaster recovery"},
		"sealed node":               {`{"initialized":true,"sealed":true,"standby":true}`, false, "sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			ok, why, err := connect(t, connection(answering(t, 299, test.health).URL, "t")).Serving(t.Context())
			if ok != test.ok || !strings.Contains(why, test.why) || err != nil {
				t.Errorf("%v, %q, %v", ok, why, err)
			}
		})
	}
}
