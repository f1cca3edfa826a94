package kubekit

import (
	"errors"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

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
		_, got := (&cut{refusing{err}}).RoundTrip(request(t, http.MethodGet))
		if !errors.Is(got, err) || errors.Is(got, syscall.ECONNRESET) != want || utilnet.IsConnectionReset(got) != want {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func request(t *testing.T, method string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://example.local/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// Reads whose connection broke come back at different moments, so that client-go does
// not repeat them together; a write comes back at once.
func TestReadsThatBrokeTogetherComeBackApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cut{refusing{syscall.ECONNRESET}}
		began := time.Now()
		after := func(method string) time.Duration {
			_, _ = c.RoundTrip(request(t, method))
			return time.Since(began)
		}
		if took := after(http.MethodPut); took != 0 {
			t.Errorf("a write came back after %s", took)
		}
		took := make(chan time.Duration, 10)
		for range cap(took) {
			go func() { took <- after(http.MethodGet) }()
		}
		moments := make(map[time.Duration]bool)
		for range cap(took) {
			moment := <-took
			if moments[moment] = true; moment >= spread {
				t.Errorf("a read came back after %s", moment)
			}
		}
		if len(moments) < 2 {
			t.Errorf("all reads came back after %v", moments)
		}
	})
}
