package member

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/patience"
)

// A request is repeated until the patience is over, at least every 20 s.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, last, longest := time.Now(), time.Now(), time.Duration(0)
		failure := errors.New("connection refused")
		err := repeat(t.Context(), func(context.Context) error {
			longest, last = max(longest, time.Since(last)), time.Now()
			return failure
		}, func(error) bool { return false })
		if took := time.Since(began); !errors.Is(err, failure) || took != patience.Limit || longest > 20*time.Second {
			t.Errorf("%v after %v, with pauses of up to %v", err, took, longest)
		}
		calls := 0
		err = repeat(t.Context(), func(context.Context) error { calls++; return failure }, func(error) bool { return true })
		if !errors.Is(err, failure) || calls != 1 {
			t.Errorf("a final answer: %v after %d calls", err, calls)
		}
	})
}
