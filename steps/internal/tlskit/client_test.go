package tlskit_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

const host = "hello.example.local"

func mustTrust(t *testing.T, ca *tlstest.CA) *tlskit.Trust {
	t.Helper()
	trust, err := tlskit.ParseTrust(ca.PEM())
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func TestConnect(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	sub := root.Intermediate(t, "Intermediate CA Lab")
	pair := sub.Issue(t, tlstest.Leaf{CommonName: "*.example.local", Names: []string{"*.example.local", "example.local"}})
	names := make(chan string, 10)
	srv := tlstest.NewServer(t, pair, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "test")
		_, _ = io.WriteString(w, r.Host+" "+r.Proto+" "+r.URL.Path)
	}))
	srv.Hello = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		names <- h.ServerName
		return pair.TLS, nil
	}
	address := srv.Listen()

	for _, tt := range []struct {
		offer []string
		want  string // protocol
		body  string
	}{
		{[]string{tlskit.HTTP2, tlskit.HTTP1}, "h2", host + " HTTP/2.0 /path"},
		{[]string{tlskit.HTTP2}, "h2", host + " HTTP/2.0 /path"},
		{[]string{tlskit.HTTP1}, "http/1.1", host + " HTTP/1.1 /path"},
	} {
		client := tlskit.NewClient(host, mustTrust(t, root), nil, tt.offer...)
		conn, err := client.Connect(t.Context(), tlskit.Address(address))
		if err != nil {
			t.Fatal(err)
		}
		if got := <-names; got != host {
			t.Errorf("server name = %q, want %q", got, host)
		}
		if got := conn.State.NegotiatedProtocol; got != tt.want {
			t.Errorf("offering %v: protocol = %q, want %q", tt.offer, got, tt.want)
		}
		if got := len(conn.Verified); got != 3 {
			t.Errorf("verified chain has %d certificates, want 3", got)
		}
		req, _ := http.NewRequest("GET", "https://"+host+"/path", nil)
		resp, err := conn.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(resp.Body); got != tt.body || resp.Code != 200 || resp.Size != int64(len(tt.body)) {
			t.Errorf("offering %v: answer %d %q of %d bytes, want 200 %q", tt.offer, resp.Code, got, resp.Size, tt.body)
		}
		_ = conn.Close()
	}
}

