package tlskit

import (
	"errors"
	"net"
	"syscall"
)

// lenient drops writes to a connection that the server has closed. A server that refuses a
// client sends an alert and closes; the client may be writing its request by then, and the
// error of that would hide the alert. A reader finds both out: the alert, or the end of
// the connection.
type lenient struct{ net.Conn }

func (c lenient) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return len(p), nil
	}
	return n, err
}
