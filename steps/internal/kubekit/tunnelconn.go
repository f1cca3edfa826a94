package kubekit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"k8s.io/streaming/pkg/httpstream"

	"github.com/ztplan/ztplan/engine"
)

// maxUnread is how much a tunnelConn reads ahead. Streams share a connection,
// so one that nobody reads must not hold up the others at once.
const maxUnread = 1 << 20

// maxFrame is the most that one data frame carries.
const maxFrame = 32 << 10

// kubeletPrefix repeats what the address already says.
var kubeletPrefix = regexp.MustCompile(`^error forwarding port \d+ to pod \S+, uid [^:]*: `)

// A tunnelConn is a net.Conn over a pair of port-forward streams. The streams
// know deadlines only for the connection as a whole; a tunnelConn has its own.
type tunnelConn struct {
	addr     tunnelAddr
	data     httpstream.Stream
	lost     <-chan bool // the shared connection is gone
	finished func(failed bool)

	readDeadline  deadline
	writeDeadline deadline

	closeOnce sync.Once
	closed    chan struct{}
	writes    chan write

	mu      sync.Mutex
	unread  []byte
	err     error         // what Read returns after unread; nil while open
	changed chan struct{} // closed and replaced when unread or err changes
}

type write struct {
	p    []byte
	done chan error
}

// newTunnelConn takes over the streams. finished is called once, after Close,
// and says whether the other side reported an error.
func newTunnelConn(addr tunnelAddr, data, errs httpstream.Stream, lost <-chan bool, finished func(failed bool)) *tunnelConn {
	c := &tunnelConn{
		addr:     addr,
		data:     data,
		lost:     lost,
		finished: finished,
		closed:   make(chan struct{}),
		writes:   make(chan write),
		changed:  make(chan struct{}),
	}
	c.readDeadline.set(time.Time{})
	c.writeDeadline.set(time.Time{})
	reported := make(chan error, 1)
	c.start(func() { c.watchErrors(errs, reported) })
	c.start(func() { c.pump(reported) })
	c.start(func() { c.serveWrites(errs) })
	return c
}

// start runs f in a goroutine; its panic is the error of the connection.
func (c *tunnelConn) start(f func()) {
	go func() {
		if err := engine.Try(func() error { f(); return nil }); err != nil {
			c.fail(err)
		}
	}()
}

// watchErrors reads the error stream, which says why the kubelet could not
// reach the port and is silent otherwise.
func (c *tunnelConn) watchErrors(errs io.Reader, reported chan<- error) {
	text, _ := io.ReadAll(errs)
	if len(text) == 0 {
		reported <- nil
		return
	}
	reason := kubeletPrefix.ReplaceAllString(strings.TrimSpace(string(text)), "")
	err := fmt.Errorf("port-forward to %s: %s", c.addr, reason)
	c.fail(err)
	reported <- err
}

// pump moves what arrives to unread.
func (c *tunnelConn) pump(reported <-chan error) {
	buf := make([]byte, maxFrame)
	for {
		n, err := c.data.Read(buf)
		if n > 0 && !c.deliver(buf[:n]) {
			return
		}
		if err == nil {
			continue
		}
		// The kubelet closes both streams together: what it reported, if
		// anything, is about to be read.
		select {
		case <-reported:
		case <-c.closed:
		case <-time.After(closeGrace):
		}
		select {
		case <-c.lost:
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("port-forward to %s: connection lost: %w", c.addr, io.ErrUnexpectedEOF)
			}
		default:
		}
		c.fail(err)
		return
	}
}

// deliver appends to unread when there is room; false means closed.
func (c *tunnelConn) deliver(p []byte) bool {
	for {
		c.mu.Lock()
		if len(c.unread) < maxUnread {
			c.unread = append(c.unread, p...)
			c.broadcastLocked()
			c.mu.Unlock()
			return true
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-c.closed:
			return false
		}
	}
}

// fail sets what Read returns at the end; the first error stays.
func (c *tunnelConn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		c.broadcastLocked()
	}
}