// A session must never be resumed: it would show the certificate of an earlier
// handshake. The second half shows that the server would allow it.
func TestConnectNeverResumes(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	srv := tlstest.NewServer(t, root.Issue(t, tlstest.Leaf{Names: []string{host}}), nil)
	address := srv.Listen()
	get := func(conn net.Conn) {
		t.Helper()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil {
			t.Fatal(err)
		}
	}

	client := tlskit.NewClient(host, mustTrust(t, root), nil, tlskit.HTTP1)
	for range 3 {
		conn, err := client.Connect(t.Context(), tlskit.Address(address))
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest("GET", "https://"+host+"/", nil)
		if _, err := conn.Do(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if conn.State.DidResume {
			t.Error("the session was resumed")
		}
		_ = conn.Close()
	}

	resumed := false
	config := &tls.Config{ServerName: host, RootCAs: poolOf(root), ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for range 3 {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			t.Fatal(err)
		}
		get(conn)
		resumed = resumed || conn.ConnectionState().DidResume
		_ = conn.Close()
	}
	if !resumed {
		t.Error("the server never resumes: the test shows nothing")
	}
}

func TestFailures(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	sub := root.Intermediate(t, "Intermediate CA Lab")
	other := tlstest.NewCA(t, "Another Root")
	otherSub := other.Intermediate(t, "Another Intermediate")
	again := tlstest.NewCA(t, "Root CA Lab")
	good := tlstest.Leaf{CommonName: "*.example.local", Names: []string{"*.example.local"}}
	expired := good
	expired.NotBefore = time.Now().Add(-2 * time.Hour)
	future := good
	future.NotBefore = time.Now().Add(time.Hour)
	bare := good
	bare.Bare = true

	serve := func(pair *tlstest.Pair) string { return tlstest.NewServer(t, pair, nil).Listen() }
	refusing := tlstest.NewServer(t, nil, nil)
	refusing.Hello = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return nil, errors.New("no certificate for this name")
	}
	http1 := tlstest.NewServer(t, sub.Issue(t, good), nil)
	http1.Protocols = []string{"http/1.1"}

	tests := []struct {
		name    string
		address string
		offer   string
		class   tlskit.Class
		reason  []string // parts of the reason
		hint    string   // part of the hint
	}{
		{"self-signed by another", serve(other.Issue(t, good)), "", tlskit.ClassVerify,
			[]string{"the server sends no intermediate", "CN=Another Root", "CN=Root CA Lab"}, "intermediates"},
		{"another chain", serve(otherSub.Issue(t, good)), "", tlskit.ClassVerify,
			[]string{"chain of 2 certificates", "issued by CN=Another Root", "trusted is CN=Root CA Lab"}, "trust the root"},
		{"root made anew", serve(again.Issue(t, good)), "", tlskit.ClassVerify,
			[]string{"called CN=Root CA Lab", "same name, another key"}, "made anew"},
		{"no intermediate", serve(sub.Issue(t, bare)), "", tlskit.ClassVerify,
			[]string{"issued by CN=Intermediate CA Lab", "sends no intermediate", "CN=Root CA Lab"}, "bundle"},
		{"another name", serve(sub.Issue(t, tlstest.Leaf{Names: []string{"example.local", "*.b.example.local"}})), "", tlskit.ClassVerify,
			[]string{"for example.local, *.b.example.local, not for hello.example.local"}, "dnsNames"},
		{"no name", serve(sub.Issue(t, tlstest.Leaf{CommonName: host})), "", tlskit.ClassVerify,
			[]string{"for no name at all"}, "dnsNames"},
		{"expired", serve(sub.Issue(t, expired)), "", tlskit.ClassVerify,
			[]string{"CN=*.example.local expired at", " 59m", " ago"}, "CertificateRequest"},
		{"not valid yet", serve(sub.Issue(t, future)), "", tlskit.ClassVerify,
			[]string{"is valid from", "which is in "}, "clocks"},
		{"no certificate for the name", refusing.Listen(), "", tlskit.ClassTLS,
			[]string{`alert "internal error"`}, "no certificate for the name hello.example.local"},
		{"no common protocol", http1.Listen(), tlskit.HTTP2, tlskit.ClassTLS,
			[]string{`alert "no application protocol"`}, "HTTP version"},
		{"plain HTTP", plainHTTP(t), "", tlskit.ClassTLS, []string{"speaks plain HTTP"}, "TLS port"},
		{"not TLS", raw(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail ready\r\n") }), "", tlskit.ClassTLS,
			[]string{"does not speak TLS"}, "TLS port"},
		{"closes", raw(t, func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 5)) }), "", tlskit.ClassTLS,
			[]string{"closed during the TLS handshake"}, "without a ready pod"},
		{"refused", "127.0.0.1:1", "", tlskit.ClassDial, []string{"connection refused"}, "the address and the port in the plan"},
		{"no such name", "no-such-name.invalid:443", "", tlskit.ClassDial, []string{"no-such-name.invalid cannot be resolved"}, "/etc/hosts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			offer := tt.offer
			if offer == "" {
				offer = tlskit.HTTP1
			}
			client := tlskit.NewClient(host, mustTrust(t, root), nil, offer)
			conn, err := client.Connect(t.Context(), tlskit.Address(tt.address))
			if err == nil {
				_ = conn.Close()
				t.Fatal("connected")
			}
			var f *tlskit.Failure
			if !errors.As(err, &f) {
				t.Fatalf("error %T %v, want a Failure", err, err)
			}
			if f.Class != tt.class || tlskit.ClassOf(err) != tt.class {
				t.Errorf("class = %s, want %s", f.Class, tt.class)
			}
			for _, part := range tt.reason {
				if !strings.Contains(f.Reason, part) {
					t.Errorf("reason = %q, want it to contain %q", f.Reason, part)
				}
			}
			if !strings.Contains(f.Hint, tt.hint) {
				t.Errorf("hint = %q, want it to contain %q", f.Hint, tt.hint)
			}
			if (f.Chain != nil) != (tt.class == tlskit.ClassVerify) {
				t.Errorf("the failure shows %d certificates", len(f.Chain))
			}
			if got, want := err.Error(), tt.address+": "+f.Reason; got != want {
				t.Errorf("Error() = %q, want %q", got, want)
			}
		})
	}
}

