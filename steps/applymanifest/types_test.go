package applymanifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
)

const badDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: "3"
  invented: 1
  template:
    spec:
      containers:
        - name: app
          imagePullPolice: Always
          env:
            - {name: PORT, value: 8080}
            - {name: PORT, value: "1"}
`

// Types of fields are checked before anything is contacted, all at once.
func TestValidateTypes(t *testing.T) {
	problems := func(spec *Spec) []string {
		var p engine.Problems
		spec.Validate(&p)
		var got []string
		for _, pr := range p.List() {
			got = append(got, fmt.Sprintf("%s %d:%d %s | %s", pr.Field, pr.Line, pr.Column, pr.Message, pr.Hint))
		}
		return got
	}
	want := []string{
		`files[0] 5:3 Deployment/app: spec.replicas: expected a whole number, got a text | write 3, without quotes`,
		`files[0] 13:28 Deployment/app: spec.template.spec.containers[0].env[0].value: expected string, got 8080 | write "8080", in quotes`,
		`files[0] 11:11 Deployment/app: unknown field spec.template.spec.containers[0].imagePullPolice | did you mean imagePullPolicy? Check the spelling and the place of the field`,
		`files[0] 14:15 Deployment/app: spec.template.spec.containers[name="app"].env[name="PORT"]: is there twice | correct the manifest: kubectl explain deployment --recursive lists all fields with their types`,
	}
	if d := cmp.Diff(want, problems(withFile(t, badDeployment))); d != "" {
		t.Errorf("file (-want +got)\n%s", d)
	}
	list := "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(badDeployment), "\n", "\n  ")
	if got := problems(withFile(t, list)); len(got) != len(want) || !strings.HasPrefix(got[0], "files[0] 8:5 ") {
		t.Errorf("in a list: %q", got)
	}
	inline := Kind.New().(*Spec)
	read, _ := withFile(t, badDeployment).read()
	inline.Manifests = []any{read[0].obj.Object}
	var fields []string
	for _, p := range problems(inline) {
		field, _, _ := strings.Cut(p, " ")
		fields = append(fields, field)
	}
	if d := cmp.Diff([]string{
		"manifests[0].spec.replicas", "manifests[0].spec.template.spec.containers[0].env[0].value",
		"manifests[0].spec.template.spec.containers[0].imagePullPolice", "manifests[0].spec.template.spec.containers[0].env[1]",
	}, fields); d != "" {
		t.Errorf("inline (-want +got)\n%s", d)
	}
	text := Kind.New().(*Spec)
	text.Manifests = badDeployment
	if got := problems(text); len(got) != len(want) || !strings.Contains(got[0], "line 5 of the text: ") {
		t.Errorf("a text: %q", got)
	}
	for _, spec := range []*Spec{withFile(t, badDeployment), inline} {
		unknown := spec.UnknownFields()
		if len(unknown) != 1 || !strings.Contains(unknown[0].Message, "unknown field spec.invented") {
			t.Errorf("unknown fields: %+v", unknown)
		}
	}
}

func TestValidateSecretsAreNotShown(t *testing.T) {
	var p engine.Problems
	withFile(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: 471147}\n").Validate(&p)
	withFile(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\ndata: {a: canary!}\n").Validate(&p)
	if got := fmt.Sprint(p.List()); len(p.List()) != 2 || strings.Contains(got, "canary") || strings.Contains(got, "471147") {
		t.Error(got)
	}
}

// An object is checked against the CustomResourceDefinition beside it.
func TestValidateCustomResources(t *testing.T) {
	const crd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  names: {kind: Gadget, plural: gadgets}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, required: [size], properties: {size: {type: integer}}}}}}
---
apiVersion: example.com/v1
kind: Gadget
metadata: {name: g}
`
	for object, want := range map[string]string{
		"spec: {size: 1}":           "",
		"spec: {size: large}":       "spec.size: must be of type integer",
		"spec: {size: 1, seize: 1}": "unknown field spec.seize",
		"spec: {}":                  "spec.size: is required",
	} {
		var p engine.Problems
		withFile(t, crd+object+"\n").Validate(&p)
		if got := p.List(); len(got) != min(len(want), 1) || want != "" && (!strings.Contains(got[0].Message, want) || got[0].Line != 17) {
			t.Errorf("%s: %+v", object, got)
		}
	}
}
