package tlstest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe returns the ends of a connection inside the process. Unlike with
// net.Pipe, writing does not wait for the reader: TLS needs that, because a
// client that refuses a certificate stops reading.
func pipe() (net.Conn, net.Conn) {
	a, b := newStream(), newStream()
	return &end{in: a, out: b}, &end{in: b, out: a}
}

// An end reads from one stream and writes to the other.
type end struct{ in, out *stream }

func (e *end) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error) { return e.out.write(p) }

func (e *end) Close() error {
	e.in.abandon()
	e.out.finish()
	return nil
}

func (e *end) LocalAddr() net.Addr  { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
func (e *end) RemoteAddr() net.Addr { return e.LocalAddr() }

func (e *end) SetDeadline(t time.Time) error     { return e.SetReadDeadline(t) }
func (e *end) SetReadDeadline(t time.Time) error { e.in.until(t); return nil }

// SetWriteDeadline does nothing: writing never blocks.
func (e *end) SetWriteDeadline(time.Time) error { return nil }

// A stream is one direction.
type stream struct {
	mu        sync.Mutex
	changed   *sync.Cond
	data      []byte
	finished  bool // the writer is gone
	abandoned bool // the reader is gone
	deadline  time.Time
	timer     *time.Timer
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.abandoned:
			return 0, net.ErrClosed
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0:
			n := copy(p, s.data)
			s.data = s.data[n:]
			return n, nil
		case s.finished:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished || s.abandoned {
		return 0, io.ErrClosedPipe
	}
	s.data = append(s.data, p...)
	s.changed.Broadcast()
	return len(p), nil
}

func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.changed.Broadcast()
}

func (s *stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.changed.Broadcast()
}

func (s *stream) until(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	// A deadline that has passed needs no timer. Go 1.26 crashes under the race
	// detector when one that is due at once is made in a synctest bubble.
	if left := time.Until(t); !t.IsZero() && left > 0 {
		s.timer = time.AfterFunc(left, s.changed.Broadcast)
	}
	s.changed.Broadcast()
}
