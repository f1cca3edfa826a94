package plan_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

// The values of a Secret that is written into a plan do not show in previews.
func TestLiteralHidesSecretObjects(t *testing.T) {
	kind := engine.NewKind("apply", engine.DefaultPolicy(), func() *applySpec { return new(applySpec) })
	for name, manifests := range map[string]string{
		"object": `{kind: Secret, metadata: {name: s}, stringData: {password: CANARY}}`,
		"list":   `[{kind: Secret, data: {password: CANARY}}, {kind: ConfigMap, data: {a: shown}}]`,
		"text":   `"kind: ConfigMap\n---\nkind: Secret\nstringData: {password: CANARY}\n"`,
		"json":   `'{"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "CANARY"}}'`,
	} {
		text := "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nsteps:\n  - id: a\n    uses: apply\n    with:\n      manifests: " + manifests + "\n"
		p, err := plan.Load(plan.Input{File: "p.yaml", Data: []byte(text), Kinds: []*engine.Kind{kind}})
		if err != nil {
			t.Fatal(err)
		}
		shown := fmt.Sprint(p.Steps[0].Literal())
		if strings.Contains(shown, "CANARY") {
			t.Errorf("%s: the secret shows: %s", name, shown)
		}
		if name == "list" && !strings.Contains(shown, "shown") {
			t.Errorf("a ConfigMap is hidden: %s", shown)
		}
	}
}

type applySpec struct {
	Manifests any `yaml:"manifests"`
}

func (*applySpec) Inspect(ctx context.Context, env *engine.Env) (struct{}, []engine.Edit, error) {
	return struct{}{}, nil, nil
}

// Values without a schema of their own are hidden by their names.
func TestLiteralHidesByName(t *testing.T) {
	kind := engine.NewKind("apply", engine.DefaultPolicy(), func() *applySpec { return new(applySpec) })
	text := "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nvars: {word: {default: CANARY}}\nsteps:\n  - id: a\n    uses: apply\n    with:\n      manifests:\n" +
		"        auth: {superuserPassword: CANARY, refreshToken: CANARY, passwords: [CANARY], pass: \"${vars.word}\"}\n" +
		"        secretName: shown1\n        existingSecret: shown2\n        tokenTTL: shown3\n        color: shown4\n"
	p, err := plan.Load(plan.Input{File: "p.yaml", Data: []byte(text), Kinds: []*engine.Kind{kind}})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprint(p.Steps[0].Literal())
	if strings.Contains(shown, "CANARY") || strings.Count(shown, "shown") != 4 {
		t.Error(shown)
	}
}
