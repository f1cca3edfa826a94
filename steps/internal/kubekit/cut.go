package kubekit

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/ztplan/ztplan/engine"
)

// spread is the longest additional pause before a read that broke is repeated.
const spread = 500 * time.Millisecond

// cut reports a connection that broke under a request as reset. net/http has words of
// its own ("client connection force closed") for an HTTP/2 connection that it closed
// because a write failed: client-go, which asks again after a reset, does not know them.
//
// A connection takes all its requests with it when it breaks, and client-go repeats
// each of the reads after exactly a second: together, so that one cause breaks all of
// them again. They return at random moments instead.
type cut struct{ next http.RoundTripper }

func (c *cut) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil && strings.Contains(err.Error(), "http2: client connection force closed") {
		err = fmt.Errorf("%w (%w)", syscall.ECONNRESET, err)
	}
	if err != nil && req.Method == http.MethodGet && (utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err)) {
		_ = engine.Pause(req.Context(), rand.N(spread))
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport below.
func (c *cut) WrappedRoundTripper() http.RoundTripper { return c.next }
