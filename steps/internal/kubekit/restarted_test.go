package kubekit

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
)

// A refusal is final, unless the API server was away a moment before.
func TestRefusalAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status int
		r := &restarted{next: roundTrip(func(*http.Request) (*http.Response, error) {
			if status == 0 {
				return nil, errors.New("connection refused")
			}
			return &http.Response{StatusCode: status, Header: make(http.Header), Body: http.NoBody}, nil
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

// A refusal by a server that is not ready is asked again about, and its message stays.
func TestRefusalOfAServerThatIsNotReady(t *testing.T) {
	const allocator = `Service "a" is invalid: spec.clusterIPs: Invalid value: [""]: failed to allocate IP: allocator not ready`
	for _, c := range []struct {
		status  int
		message string
		want    int
	}{
		{422, allocator, 503},
		{422, `Service "a" is invalid: spec.clusterIPs: Invalid value: ["10.0.0.1"]: failed to allocate IP: provided IP is already allocated`, 422},
		{403, `configmaps "a" is forbidden: not yet ready to handle request`, 503},
		{403, `pods "a" is forbidden: status unknown for quota: q, resources: pods`, 503},
		{403, `pods "a" is forbidden: error looking up service account n/default: serviceaccount "default" not found`, 503},
		{403, `pods "a" is forbidden: error looking up service account n/app: serviceaccount "app" not found`, 403},
		{403, `configmaps is forbidden: User "u" cannot list resource`, 403},
		{200, allocator, 200},
	} {
		body := `{"kind":"Status","message":` + strconv.Quote(c.message) + `}` + strings.Repeat(" ", maxRefusal)
		r := &restarted{next: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: c.status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body))}, nil
		})}
		resp, err := r.RoundTrip(request(t, http.MethodPost))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if again := resp.Header.Get("Retry-After") != ""; resp.StatusCode != c.want || again != (c.want == 503) || string(got) != body || err != nil {
			t.Errorf("%d %s: %d, asked again: %v, %d bytes of %d, %v", c.status, c.message, resp.StatusCode, again, len(got), len(body), err)
		}
		err = Classify(&apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: int32(c.status), Message: c.message}})
		if c.status != 200 && errors.Is(err, engine.ErrPermanent) == (c.want == 503) {
			t.Errorf("%d %s: permanent: %v", c.status, c.message, errors.Is(err, engine.ErrPermanent))
		}
		if c.want == 503 && !strings.Contains(engine.HintOf(err), "just started") {
			t.Errorf("%d %s: hint %q", c.status, c.message, engine.HintOf(err))
		}
	}
}
