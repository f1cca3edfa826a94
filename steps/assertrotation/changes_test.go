package assertrotation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
)

// simulated is a spec whose cluster is a world.
type simulated struct {
	*assertrotation.Spec
	world func() *world
}

func (s *simulated) Prove(ctx context.Context, env *engine.Env) (assertrotation.Outputs, []engine.Finding, error) {
	return s.world().proveIn(ctx, env, s.Spec)
}

// The contract of kinds, with everything that a proof may change.
func TestContract(t *testing.T) {
	for name, make := range map[string]func(*world) *assertrotation.Spec{
		"renew":        (*world).newSpec,
		"intermediate": func(w *world) *assertrotation.Spec { w.addIntermediates(shops...); return w.intermediateSpec(shops...) },
		"restart": func(w *world) *assertrotation.Spec {
			w.addVault()
			s := w.newSpec()
			s.MaxSwitch = engine.Duration(20 * time.Second)
			s.During = &disrupt.Spec{Restart: "vault", Keys: &keyFile}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			defer w.close()
			s := make(w)
			enginetest.Run(t, enginetest.Case{
				Kind:   engine.NewProof("assertRotation", assertrotation.Kind.Policy, func() *simulated { return &simulated{} }),
				Spec:   func() any { return &simulated{s, func() *world { return w }} },
				Env:    &engine.Env{Now: time.Now, Session: new(engine.Session)},
				Writes: w.writes,
			})
		})
	}
}

func pathsOf(edits []engine.Edit) []string {
	var paths []string
	for _, e := range edits {
		paths = append(paths, e.Path)
	}
	return paths
}

// Declared changes have the values that are known before, and descriptions of the
// others.
func TestChanges(t *testing.T) {
	const asked = "Certificate/ingress-apisix/hello-cert/status/conditions/Issuing"
	w := newWorld(t, 1)
	defer w.close()
	for _, c := range []struct {
		name   string
		change func(*assertrotation.Spec)
		want   []string
	}{
		{"renew", func(*assertrotation.Spec) {}, []string{asked}},
		{"wait", func(s *assertrotation.Spec) { s.Trigger = "wait" }, nil},
		{"not known yet", func(s *assertrotation.Spec) { s.Certificate.Name = "" },
			[]string{"Certificate/ingress-apisix/(known later)/status/conditions/Issuing"}},
		{"vault", func(s *assertrotation.Spec) { s.During = &disrupt.Spec{Restart: "vault", Keys: &keyFile} },
			[]string{"Pod/vault/(app.kubernetes.io/name=vault,app.kubernetes.io/instance=vault,component=server)", "sys/seal", asked}},
		{"gateway", func(s *assertrotation.Spec) { s.During = &disrupt.Spec{Restart: "gateway", Selector: "a=b"} },
			[]string{"Pod/ingress-apisix/(a=b)", asked}},
		{"intermediate", func(s *assertrotation.Spec) { *s = *w.intermediateSpec("shop-1") },
			[]string{"pki_int/issuer/(new)", "pki_int/issuer/(old)/sign/example-dot-local", "pki_int/issuer/(new)/sign/example-dot-local",
				"pki_int/config/issuers/default", "pki_int/issuer/(old)/issuer_name", "pki_int/issuer/(new)/issuer_name", "pki_int/issuer/(old)/usage",
				"pki_int/issuer/(retired)", asked, "Certificate/ingress-apisix/shop-1/status/conditions/Issuing"}},
	} {
		s := w.newSpec()
		c.change(s)
		if d := cmp.Diff(c.want, pathsOf(assertrotation.Kind.Changes(s))); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// Each thing that is changed is an edit.
func TestEdits(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*world) *assertrotation.Spec
		want []string
	}{
		{"restart of vault", func(w *world) *assertrotation.Spec {
			w.addVault()
			s := w.newSpec()
			s.MaxSwitch = engine.Duration(20 * time.Second)
			s.During = &disrupt.Spec{Restart: "vault", Keys: &keyFile}
			return s
		}, []string{"Certificate/ingress-apisix/hello-cert/status/conditions/Issuing",
			"Pod/vault/(app.kubernetes.io/name=vault,app.kubernetes.io/instance=vault,component=server)/vault-0"}},
		{"others reissued", func(w *world) *assertrotation.Spec {
			w.addIntermediates("shop-1", "shop-2")
			return w.intermediateSpec("shop-1", "shop-2")
		},
			[]string{"Certificate/ingress-apisix/hello-cert/status/conditions/Issuing", "Certificate/ingress-apisix/shop-1/status/conditions/Issuing",
				"Certificate/ingress-apisix/shop-2/status/conditions/Issuing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				r, err := w.prove(c.make(w), 5*time.Minute)
				if err != nil || r.violated() != nil {
					t.Fatalf("error %v, violated %q", err, r.violated())
				}
				have := r.edits.Applied()
				if slices.Sort(have); !slices.Equal(have, c.want) {
					t.Errorf("edits %q, want %q", have, c.want)
				}
			})
		})
	}
}

// An edit that the run refuses, because another run has the lock or its journal
// cannot be written, is not made, and the error has the reason.
func TestARefusedEditIsTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		held := engine.Permanent(engine.WithHint(errors.New("run lock: plan p is being run by somebody"), "wait"))
		env := &engine.Env{Now: time.Now, Session: new(engine.Session), Apply: func(context.Context, engine.Edit) error { return held }}
		for _, f := range []*func(string, ...any){&env.Logf, &env.Statusf, &env.Warnf} {
			*f = func(string, ...any) {}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, _, err := w.proveIn(ctx, env, w.newSpec())
		if !errors.Is(err, held) || engine.HintOf(err) != "wait" || !strings.Contains(err.Error(), "certificate ingress-apisix/hello-cert: asking for the renewal") {
			t.Errorf("error is %v", err)
		}
		if n := w.writes(); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}
