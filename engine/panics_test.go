package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

func explode() { panic("planted") }

func TestTryReturnsAPanicWithItsStack(t *testing.T) {
	err := engine.Try(func() error { explode(); return nil })
	var p *engine.PanicError
	if !errors.As(err, &p) || p.Value != "planted" || !strings.Contains(string(p.Stack), "explode") {
		t.Errorf("error %v, want the panic and where it was", err)
	}
	if !errors.Is(err, engine.ErrPermanent) || engine.HintOf(err) == "" {
		t.Errorf("permanent %v, hint %q", errors.Is(err, engine.ErrPermanent), engine.HintOf(err))
	}
	plain := errors.New("plain")
	if err := engine.Try(func() error { return plain }); err != plain {
		t.Errorf("error %v, want that of the function", err)
	}
}

// Wait panics where the result would be missing: to go on would take things that were not
// looked at for absent ones.
func TestGroupHandsAPanicToWait(t *testing.T) {
	ended := make(chan struct{})
	g := engine.Group{Panicked: func(error) { close(ended) }}
	g.Go(explode)
	g.Go(func() { <-ended })
	went := false
	err := engine.Try(func() error { g.Wait(); went = true; return nil })
	var p *engine.PanicError
	if went || !errors.As(err, &p) || !strings.Contains(string(p.Stack), "explode") {
		t.Errorf("went on %v, error %v", went, err)
	}
	var calm engine.Group
	calm.Go(func() {})
	calm.Wait()
}
