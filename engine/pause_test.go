package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
)

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, late := time.Now(), errors.New("too late")
		if err := engine.Pause(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, late)
		defer cancel()
		began = time.Now()
		if err := engine.Pause(ctx, time.Minute); !errors.Is(err, late) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := engine.Pause(ctx, 0); !errors.Is(err, late) {
			t.Errorf("a context that has ended: %v", err)
		}
	})
}
