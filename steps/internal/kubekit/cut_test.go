package kubekit

import (
	"errors"
	"net/http"
	"syscall"
	"testing"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

type refusing struct{ err error }

func (r refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

// The words are net/http's, and not exported: a change of them shows in make
// faults, where the API server's connections are reset.
func TestCut(t *testing.T) {
	for err, want := range map[error]bool{
		errors.New("http2: client connection force closed via ClientConn.Close"): true,
		errors.New("http2: client conn not usable"):                              false,
	} {
		_, got := (&cut{refusing{err}}).RoundTrip(nil)
		if !errors.Is(got, err) || errors.Is(got, syscall.ECONNRESET) != want || utilnet.IsConnectionReset(got) != want {
			t.Errorf("%v became %v", err, got)
		}
	}
}