func (c *tunnelConn) broadcastLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *tunnelConn) Read(p []byte) (int, error) {
	for {
		expiry := c.readDeadline.current()
		select {
		case <-c.closed:
			return 0, c.opError("read", net.ErrClosed)
		default:
		}
		if expiry.Err() == context.DeadlineExceeded {
			return 0, c.opError("read", os.ErrDeadlineExceeded)
		}
		c.mu.Lock()
		if len(c.unread) > 0 || len(p) == 0 {
			n := copy(p, c.unread)
			c.unread = c.unread[n:]
			if len(c.unread) == 0 {
				c.unread = nil
			}
			c.broadcastLocked()
			c.mu.Unlock()
			return n, nil
		}
		err, changed := c.err, c.changed
		c.mu.Unlock()
		if err != nil {
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return 0, io.EOF
			}
			return 0, err
		}
		select {
		case <-changed:
		case <-c.closed:
		case <-expiry.Done():
		}
	}
}

func (c *tunnelConn) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		chunk := p[:min(len(p), maxFrame)]
		if err := c.writeChunk(chunk); err != nil {
			return written, err
		}
		written += len(chunk)
		p = p[len(chunk):]
	}
	return written, nil
}

// writeChunk hands a copy of p to serveWrites: a write that outlives its
// deadline goes on in the background, when p is the caller's again.
func (c *tunnelConn) writeChunk(p []byte) error {
	w := write{p: append([]byte(nil), p...), done: make(chan error, 1)}
	submit := c.writes
	for {
		expiry := c.writeDeadline.current()
		select {
		case <-c.closed:
			return c.opError("write", net.ErrClosed)
		default:
		}
		if expiry.Err() == context.DeadlineExceeded {
			return c.opError("write", os.ErrDeadlineExceeded)
		}
		c.mu.Lock()
		err, changed := c.err, c.changed
		c.mu.Unlock()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		select {
		case submit <- w:
			submit = nil
		case err := <-w.done:
			if err != nil {
				return c.opError("write", err)
			}
			return nil
		case <-changed:
		case <-c.closed:
		case <-expiry.Done():
		}
	}
}

// serveWrites writes until the conn is closed and then ends the streams.
func (c *tunnelConn) serveWrites(errs httpstream.Stream) {
	for {
		select {
		case w := <-c.writes:
			_, err := c.data.Write(w.p)
			w.done <- err
		case <-c.closed:
			c.data.Close() // the other side reads to the end
			c.data.Reset()
			errs.Reset()
			c.mu.Lock()
			failed := c.err != nil && !errors.Is(c.err, io.EOF)
			c.mu.Unlock()
			c.finished(failed)
			return
		}
	}
}

func (c *tunnelConn) Close() error {
	err := c.opError("close", net.ErrClosed)
	c.closeOnce.Do(func() {
		close(c.closed)
		err = nil
	})
	return err
}

func (c *tunnelConn) LocalAddr() net.Addr  { return tunnelAddr("ztplan") }
func (c *tunnelConn) RemoteAddr() net.Addr { return c.addr }

func (c *tunnelConn) SetDeadline(t time.Time) error {
	c.readDeadline.set(t)
	c.writeDeadline.set(t)
	return nil
}

func (c *tunnelConn) SetReadDeadline(t time.Time) error {
	c.readDeadline.set(t)
	return nil
}

func (c *tunnelConn) SetWriteDeadline(t time.Time) error {
	c.writeDeadline.set(t)
	return nil
}

func (c *tunnelConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.addr.Network(), Addr: c.addr, Err: err}
}

// tunnelAddr is the address of a tunnel's end: "namespace/pod:port".
type tunnelAddr string

func (tunnelAddr) Network() string  { return "port-forward" }
func (a tunnelAddr) String() string { return string(a) }

// A deadline is a context that ends when the deadline passes (DeadlineExceeded)
// or when another one replaces it (Canceled): then whoever waits looks again.
type deadline struct {
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
}

func (d *deadline) set(t time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	if !t.IsZero() {
		cancel()
		ctx, cancel = context.WithDeadline(context.Background(), t)
	}
	d.mu.Lock()
	replaced := d.cancel
	d.ctx, d.cancel = ctx, cancel
	d.mu.Unlock()
	if replaced != nil {
		replaced()
	}
}

func (d *deadline) current() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ctx
}
