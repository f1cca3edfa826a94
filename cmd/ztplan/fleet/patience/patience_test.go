package patience_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/patience"
)

// A server answers with these in turn, and with the last one for ever.
type server struct {
	answers []answer
	bodies  []string // of the requests
}

type answer struct {
	err    error
	status int
	body   io.Reader
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	s.bodies = append(s.bodies, string(body))
	a := s.answers[min(len(s.bodies), len(s.answers))-1]
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Status: http.StatusText(a.status), Header: http.Header{"Retry-After": {"1"}}, Body: io.NopCloser(a.body)}, nil
}

func refused() answer { return answer{err: errors.New("connection refused")} }

func with(status int, body string) answer {
	return answer{status: status, body: strings.NewReader(body)}
}

// broken is a body that ends in its middle.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTransport(t *testing.T) {
	for _, tc := range []struct {
		name    string
		unknown bool
		watch   string
		answers []answer
		want    string // the answer's body, or the error
		tries   int    // 0: several
		said    int
	}{
		{"answered", false, "", []answer{with(200, "yes")}, "yes", 1, 0},
		{"restarted", false, "", []answer{refused(), with(503, ""), with(500, ""), with(200, "yes")}, "yes", 4, 2},
		{"an answer that is final", false, "", []answer{with(409, "conflict")}, "conflict", 1, 0},
		{"cut off in the answer", false, "", []answer{{status: 200, body: broken{}}, with(200, "yes")}, "yes", 2, 2},
		{"a watch is no answer of its own", false, "?watch=true", []answer{{status: 200, body: broken{}}}, io.ErrUnexpectedEOF.Error(), 1, 0},
		{"never an answer", false, "", []answer{refused()}, "connection refused", 0, 1},
		{"never another answer", false, "", []answer{with(503, "busy")}, "busy", 0, 1},
		{"a first answer that is of the moment", true, "", []answer{with(429, "initializing"), with(200, "yes")}, "yes", 2, 2},
		{"a wrong address", true, "", []answer{refused()}, "connection refused", 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{answers: tc.answers}
				var said []string
				tr := &patience.Transport{Next: s, Unknown: tc.unknown, Say: func(text string) { said = append(said, text) }}
				began := time.Now()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://hub/"+tc.watch, strings.NewReader("request"))
				if err != nil {
					t.Fatal(err)
				}
				res, err := tr.RoundTrip(r)
				var got string
				if err == nil {
					var body []byte
					body, err = io.ReadAll(res.Body)
					got = string(body)
				}
				if err != nil {
					got = err.Error()
				}
				if got != tc.want || len(said) != tc.said {
					t.Errorf("got %q, said %q", got, said)
				}
				if tc.tries > 0 && len(s.bodies) != tc.tries {
					t.Errorf("%d tries", len(s.bodies))
				}
				for _, b := range s.bodies {
					if b != "request" {
						t.Errorf("a request had the body %q", b)
					}
				}
				if took := time.Since(began); tc.tries == 0 && (took < patience.Limit || took > patience.Limit+10*time.Second) {
					t.Errorf("given up after %v", took)
				}
				if err == nil && tc.tries == 0 && res.Header.Get("Retry-After") != "" {
					t.Error("client-go begins anew")
				}
			})
		})
	}
}

// A server that has answered once is known: it is waited for.
func TestKnownOnceItAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &patience.Transport{Unknown: true, Next: &server{answers: []answer{with(200, ""), refused(), with(200, "")}}}
		for range 2 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hub/", nil)
			if err == nil {
				_, err = tr.RoundTrip(r)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tr := &patience.Transport{Next: &server{answers: []answer{refused()}}}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://hub/", nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := tr.RoundTrip(r); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
