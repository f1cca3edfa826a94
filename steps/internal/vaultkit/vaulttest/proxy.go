package vaulttest

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// A Proxy stands between a step and a server: it records the requests, and makes
// the faults that a test asks for.
type Proxy struct {
	Address string // base URL

	mu       sync.Mutex
	requests []Request
	faults   []*fault
}

// A Request is one that passed the proxy.
type Request struct {
	Method string
	Path   string // below /v1/
}

// Write reports whether the request asked for a change.
func (r Request) Write() bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != "LIST"
}

// NewProxy returns a proxy before the server at address.
func NewProxy(t testing.TB, address string) *Proxy {
	t.Helper()
	to, err := url.Parse(address)
	ok(t, err)
	p := &Proxy{}
	// A connection of its own for each request: a fault must not be hidden by a
	// connection that is tried again.
	transport := &http.Transport{DisableKeepAlives: true}
	forward := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := Request{Method: r.Method, Path: r.URL.Path[len("/v1/"):]}
		if f := p.record(request); f != nil {
			f.happen(w, r, forward)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.Address = server.URL
	return p
}

type fault struct {
	match  func(Request) bool
	happen func(w http.ResponseWriter, r *http.Request, forward http.Handler)
}

func (p *Proxy) record(r Request) *fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	for i, f := range p.faults {
		if f.match(r) {
			p.faults = append(p.faults[:i], p.faults[i+1:]...)
			return f
		}
	}
	return nil
}

// Requests returns the requests so far.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.requests...)
}

// Writes counts the requests that asked for a change.
func (p *Proxy) Writes() int {
	n := 0
	for _, r := range p.Requests() {
		if r.Write() {
			n++
		}
	}
	return n
}

func (p *Proxy) fault(f *fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, f)
}

// LoseAnswer lets the next request that matches reach the server, and cuts the
// connection instead of answering.
func (p *Proxy) LoseAnswer(match func(Request) bool) {
	p.fault(&fault{match, func(_ http.ResponseWriter, r *http.Request, forward http.Handler) {
		forward.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}})
}

// LoseRequest cuts the connection before the next request that matches reaches
// the server.
func (p *Proxy) LoseRequest(match func(Request) bool) {
	p.fault(&fault{match, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }})
}

// Answer answers the next request that matches in the server's place.
func (p *Proxy) Answer(status int, body string, match func(Request) bool) {
	p.fault(&fault{match, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}})
}

// Before calls f when the next request that matches has arrived, and then lets it
// pass.
func (p *Proxy) Before(match func(Request) bool, f func()) {
	p.fault(&fault{match, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		f()
		forward.ServeHTTP(w, r)
	}})
}

// After lets the next request that matches reach the server, calls f when it has
// answered, and passes the answer on only then.
func (p *Proxy) After(match func(Request) bool, f func()) {
	p.fault(&fault{match, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, r)
		f()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}})
}

// ErrUnused is the error of Unused when a fault did not happen.
var ErrUnused = errors.New("a planned fault did not happen")

// Unused reports faults that no request met: such a test proves nothing.
func (p *Proxy) Unused() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) > 0 {
		return ErrUnused
	}
	return nil
}
