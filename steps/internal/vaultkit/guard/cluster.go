package guard

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
)

// Headers of Vault Enterprise about the state of a node
// (developer.hashicorp.com/vault/docs/enterprise/consistency). A node that does not have
// the state of a request's index yet answers 412.
const (
	headerIndex = "X-Vault-Index"
	behindWait  = 10 * time.Second // for one request
)

// A Replicas remembers facts about the nodes behind one address, for all steps that use it.
type Replicas struct {
	mu        sync.Mutex
	index     []string // states that answers have named
	community *bool    // whether Vault has no namespaces, nil before it was asked
}

// show adds the newest states that are known to a request: a node that lacks one does
// not answer from an older one.
func (s *Replicas) show(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range s.index {
		r.Header.Add(headerIndex, state)
	}
}

func (s *Replicas) learn(resp *http.Response) {
	state := resp.Header.Get(headerIndex)
	if state == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index = api.MergeReplicationStates(s.index, state)
}

// consistent sends r to whichever node answers, with the states that answers have named.
// A node that is behind is asked again, until behindWait is over: it has done nothing.
func (g Guard) consistent(r *http.Request) (*http.Response, error) {
	if g.Replicas == nil {
		return g.awake(r)
	}
	r = r.Clone(r.Context())
	g.Replicas.show(r)
	began, pause := time.Now(), 100*time.Millisecond
	for {
		resp, err := g.awake(r)
		if err != nil {
			return resp, err
		}
		behind := resp.StatusCode == http.StatusPreconditionFailed && r.Header.Get(headerIndex) != ""
		if !behind || time.Since(began)+pause > behindWait || !repeatable(r) {
			g.Replicas.learn(resp)
			return resp, nil
		}
		_ = resp.Body.Close()
		if err := engine.Pause(r.Context(), pause); err != nil {
			return nil, err
		}
		pause *= 2
		if r, err = again(r); err != nil {
			return nil, err
		}
	}
}

// nodes is how many connections are tried before an address counts as sealed: of several
// nodes behind it, one may be.
const nodes = 3

// awake sends r, over another connection while the node that answers is sealed: it has
// done nothing then.
func (g Guard) awake(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := g.patient(r)
		if err != nil || g.Reconnect == nil || try == nodes || !repeatable(r) || !sealed(resp) {
			return resp, err
		}
		_ = resp.Body.Close()
		g.Reconnect()
		if r, err = again(r); err != nil {
			return nil, err
		}
	}
}

// sealed reports whether resp is that of a sealed node. The body can be read after it.
func sealed(resp *http.Response) bool {
	if resp.StatusCode != http.StatusServiceUnavailable {
		return false
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	return err == nil && bytes.Contains(head, []byte("Vault is sealed"))
}

// repeatable reports whether r can be sent again.
func repeatable(r *http.Request) bool { return r.Body == nil || r.GetBody != nil }

// again returns r to be sent again.
func again(r *http.Request) (*http.Request, error) {
	r = r.Clone(r.Context())
	if r.GetBody == nil {
		return r, nil
	}
	var err error
	r.Body, err = r.GetBody()
	return r, err
}

// follow sends r to the node that a redirect names, if the plan lists that one: it gets
// the token. It is the same request, over the same TLS settings, and there is no second
// redirect.
func (g Guard) follow(r *http.Request, resp *http.Response) (*http.Response, error) {
	location := resp.Header.Get("Location")
	_ = resp.Body.Close()
	to, err := url.Parse(location)
	if err == nil && resp.StatusCode == http.StatusTemporaryRedirect && to.Path == r.URL.Path && g.listed(to) && repeatable(r) {
		next, err := again(r)
		if err != nil {
			return nil, err
		}
		next.URL, next.Host = to, ""
		answer, err := g.consistent(next)
		if err != nil || answer.StatusCode < 300 || answer.StatusCode >= 400 {
			return answer, err
		}
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s at %s answered %d as well: the cluster has no active node at the moment", r.URL.Path, to.Host, answer.StatusCode)
	}
	hint := "a standby of a Vault cluster cannot reach the active node: give the address of the active node, or its service (vault-active)"
	if err == nil && to.Host != "" && g.Outside {
		hint += fmt.Sprintf("; or, if %s is a node of this cluster and may get the token, list it in connections.vault.redirectTo", to.Scheme+"://"+to.Host)
	}
	return nil, engine.WithHint(fmt.Errorf("%s answered %d, which leads to %s", r.URL.Path, resp.StatusCode, location), hint)
}

func (g Guard) listed(to *url.URL) bool {
	for _, base := range g.RedirectTo {
		if u, err := url.Parse(base); err == nil && u.Scheme == to.Scheme && strings.EqualFold(u.Host, to.Host) {
			return true
		}
	}
	return false
}

// LacksNamespaces reports whether Vault has no namespaces, which ask finds out once; nil is
// not known.
func (s *Replicas) LacksNamespaces(ask func() *bool) bool {
	s.mu.Lock()
	known := s.community
	s.mu.Unlock()
	if known == nil {
		known = ask()
		s.mu.Lock()
		s.community = known
		s.mu.Unlock()
	}
	return known != nil && *known
}
