package portforward

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// kubelet is the other end of a tunnel: serve is called with the data and the
// error stream of every connection.
func kubelet(t *testing.T, serve func(data, errs httpstream.Stream)) (client httpstream.Connection) {
	t.Helper()
	here, there := net.Pipe()
	errors := make(chan httpstream.Stream, 100)
	server, err := spdy.NewServerConnection(there, func(s httpstream.Stream, replySent <-chan struct{}) error {
		go func() {
			<-replySent
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				errors <- s
				return
			}
			serve(s, <-errors)
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err = spdy.NewClientConnection(here)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
		here.Close()
		there.Close()
	})
	return client
}

// open opens a connection and reports on the channel whether it had failed
// when it was finished.
func open(t *testing.T, client httpstream.Connection) (net.Conn, <-chan bool) {
	t.Helper()
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	errs, err := client.CreateStream(headers)
	if err != nil {
		t.Fatal(err)
	}
	errs.Close()
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := client.CreateStream(headers)
	if err != nil {
		t.Fatal(err)
	}
	finished := make(chan bool, 1)
	c := newConn("ns/pod:80", data, errs, client.CloseChan(), func(failed bool) { finished <- failed })
	t.Cleanup(func() { c.Close() })
	return c, finished
}

func echo(data, errs httpstream.Stream) {
	io.Copy(data, data)
	data.Close()
	errs.Close()
}

func TestConnEchoes(t *testing.T) {
	client := kubelet(t, echo)
	c, finished := open(t, client)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 20_000) // many frames
	go c.Write(sent)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Error("what comes back is not what was sent")
	}
	if got := c.RemoteAddr().String(); got != "ns/pod:80" {
		t.Errorf("got address %s", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if failed := <-finished; failed {
		t.Error("a connection that was closed in order counts as failed")
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closing twice: got %v", err)
	}
}

func TestConnReportsTheKubeletsError(t *testing.T) {
	client := kubelet(t, func(data, errs httpstream.Stream) {
		io.WriteString(errs, "error forwarding port 80 to pod web-0, uid 1-2: connection refused\n")
		data.Close()
		errs.Close()
	})
	c, finished := open(t, client)
	_, err := c.Read(make([]byte, 1))
	if want := "port-forward to ns/pod:80: connection refused"; err == nil || err.Error() != want {
		t.Errorf("reading: got %v, want %s", err, want)
	}
	if _, err := c.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("writing: got %v", err)
	}
	c.Close()
	if failed := <-finished; !failed {
		t.Error("a connection that the kubelet could not make does not count as failed")
	}
}

func TestConnEndsWhenTheOtherSideCloses(t *testing.T) {
	client := kubelet(t, func(data, errs httpstream.Stream) {
		io.WriteString(data, "bye")
		data.Close()
		errs.Close()
	})
	c, _ := open(t, client)
	got, err := io.ReadAll(c)
	if string(got) != "bye" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestConnSaysThatTheConnectionIsLost(t *testing.T) {
	client := kubelet(t, func(httpstream.Stream, httpstream.Stream) {})
	c, _ := open(t, client)
	client.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

func TestConnDeadlines(t *testing.T) {
	client := kubelet(t, func(data, errs httpstream.Stream) {
		buf := make([]byte, 1)
		if _, err := data.Read(buf); err == nil {
			data.Write(buf)
		}
	})
	c, _ := open(t, client)
	buf := make([]byte, 1)

	c.SetDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading after the deadline: got %v", err)
	}
	if _, err := c.Write(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing after the deadline: got %v", err)
	}

	// A deadline set while a Read waits ends it, and one taken back does not.
	c.SetDeadline(time.Time{})
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(buf)
		read <- err
	}()
	c.SetReadDeadline(time.Now().Add(time.Hour))
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline set while reading: got %v", err)
	}

	// The connection is as good as before.
	c.SetReadDeadline(time.Time{})
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(buf); err != nil || buf[0] != 'x' {
		t.Errorf("got %q, %v", buf, err)
	}
}

// A connection that nobody reads must not hold up the others on the same
// tunnel: their streams share workers.
func TestConnDoesNotHoldUpOthers(t *testing.T) {
	const flood = 512 << 10
	client := kubelet(t, func(data, errs httpstream.Stream) {
		for range flood / maxFrame { // a frame each
			data.Write(bytes.Repeat([]byte("f"), maxFrame))
		}
		data.Close()
		errs.Close()
	})
	var idle []net.Conn
	for range 10 { // more than there are workers
		c, _ := open(t, client)
		idle = append(idle, c)
	}
	c, _ := open(t, client)
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.Copy(io.Discard, c); n != flood || err != nil {
		t.Errorf("got %d bytes of %d, %v", n, flood, err)
	}
	for _, c := range idle {
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := io.Copy(io.Discard, c); n != flood || err != nil {
			t.Errorf("late reader: got %d bytes of %d, %v", n, flood, err)
		}
	}
}
