package tlskit_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

func fake(name string, after time.Duration, err error) tlskit.Endpoint {
	return tlskit.NewEndpoint(name, func(ctx context.Context) (net.Conn, error) {
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		conn, other := net.Pipe()
		_ = other.Close()
		return conn, nil
	})
}

func TestDialFirst(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name      string
		endpoints []tlskit.Endpoint
		want      string // the endpoint; "" if none can be reached
		took      time.Duration
		errs      []string
	}{
		{"one", []tlskit.Endpoint{fake("a", time.Second, nil)}, "a", time.Second, nil},
		{"first answers", []tlskit.Endpoint{fake("a", 100*time.Millisecond, nil), fake("b", 0, nil)}, "a", 100 * time.Millisecond, nil},
		{"first refuses", []tlskit.Endpoint{fake("a", 0, broken), fake("b", time.Millisecond, nil)}, "b", time.Millisecond, nil},
		{"first hangs", []tlskit.Endpoint{fake("a", time.Hour, nil), fake("b", 0, nil)}, "b", 250 * time.Millisecond, nil},
		{"slow is better than none", []tlskit.Endpoint{fake("a", time.Second, nil), fake("b", 0, broken)}, "a", time.Second, nil},
		{"none", []tlskit.Endpoint{fake("a", 0, broken), fake("b", 0, broken)}, "", 0, []string{"a: connect: broken", "b: connect: broken"}},
		{"all hang", []tlskit.Endpoint{fake("a", time.Hour, nil), fake("b", time.Hour, nil)}, "", time.Minute, []string{"deadline exceeded"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				conn, e, err := tlskit.DialFirst(ctx, tt.endpoints)
				if got := time.Since(start); got != tt.took {
					t.Errorf("took %s, want %s", got, tt.took)
				}
				if tt.want != "" {
					if err != nil {
						t.Fatal(err)
					}
					_ = conn.Close()
					if e.String() != tt.want {
						t.Errorf("endpoint = %s, want %s", e, tt.want)
					}
					return
				}
				if err == nil {
					t.Fatal("connected")
				}
				for _, part := range tt.errs {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("error = %v, want it to contain %q", err, part)
					}
				}
			})
		})
	}
}
