package plan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

func commonName(p *plan.Plan) string {
	draft, _ := p.Step("a").Draft()
	return draft.(*root).CommonName
}

// values are variables that another document gives.
func values(t *testing.T, text string) plan.Values {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	return plan.Values{File: source.NewFile("fleet.yaml", []byte(text)), Node: n.Content[0]}
}

// A plan that is read again with other variables has those, and otherwise equals the
// plan that Load returns, problems included. Its file is not read again, and the first
// plan stays.
func TestWith(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.yaml")
	const text = head + `vars: {name: {type: string, required: true}, bits: 2048}
steps:
  - {id: a, uses: pkiRoot, with: {commonName: "CA of ${vars.name}", keyBits: "${vars.bits}"}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in := plan.Input{File: file, Kinds: kinds(), Connections: connections(), Values: values(t, "{name: first}")}
	first, err := plan.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	other, err := first.With(values(t, "{name: other}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := commonName(other); got != "CA of other" {
		t.Errorf("with other variables: %q", got)
	}
	if got := commonName(first); got != "CA of first" {
		t.Errorf("the first plan has %q", got)
	}

	bad := values(t, "{nam: x, bits: \"9000\"}")
	_, err = first.With(bad)
	in.Data, in.Values = []byte(text), bad
	_, want := plan.Load(in)
	var got, wanted *source.Problems
	if !errors.As(err, &got) || !errors.As(want, &wanted) {
		t.Fatalf("%v, want %v", err, want)
	}
	if d := cmp.Diff(wanted.Error(), got.Error()); d != "" || !strings.Contains(got.Error(), "nam") {
		t.Error(d, got)
	}
}

// A plan that is read again has the fragments that the first one read: their files are not
// read again either.
func TestWithFragments(t *testing.T) {
	first, err := including(t, `
vars: {name: first}
steps: [{id: f, include: part.yaml, with: {name: "${vars.name}"}}]
`, map[string]string{"part.yaml": "vars: {name: }\nsteps: [{id: a, uses: pkiRoot, with: {commonName: \"CA of ${vars.name}\"}}]\n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(first.Dir, "part.yaml")); err != nil {
		t.Fatal(err)
	}
	other, err := first.With(values(t, "{name: other}"))
	if err != nil {
		t.Fatal(err)
	}
	if draft, _ := other.Step("f.a").Draft(); draft.(*root).CommonName != "CA of other" {
		t.Errorf("got %+v", draft)
	}
	if len(other.Fragments()) != 1 || len(other.Sources()) != 2 {
		t.Errorf("fragments %v", other.Fragments())
	}
}
