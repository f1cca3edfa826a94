package tlskit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// MaxBody bounds how much of an answer is kept for looking at. The rest is
// read and counted, up to 64 times as much.
const MaxBody = 1 << 20

// A Response is the answer to one request.
type Response struct {
	Proto  string // "HTTP/2.0"
	Code   int
	Status string // "200 OK"
	Header http.Header
	Body   []byte // the first MaxBody bytes
	Size   int64  // bytes of the whole body
}

// ErrGivenUp is a connection that this process itself ended. An
// HTTP/1.1 connection is not used again by net/http when its own writer is 50 ms
// late in reporting that the request was sent (persistConn.wroteRequest,
// golang/go#7569), which happens when the machine has no CPU time to spare. The
// server has no part in it.
var ErrGivenUp = errors.New("the connection was given up by this process, which was too slow to use it again")

// givenUp is the text of net/http's error, which is not exported, for a connection
// that it stopped reading from without a reason from the other end.
const givenUp = "persistConn.readLoop exiting"

// Do sends a request over the connection and reads the whole answer, which must
// not be larger than 65 times MaxBody if another request is to follow.
// Redirections are not followed and nothing is decompressed. Its error is a
// [Failure] of class http, unless ctx was cancelled. Requests must not overlap.
func (c *Conn) Do(ctx context.Context, req *http.Request) (*Response, error) {
	r, err := c.do(req.WithContext(ctx))
	if err == nil {
		return r, nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Cause(ctx)
	}
	if alert := c.lastAlert(err); alert != nil {
		err = alert
	}
	if !c.ending && strings.Contains(err.Error(), givenUp) {
		err = fmt.Errorf("%w: %w", ErrGivenUp, err)
	}
	return nil, newHTTPFailure(c.Endpoint.name, err, c)
}

// lastAlert returns the alert with which the server ended a connection, nil if it was none.
// net/http may report only that the connection is not usable, when the alert came before
// the request; crypto/tls keeps the error of the last read.
func (c *Conn) lastAlert(err error) error {
	if alertOf(err) != "" || isTimeout(err) {
		return nil
	}
	_ = c.conn.SetReadDeadline(time.Now()) // nothing more is waited for
	if _, last := c.conn.Read(make([]byte, 1)); alertOf(last) != "" {
		return last
	}
	return nil
}

func (c *Conn) do(req *http.Request) (*Response, error) {
	if c.client == nil {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
		transport := &http.Transport{
			DialTLSContext:     func(context.Context, string, string) (net.Conn, error) { return c.conn, nil },
			Protocols:          protocols,
			DisableCompression: true,
		}
		client, err := transport.NewClientConn(req.Context(), "https", net.JoinHostPort(req.URL.Hostname(), "443"))
		if err != nil {
			return nil, err
		}
		c.client = client
	}
	resp, err := c.client.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	c.ending = resp.Close
	r := &Response{Proto: resp.Proto, Code: resp.StatusCode, Status: resp.Status, Header: resp.Header}
	if r.Body, err = io.ReadAll(io.LimitReader(resp.Body, MaxBody)); err != nil {
		return nil, err
	}
	more, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64*MaxBody))
	if err != nil {
		return nil, err
	}
	r.Size = int64(len(r.Body)) + more
	return r, nil
}
