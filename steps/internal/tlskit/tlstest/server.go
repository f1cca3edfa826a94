package tlstest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// A Server is an HTTPS server whose behaviour can be changed while it runs.
type Server struct {
	// Hello, if not nil, chooses the certificate of a handshake instead of the
	// pair that was set. Set it before the first connection.
	Hello func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Protocols are the protocols that the server negotiates: h2 and http/1.1
	// by default. Set it before the first connection.
	Protocols []string

	// Clients, if not nil, is the authority of the clients that the server lets in.
	// Others are refused with a TLS alert; with Status they are let to shake hands and
	// refused with that status, as nginx does. Set both before the first connection.
	Clients *CA
	Status  int

	handler http.Handler
	pair    atomic.Pointer[Pair]
	once    sync.Once
	server  *http.Server
	pipes   *pipeListener
	t       testing.TB

	mu    sync.Mutex
	conns map[net.Conn]bool
	gone  *sync.Cond // signalled when a connection has ended
}

// NewServer returns a server that answers with handler, or "hello" if it is
// nil, and shows pair. It ends with the test.
func NewServer(t testing.TB, pair *Pair, handler http.Handler) *Server {
	if handler == nil {
		handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	}
	s := &Server{t: t, handler: handler, pipes: &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}}
	s.pair.Store(pair)
	s.gone = sync.NewCond(&s.mu)
	return s
}

// Ended returns when no connection is open any more.
func (s *Server) Ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) > 0 {
		s.gone.Wait()
	}
}

// Use makes the server show pair from the next handshake on.
func (s *Server) Use(pair *Pair) { s.pair.Store(pair) }

// Pair returns the pair that the server shows.
func (s *Server) Pair() *Pair { return s.pair.Load() }

// Drop closes every connection that is open.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Close ends the server and its connections before the test ends.
func (s *Server) Close() {
	s.start()
	_ = s.server.Close()
	_ = s.pipes.Close()
}

func (s *Server) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateClosed {
		delete(s.conns, c)
		s.gone.Broadcast()
		return
	}
	if s.conns == nil {
		s.conns = make(map[net.Conn]bool)
	}
	s.conns[c] = true
}

func (s *Server) start() {
	s.once.Do(func() {
		config := &tls.Config{
			MinVersion: tls.VersionTLS12,
			GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if s.Hello != nil {
					return s.Hello(h)
				}
				return s.pair.Load().TLS, nil
			},
		}
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		if s.Protocols == nil {
			protocols.SetHTTP2(true)
		}
		for _, p := range s.Protocols {
			if p == "h2" {
				protocols.SetHTTP2(true)
			}
		}
		config.NextProtos = []string{"http/1.1"}
		if protocols.HTTP2() {
			config.NextProtos = []string{"h2", "http/1.1"}
		}
		config.GetConfigForClient = s.mutual(config.Clone())
		s.server = &http.Server{
			Handler: http.HandlerFunc(s.serve), TLSConfig: config, Protocols: protocols, ConnState: s.track,
			ErrorLog: log.New(io.Discard, "", 0), // refused handshakes are the subject of the tests
		}
		s.t.Cleanup(s.Close)
	})
}

// mutual asks clients for certificates if the server has an authority of theirs.
func (s *Server) mutual(config *tls.Config) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if s.Clients == nil {
			return nil, nil
		}
		asking := config.Clone()
		asking.ClientAuth = tls.RequestClientCert
		if s.Status == 0 {
			asking.ClientAuth, asking.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			asking.ClientCAs.AddCert(s.Clients.Cert)
		}
		return asking, nil
	}
}

// serve answers clients that are not of the authority with the status, if there is one.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.Clients != nil && s.Status != 0 && !s.known(r.TLS.PeerCertificates) {
		http.Error(w, "the SSL certificate error", s.Status)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// known reports whether a client's chain leads to the authority of the clients.
func (s *Server) known(sent []*x509.Certificate) bool {
	if len(sent) == 0 {
		return false
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	options.Roots.AddCert(s.Clients.Cert)
	for _, c := range sent[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := sent[0].Verify(options)
	return err == nil
}

// Listen serves on a loopback port and returns its address.
func (s *Server) Listen() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.start()
	s.t.Cleanup(func() { _ = l.Close() })
	go func() { _ = s.server.ServeTLS(l, "", "") }()
	return l.Addr().String()
}

// ServePipe serves connections inside the process and returns their dialer.
// No network is involved, so it works with the clock of testing/synctest.
func (s *Server) ServePipe() (dial func(context.Context) (net.Conn, error)) {
	s.start()
	go func() { _ = s.server.ServeTLS(s.pipes, "", "") }()
	return s.pipes.dial
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := pipe()
	var err error
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		err = errors.New("closed")
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, _ = client.Close(), server.Close()
	return nil, err
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
