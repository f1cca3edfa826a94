package guard

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A scripted server answers with each of its responses once.
type scripted struct {
	answers []http.Response
	bodies  []string
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	s.bodies = append(s.bodies, body)
	resp := s.answers[0]
	s.answers = s.answers[1:]
	resp.Body = io.NopCloser(strings.NewReader(""))
	return &resp, nil
}

func later(status int, seconds string) http.Response {
	return http.Response{StatusCode: status, Header: http.Header{"Retry-After": {seconds}}}
}

func TestRetryAfter(t *testing.T) {
	ok := http.Response{StatusCode: http.StatusOK}
	for name, c := range map[string]struct {
		answers []http.Response
		status  int
		took    time.Duration
	}{
		"busy twice":          {[]http.Response{later(429, "2"), later(503, "3"), ok}, 200, 5 * time.Second},
		"no time is named":    {[]http.Response{{StatusCode: 503}}, 503, 0},
		"a date":              {[]http.Response{later(429, "Wed, 21 Oct 2026 07:28:00 GMT")}, 429, 0},
		"too long":            {[]http.Response{later(429, "3600")}, 429, 0},
		"longer than is left": {[]http.Response{later(429, "15"), later(429, "15"), later(429, "15"), later(429, "15")}, 429, 45 * time.Second},
		"another answer":      {[]http.Response{later(500, "1")}, 500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				server := &scripted{answers: c.answers}
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://vault/v1/x", strings.NewReader("asked"))
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				resp, err := Guard{Next: server}.patient(r)
				if err != nil || resp.StatusCode != c.status {
					t.Fatalf("%v, %v", resp, err)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				for i, body := range server.bodies {
					if body != "asked" {
						t.Errorf("request %d carried %q", i, body)
					}
				}
			})
		})
	}
}
