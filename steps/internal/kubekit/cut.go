package kubekit

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
)

// cut says of a connection that broke under a request that it was reset. net/http
// reports an HTTP/2 connection that it closed because a write failed in words of
// its own ("client connection force closed"), which neither client-go, which
// asks again after a reset, nor a reader takes for what it is.
type cut struct{ next http.RoundTripper }

func (c *cut) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil && strings.Contains(err.Error(), "http2: client connection force closed") {
		err = fmt.Errorf("%w (%w)", syscall.ECONNRESET, err)
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport below.
func (c *cut) WrappedRoundTripper() http.RoundTripper { return c.next }
