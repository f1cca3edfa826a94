package portforward

import (
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

// maxUnread is how many bytes a conn reads ahead. Streams share a connection:
// one that is not read must not hold up the others at once.
const maxUnread = 1 << 20

// maxFrame is the most bytes that one data frame carries.
const maxFrame = 32 << 10

// kubeletPrefix repeats the address, which the error has already.
var kubeletPrefix = regexp.MustCompile(`^error forwarding port \d+ to pod \S+, uid [^:]*: `)

// A conn is a net.Conn over a pair of port-forward streams. Streams have
// deadlines for the connection as a whole only, so that it reads and writes through
// pipes of package net, which have their own. There is one for each direction: the
// other side may end its own and still read.
type conn struct {
	net.Conn // the pipe from which the arrived bytes are read
	addr     address
	out      net.Conn // the pipe into which the bytes to send are written

	mu      sync.Mutex
	changed sync.Cond // of the fields below
	unread  []byte
	err     error // why nothing more arrives: io.EOF for an orderly end; nil while open
	closed  bool
}

// newConn takes over the streams. lost is closed with the shared connection.
// finished is called once, after Close, with whether the connection failed.
func newConn(addr address, data, errs httpstream.Stream, lost <-chan bool, finished func(failed bool)) *conn {
	c := &conn{addr: addr}
	c.changed.L = &c.mu
	in, arrived := net.Pipe()
	out, toSend := net.Pipe()
	c.Conn, c.out = in, out
	reported := make(chan struct{})
	c.start(func() { defer close(reported); c.readError(errs) })
	c.start(func() { c.receive(data, reported, lost) })
	c.start(func() { c.deliver(arrived) })
	c.start(func() { c.send(toSend, data, errs, finished) })
	return c
}

// start runs f in a goroutine; its panic is the error of the connection.
func (c *conn) start(f func()) {
	go func() {
		if err := engine.Try(func() error { f(); return nil }); err != nil {
			c.fail(err)
		}
	}()
}

// fail ends the connection with an error; the first one stays.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.changed.Broadcast()
	if !errors.Is(err, io.EOF) {
		c.out.Close() // ends a Write
	}
}

// readError reads the error stream: the kubelet writes there why it could not reach
// the port, and nothing otherwise.
func (c *conn) readError(errs io.Reader) {
	if text, _ := io.ReadAll(errs); len(text) > 0 {
		reason := kubeletPrefix.ReplaceAllString(strings.TrimSpace(string(text)), "")
		c.fail(fmt.Errorf("port-forward to %s: %s", c.addr, reason))
	}
}

// receive reads the data stream ahead of the reader.
func (c *conn) receive(data io.Reader, reported <-chan struct{}, lost <-chan bool) {
	buf := make([]byte, maxFrame)
	for {
		n, err := data.Read(buf)
		c.mu.Lock()
		for len(c.unread) >= maxUnread && !c.closed {
			c.changed.Wait()
		}
		c.unread = append(c.unread, buf[:n]...)
		closed := c.closed
		c.changed.Broadcast()
		c.mu.Unlock()
		switch {
		case closed:
			return
		case err == nil:
			continue
		}
		// The kubelet closes both streams together: its error, if there is one, is
		// about to be read.
		select {
		case <-reported:
		case <-time.After(closeGrace):
		}
		select {
		case <-lost:
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("port-forward to %s: %w", c.addr, errLost)
			}
		default:
		}
		c.fail(err)
		return
	}
}

// deliver hands the arrived bytes to the reader, and ends the pipe after the last.
func (c *conn) deliver(reader net.Conn) {
	defer reader.Close()
	for {
		c.mu.Lock()
		for len(c.unread) == 0 && c.err == nil && !c.closed {
			c.changed.Wait()
		}
		next := c.unread
		c.unread = nil
		c.changed.Broadcast()
		c.mu.Unlock()
		if len(next) == 0 {
			return
		}
		if _, err := reader.Write(next); err != nil {
			return
		}
	}
}

// send writes until the connection is closed, and ends the streams.
func (c *conn) send(writer io.Reader, data, errs httpstream.Stream, finished func(failed bool)) {
	if _, err := io.Copy(data, writer); err != nil {
		c.fail(fmt.Errorf("port-forward to %s: %w", c.addr, err))
	}
	c.mu.Lock()
	for !c.closed {
		c.changed.Wait()
	}
	failed := c.err != nil && !errors.Is(c.err, io.EOF)
	c.mu.Unlock()
	data.Close() // the other side reads to the end
	data.Reset()
	errs.Reset()
	finished(failed)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.explain("read", err)
}

// Write returns when the bytes are about to be sent. That they could not be is the
// error of a later call, as it is for TCP.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	return n, c.explain("write", err)
}

// explain returns the reason why a pipe returned an error.
func (c *conn) explain(op string, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case c.closed:
		err = net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
	case c.err != nil:
		return c.err
	}
	return &net.OpError{Op: op, Net: c.addr.Network(), Addr: c.addr, Err: err}
}

func (c *conn) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	if closed {
		return c.explain("close", net.ErrClosed)
	}
	return errors.Join(c.Conn.Close(), c.out.Close())
}

func (c *conn) LocalAddr() net.Addr  { return address("ztplan") }
func (c *conn) RemoteAddr() net.Addr { return c.addr }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }

// address is the address of a tunnel's end: "namespace/pod:port".
type address string

func (address) Network() string  { return "port-forward" }
func (a address) String() string { return string(a) }
