package guard

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A node that lacks writes of the run is asked again, and not believed.
func TestNodeBehind(t *testing.T) {
	state := func(index string) string { return base64.StdEncoding.EncodeToString([]byte("v1:cid:" + index + ":0:")) }
	named := func(status int, index string) http.Response {
		return http.Response{StatusCode: status, Header: http.Header{headerIndex: {state(index)}}}
	}
	behind := http.Response{StatusCode: http.StatusPreconditionFailed, Header: http.Header{}}
	for name, c := range map[string]struct {
		answers []http.Response
		status  int
		took    time.Duration
	}{
		"catches up":  {[]http.Response{behind, behind, named(200, "7")}, 200, 300 * time.Millisecond},
		"never":       {slices.Repeat([]http.Response{behind}, 20), 412, 6300 * time.Millisecond},
		"is up to it": {[]http.Response{named(200, "7")}, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &scripted{answers: append([]http.Response{named(204, "5"), named(200, "3")}, c.answers...)}
				var shown []string
				g := Guard{Replicas: new(Replicas), Next: roundTrip(func(r *http.Request) (*http.Response, error) {
					shown = append(shown, r.Header.Get(headerIndex))
					return server.RoundTrip(r)
				})}
				send := func(method string) (*http.Response, error) {
					r, err := http.NewRequestWithContext(context.WithValue(t.Context(), allowedWrite{}, "/v1/x"), method, "http://vault/v1/x", strings.NewReader("asked"))
					if err != nil {
						t.Fatal(err)
					}
					return g.RoundTrip(r)
				}
				for _, method := range []string{http.MethodPut, http.MethodGet} {
					if _, err := send(method); err != nil {
						t.Fatal(err)
					}
				}
				began := time.Now()
				resp, err := send(http.MethodPut)
				if err != nil || resp.StatusCode != c.status || time.Since(began) != c.took {
					t.Errorf("%v after %s (%v), want %d after %s", resp.StatusCode, time.Since(began), err, c.status, c.took)
				}
				if shown[0] != "" || shown[1] != state("5") || shown[2] != state("5") {
					t.Errorf("the requests show %q", shown)
				}
				if slices.ContainsFunc(server.bodies, func(b string) bool { return b != "asked" }) {
					t.Errorf("bodies %q", server.bodies)
				}
				_, _ = io.ReadAll(resp.Body)
			})
		})
	}
}
