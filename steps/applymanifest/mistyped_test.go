package applymanifest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// The API server answers 500 to values of the wrong type: that will never pass.
func TestWrongTypesArePermanent(t *testing.T) {
	w := newFixture(t)
	deployment := func(env ...string) string {
		return `apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
        - name: side.car
          image: busybox:1.36
        - name: app
          image: busybox:1.36
          env:
            - ` + strings.Join(env, "\n            - ") + "\n"
	}
	for name, c := range map[string]struct {
		text, hint string
		want       []string
	}{
		"numbers": {
			deployment(`{name: PORT, value: 8080}`, `{name: DEBUG, value: true}`), `write "8080"`,
			[]string{`(m.yaml:15:`, `env[name="PORT"].value: expected string, got 8080`, `(m.yaml:16:`, `env[name="DEBUG"].value: expected string, got true`},
		},
		"twice": {
			deployment(`{name: PORT, value: "1"}`, `{name: PORT, value: "2"}`), "correct the manifest",
			[]string{`(m.yaml:16:`, `env[name="PORT"]: is there twice`},
		},
		"a text for a number": {
			strings.Replace(deployment(`{name: A, value: a}`), "spec:\n", "spec:\n  replicas: \"3\"\n", 1), "",
			[]string{"m.yaml:5:"},
		},
		"a mapping": {
			deployment(`{name: A, value: {hidden: canary}}`), "correct the manifest",
			[]string{`(m.yaml:15:`, "expected string, got a mapping"},
		},
		"a list of one": {
			"apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports: {port: 80}\n", "",
			[]string{"m.yaml:5:", "spec.ports"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := w.fails(w.step(c.text))
			if !errors.Is(err, engine.ErrPermanent) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "&value") {
				t.Errorf("error is %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v, want %q in it", err, want)
				}
			}
			if hint := engine.HintOf(err); !strings.Contains(hint, c.hint) || strings.Contains(hint, "overloaded") {
				t.Errorf("hint is %q", hint)
			}
		})
	}
}