func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := tlskit.NewEndpoint("a:443", func(context.Context) (net.Conn, error) {
			conn, _ := net.Pipe()
			return conn, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := tlskit.NewClient(host, mustTrust(t, tlstest.NewCA(t, "Root CA Lab")), nil).Connect(ctx, silent)
		if tlskit.ClassOf(err) != tlskit.ClassTLS || !strings.Contains(err.Error(), "not answered in time") {
			t.Errorf("error = %v", err)
		}
	})
}

// A cancelled run is no failure of the server.
func TestConnectCancelled(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	ctx, cancel := context.WithCancel(t.Context())
	address := raw(t, func(c net.Conn) {
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	_, err := tlskit.NewClient(host, mustTrust(t, root), nil).Connect(ctx, tlskit.Address(address))
	if !errors.Is(err, context.Canceled) || tlskit.ClassOf(err) != "" {
		t.Errorf("error = %v, want context.Canceled and no class", err)
	}
}

func TestDoFailures(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	hang := make(chan struct{})
	srv := tlstest.NewServer(t, root.Issue(t, tlstest.Leaf{Names: []string{host}}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(200)
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		case "/hang":
			<-hang
		}
	}))
	address := srv.Listen()
	t.Cleanup(func() { close(hang) })
	for path, c := range map[string]struct {
		limit time.Duration // of the request
		want  string
	}{"/abort": {time.Minute, "closed before the answer was complete"}, "/hang": {50 * time.Millisecond, "not answered in time"}} {
		conn, err := tlskit.NewClient(host, mustTrust(t, root), nil, tlskit.HTTP1).Connect(t.Context(), tlskit.Address(address))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), c.limit)
		req, _ := http.NewRequest("GET", "https://"+host+path, nil)
		_, err = conn.Do(ctx, req)
		if tlskit.ClassOf(err) != tlskit.ClassHTTP || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error = %v, want %q", path, err, c.want)
		}
		_ = conn.Close()
		cancel()
	}
}

func TestLargeBodyIsCountedNotKept(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	const size = 3*tlskit.MaxBody + 7
	srv := tlstest.NewServer(t, root.Issue(t, tlstest.Leaf{Names: []string{host}}), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, size))
	}))
	conn, err := tlskit.NewClient(host, mustTrust(t, root), nil, tlskit.HTTP2).Connect(t.Context(), tlskit.Address(srv.Listen()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, _ := http.NewRequest("GET", "https://"+host+"/", nil)
	resp, err := conn.Do(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Body) != tlskit.MaxBody || resp.Size != size {
		t.Errorf("kept %d of %d bytes, want %d of %d", len(resp.Body), resp.Size, tlskit.MaxBody, size)
	}
}

func plainHTTP(t *testing.T) string {
	t.Helper()
	l := listen(t)
	srv := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}

// raw serves every connection with f and closes it.
func raw(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// A connection that net/http gives up, because the request was answered before
// all of it was sent, differs from one that the server ends.
func TestWhoEndedTheConnection(t *testing.T) {
	ca := tlstest.NewCA(t, "Root CA Lab")
	config := &tls.Config{Certificates: []tls.Certificate{*ca.Issue(t, tlstest.Leaf{Names: []string{host}}).TLS}}
	unsent, _ := io.Pipe()
	for name, tt := range map[string]struct {
		body    io.Reader // of the first request
		header  string    // of the answer to it
		givenUp bool
	}{
		"given up":                  {unsent, "", true},
		"ended by the server":       {nil, "Connection: close\r\n", false},
		"ended, and not used again": {unsent, "Connection: close\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			address := raw(t, func(c net.Conn) {
				server := tls.Server(c, config)
				for in := bufio.NewReader(server); ; {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					if line == "\r\n" {
						_, _ = io.WriteString(server, "HTTP/1.1 200 OK\r\n"+tt.header+"Content-Length: 0\r\n\r\n")
					}
				}
			})
			conn, err := tlskit.NewClient(host, mustTrust(t, ca), nil, tlskit.HTTP1).Connect(t.Context(), tlskit.Address(address))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for body := tt.body; err == nil; body = nil {
				req, bad := http.NewRequest(http.MethodPost, "https://"+host, body)
				if bad != nil {
					t.Fatal(bad)
				}
				_, err = conn.Do(t.Context(), req)
			}
			if tlskit.ClassOf(err) != tlskit.ClassHTTP || errors.Is(err, tlskit.ErrGivenUp) != tt.givenUp {
				t.Errorf("error is %v", err)
			}
		})
	}
}
