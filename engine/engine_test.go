package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
)

func TestSecretDoesNotPrint(t *testing.T) {
	const canary = "hvs.canary"
	s := engine.NewSecret(canary)
	holder := struct {
		Public  engine.Secret
		private engine.Secret
		list    []engine.Secret
	}{s, s, []engine.Secret{s}}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, s), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, &holder))
	}
	j, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(texts, string(j), string(y)) {
		if strings.Contains(text, "canary") || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret shows in %s", text)
		}
	}
	if s.Reveal() != canary || !s.Equal(engine.NewSecret(canary)) || s.Equal(engine.Secret{}) {
		t.Error("reveal or equal is wrong")
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"87600h": 87600 * time.Hour, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute,
		"30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "0s": 0, "250ms": 250 * time.Millisecond,
	} {
		d, err := engine.ParseDuration(text)
		if err != nil || d.Std() != want {
			t.Errorf("%s = %v, %v; want %v", text, d, err, want)
		}
		if again, err := engine.ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%s does not survive: %s, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "5", "h", "5 m", "1.5d", "-1d", "d", "99999999999d", "1dd"} {
		if d, err := engine.ParseDuration(text); err == nil {
			t.Errorf("%q = %v, want an error", text, d)
		}
	}
}

func TestErrorsKeepTheirText(t *testing.T) {
	base := errors.New("sealed")
	err := engine.WithHint(engine.Permanent(fmt.Errorf("pki: %w", base)), "unseal")
	if err.Error() != "pki: sealed" || !errors.Is(err, engine.ErrPermanent) || !errors.Is(err, base) || engine.HintOf(err) != "unseal" {
		t.Errorf("%v, permanent %v, hint %q", err, errors.Is(err, engine.ErrPermanent), engine.HintOf(err))
	}
	joined := fmt.Errorf("app: %w", errors.Join(err, base, engine.WithHint(base, "unseal"), engine.WithHint(base, "log in")))
	if hint := engine.HintOf(joined); hint != "unseal; log in" {
		t.Errorf("the hints of joined errors are %q", hint)
	}
	wrong := fmt.Errorf("app: %w", engine.InPlan(base))
	if wrong.Error() != "app: sealed" || !errors.Is(wrong, engine.ErrPlan) || !errors.Is(wrong, engine.ErrPermanent) || !errors.Is(wrong, base) || errors.Is(err, engine.ErrPlan) {
		t.Errorf("%v, in the plan %v, permanent %v", wrong, errors.Is(wrong, engine.ErrPlan), errors.Is(wrong, engine.ErrPermanent))
	}
	if engine.InPlan(nil) != nil || engine.Permanent(nil) != nil || engine.WithHint(nil, "x") != nil || errors.Is(base, engine.ErrPermanent) {
		t.Error("nil or unmarked errors are wrong")
	}
}

type closer struct{ closed *atomic.Int32 }

func (c closer) Close() error { c.closed.Add(1); return nil }

func TestShareOpensOnce(t *testing.T) {
	var s engine.Session
	var opened, closed atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := engine.Share(t.Context(), &s, "k", func(context.Context) (closer, error) {
				opened.Add(1)
				return closer{&closed}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil || opened.Load() != 1 || closed.Load() != 1 {
		t.Errorf("opened %d, closed %d, %v", opened.Load(), closed.Load(), err)
	}
	if _, err := engine.Share(t.Context(), &s, "k", func(context.Context) (int, error) { return 1, nil }); err == nil {
		t.Error("a closed session still shares")
	}
}

func TestOpened(t *testing.T) {
	var s engine.Session
	if v, ok := engine.Opened[string](&s, "k"); ok {
		t.Errorf("nothing was opened: %q", v)
	}
	began, finish := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := engine.Share(t.Context(), &s, "k", func(context.Context) (string, error) {
			close(began)
			<-finish
			return "value", nil
		})
		done <- err
	}()
	<-began
	if v, ok := engine.Opened[string](&s, "k"); ok {
		t.Errorf("it is being opened: %q", v)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v, ok := engine.Opened[string](&s, "k"); !ok || v != "value" {
		t.Errorf("%q, %v", v, ok)
	}
}

func TestShareForgetsErrors(t *testing.T) {
	var s engine.Session
	fail := errors.New("no")
	if _, err := engine.Share(t.Context(), &s, "k", func(context.Context) (int, error) { return 0, fail }); !errors.Is(err, fail) {
		t.Errorf("err = %v", err)
	}
	if v, err := engine.Share(t.Context(), &s, "k", func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
}
