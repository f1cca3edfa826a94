// Package patience waits for a hub whose API server does not answer: it may be restarted.
package patience

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ztplan/ztplan/engine"
)

// Limit is how long a request is repeated.
const Limit = 5 * time.Minute

// A Transport repeats the requests that the server did not answer, and those that it
// answered with an error of the moment, until the answer is another one, the context ends
// or [Limit] is over. The body of an answer is part of it, except that of a watch. A
// request may have taken effect although its answer was lost: callers have to accept that
// their object exists already.
type Transport struct {
	Next http.RoundTripper
	// Unknown means that the address may be wrong: a server that has never answered is
	// not waited for.
	Unknown bool
	// Say, if it is not nil, is called once when the server does not answer, and once when
	// it does again.
	Say func(string)

	answered, away atomic.Bool
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	limit := time.Now().Add(Limit)
	backoff := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 100, Cap: 5 * time.Second}
	for request := r; ; {
		res, reason := t.try(request)
		if reason == nil {
			t.back()
			return res, nil
		}
		next, repeatable := again(r)
		if !repeatable || time.Now().After(limit) || t.Unknown && res == nil && !t.answered.Load() {
			return res, lost(res, reason)
		}
		t.gone(reason)
		if res != nil {
			res.Body.Close()
		}
		if err := engine.Pause(r.Context(), backoff.Step()); err != nil {
			return nil, err
		}
		request = next
	}
}

// try sends a request once. A reason means that the answer may be another one later.
func (t *Transport) try(r *http.Request) (res *http.Response, reason error) {
	res, err := t.Next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return res, fmt.Errorf("%s", res.Status)
	}
	if r.URL.Query().Get("watch") != "" {
		return res, nil
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// lost returns the error of a request that is given up; nil if it has an answer.
func lost(res *http.Response, reason error) error {
	if res == nil {
		return reason
	}
	res.Header.Del("Retry-After") // client-go would begin anew
	return nil
}

// again returns the request to be sent once more, and whether it can be.
func again(r *http.Request) (*http.Request, bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return r, r.Context().Err() == nil
	}
	if r.GetBody == nil || r.Context().Err() != nil {
		return nil, false
	}
	body, err := r.GetBody()
	next := r.Clone(r.Context())
	next.Body = body
	return next, err == nil
}

func (t *Transport) gone(reason error) {
	if !t.away.Swap(true) && t.Say != nil {
		t.Say(fmt.Sprintf("the hub does not answer, waiting for it: %v", reason))
	}
}

func (t *Transport) back() {
	t.answered.Store(true)
	if t.away.Swap(false) && t.Say != nil {
		t.Say("the hub answers again")
	}
}

// WrappedRoundTripper lets client-go find the transport below.
func (t *Transport) WrappedRoundTripper() http.RoundTripper { return t.Next }
