// Package faultproxy stands between a client and a real server and goes wrong on
// demand: it is slow, cuts connections before or after the server has handled the
// request, answers in the server's place, cuts answers short, or reports another
// time.
//
// It speaks the real protocol: HTTP/1.1 and HTTP/2, with TLS if it is given a
// certificate, and passes upgraded connections (port forwarding) through.
package faultproxy

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
)

// A Proxy forwards to one server. It is safe for concurrent use.
type Proxy struct {
	URL string // where it listens

	forward *httputil.ReverseProxy
	server  *httptest.Server

	mu     sync.Mutex
	faults []*armed
	seen   int
}

// New returns a proxy on a loopback port before the server at to, which it
// reaches by way of transport; nil means a plain one. With certificate, it serves
// TLS.
func New(to *url.URL, transport http.RoundTripper, certificate *tls.Certificate) *Proxy {
	if transport == nil {
		// A connection of its own for each request: a pool that tries again would
		// hide faults.
		transport = &http.Transport{DisableKeepAlives: true}
	}
	quiet := log.New(io.Discard, "", 0)
	p := &Proxy{forward: &httputil.ReverseProxy{
		Transport:     transport,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval: -1, // watches
		ErrorLog:      quiet,
		// A server that cannot be reached shows as such, not as a gateway's answer.
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, _ error) { cut(r) },
	}}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ErrorLog = quiet
	p.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	if certificate != nil {
		p.server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		p.server.EnableHTTP2 = true
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	p.URL = p.server.URL
	return p
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// Set replaces the faults, and forgets the requests that were counted. Of several
// faults that a request meets, the first happens.
func (p *Proxy) Set(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.seen = nil, 0
	for _, f := range faults {
		p.faults = append(p.faults, &armed{Fault: f})
	}
}

// Happened is how many requests met a fault since Set, of how many in all.
func (p *Proxy) Happened() (met, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		met += f.happened
	}
	return met, p.seen
}

// ServeHTTP forwards the request or lets it go wrong.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if effect := p.meets(r); effect != nil {
		effect(w, r, p.forward)
		return
	}
	p.forward.ServeHTTP(w, r)
}

func (p *Proxy) meets(r *http.Request) Effect {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	for _, f := range p.faults {
		if f.strikes(r) {
			return f.Effect
		}
	}
	return nil
}

type connKey struct{}

// cut resets the connection that r came on, with all that is under way on it, and
// ends the handler.
func cut(r *http.Request) {
	reset(r)
	panic(http.ErrAbortHandler)
}

func reset(r *http.Request) {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}
