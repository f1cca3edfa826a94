package connect_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/connect"
)

// proxy answers each connection by serve, which is given the CONNECT request.
func proxy(t *testing.T, serve func(conn net.Conn, request *http.Request)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				request, err := http.ReadRequest(bufio.NewReader(conn))
				if err == nil {
					serve(conn, request)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// Data that the far side sends at once, in one packet with the proxy's answer, is
// not lost.
func TestTunnel(t *testing.T) {
	url := proxy(t, func(conn net.Conn, request *http.Request) {
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n\r\n%s %s\n", request.Method, request.Host)
		io.Copy(conn, conn)
	})
	dialer, err := connect.NewDialer(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialer.DialContext(t.Context(), "tcp", "10.0.0.1:9180")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); err != nil || line != "CONNECT 10.0.0.1:9180\n" {
		t.Fatalf("first line = %q, %v", line, err)
	}
	fmt.Fprintln(conn, "echo")
	if line, err := reader.ReadString('\n'); err != nil || line != "echo\n" {
		t.Errorf("answer = %q, %v", line, err)
	}
}

// A refusal looks like a refused connection, so that another node is tried.
func TestRefusal(t *testing.T) {
	url := proxy(t, func(conn net.Conn, _ *http.Request) {
		fmt.Fprint(conn, "HTTP/1.1 502 nothing there\r\nContent-Length: 0\r\n\r\n")
	})
	dialer, err := connect.NewDialer(url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dialer.DialContext(t.Context(), "tcp", "10.0.0.1:9180")
	var failed *net.OpError
	if !errors.As(err, &failed) || failed.Op != "dial" || !strings.Contains(err.Error(), "502 nothing there") {
		t.Errorf("error = %v, want a dial error with the proxy's answer", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	url := proxy(t, func(net.Conn, *http.Request) {
		cancel() // the request has come; there will be no answer
		<-release
	})
	dialer, err := connect.NewDialer(url)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := dialer.DialContext(ctx, "tcp", "10.0.0.1:9180"); err == nil {
		conn.Close()
		t.Error("connected without an answer")
	}
}

func TestDirect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialer, err := connect.NewDialer("")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestNewDialerErrors(t *testing.T) {
	for _, url := range []string{"127.0.0.1:80", "https://127.0.0.1:80", "http://127.0.0.1", "::"} {
		if _, err := connect.NewDialer(url); err == nil {
			t.Errorf("%q was accepted", url)
		}
	}
}

// The proxy is given the password of its URL.
func TestPassword(t *testing.T) {
	url := proxy(t, func(conn net.Conn, request *http.Request) {
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n\r\n%s %s\n", request.Header.Get("Proxy-Authorization"), request.Header.Get("Authorization"))
	})
	dialer, err := connect.NewDialer(strings.Replace(url, "http://", "http://lab:secret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialer.DialContext(t.Context(), "tcp", "10.0.0.1:9180")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "Basic bGFiOnNlY3JldA== \n" {
		t.Errorf("got %q, %v", line, err)
	}
}
