package kubekit

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A refusal is final, unless the API server was away a moment before.
func TestRefusalAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status int
		r := &restarted{next: roundTrip(func(*http.Request) (*http.Response, error) {
			if status == 0 {
				return nil, errors.New("connection refused")
			}
			return &http.Response{StatusCode: status, Header: make(http.Header)}, nil
		})}
		ask := func(answer int) int {
			t.Helper()
			status = answer
			resp, err := r.RoundTrip(request(t, http.MethodGet))
			if err != nil {
				return 0
			}
			if again := resp.Header.Get("Retry-After") != ""; again != (resp.StatusCode == http.StatusServiceUnavailable) {
				t.Errorf("%d: asked again: %v", resp.StatusCode, again)
			}
			return resp.StatusCode
		}
		for _, refusal := range []int{http.StatusForbidden, http.StatusUnauthorized} {
			if got := ask(refusal); got != refusal {
				t.Errorf("%d became %d", refusal, got)
			}
		}
		ask(0)
		time.Sleep(settling - time.Second)
		if got := ask(http.StatusForbidden); got != http.StatusServiceUnavailable {
			t.Errorf("a moment after an outage: %d", got)
		}
		if got := ask(http.StatusNotFound); got != http.StatusNotFound {
			t.Errorf("404 became %d", got)
		}
		time.Sleep(time.Second)
		if got := ask(http.StatusForbidden); got != http.StatusForbidden {
			t.Errorf("later: %d", got)
		}
	})
}
