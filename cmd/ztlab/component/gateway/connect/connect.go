// Package connect reaches other pods from inside a built-in component: pod and
// service addresses of the lab are labels that nothing listens on, and an HTTP
// CONNECT proxy (RFC 9110, section 9.3.6) knows the address of each of them.
package connect

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// handshake bounds the proxy's answer, so that a hung proxy is an error and
// not a hung component.
const handshake = 10 * time.Second

// A Dialer connects through one proxy. A Dialer without a proxy connects
// directly.
type Dialer struct {
	proxy string // host:port, "" for none
	user  *url.Userinfo
}

// NewDialer returns the Dialer for a proxy's URL (http://user:password@host:port). An empty
// URL is a Dialer that connects directly.
func NewDialer(proxy string) (Dialer, error) {
	if proxy == "" {
		return Dialer{}, nil
	}
	parsed, err := url.Parse(proxy)
	if err != nil {
		return Dialer{}, fmt.Errorf("the lab's proxy: %w", err)
	}
	if parsed.Scheme != "http" || parsed.Port() == "" {
		return Dialer{}, fmt.Errorf("proxy %s: want http://host:port", parsed.Redacted())
	}
	return Dialer{proxy: parsed.Host, user: parsed.User}, nil
}

// DialContext connects to address (host:port). A refusal by the proxy is a
// [*net.OpError] with Op "dial", as a refused direct connection is.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var direct net.Dialer
	if d.proxy == "" {
		return direct.DialContext(ctx, network, address)
	}
	conn, err := direct.DialContext(ctx, "tcp", d.proxy)
	if err != nil {
		return nil, err
	}
	tunnel, err := d.open(ctx, conn, address)
	if err != nil {
		conn.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s by way of the lab's network: %w", address, err)}
	}
	return tunnel, nil
}

// open asks the proxy on conn for a tunnel to address.
func (d Dialer) open(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	deadline := time.Now().Add(handshake)
	if given, ok := ctx.Deadline(); ok && given.Before(deadline) {
		deadline = given
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Opaque: address},
		Host:   address,
		Header: http.Header{},
	}
	if password, ok := d.user.Password(); ok {
		// As http.Transport does for a proxy (RFC 9110, section 11.7.2).
		request.SetBasicAuth(d.user.Username(), password)
		request.Header["Proxy-Authorization"] = request.Header["Authorization"]
		request.Header.Del("Authorization")
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("CONNECT answered %s", response.Status)
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return tunnel{Conn: conn, reader: reader}, nil
}

// A tunnel first reads the bytes that came together with the proxy's answer.
type tunnel struct {
	net.Conn
	reader *bufio.Reader
}

func (t tunnel) Read(p []byte) (int, error) {
	if t.reader.Buffered() > 0 {
		return t.reader.Read(p)
	}
	return t.Conn.Read(p)
}
