package kubekit

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
)

// cut reports a connection that broke under a request as reset. net/http has words of
// its own ("client connection force closed") for an HTTP/2 connection that it closed
// because a write failed: client-go, which asks again after a reset, does not know them.
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
