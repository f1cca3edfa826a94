package plan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
)

// TestOutput: the name of an output is that of a reference, and says of its value whether it
// is a secret.
func TestOutput(t *testing.T) {
	p := load(t, `
steps:
  - {id: init, uses: vaultInit}
  - {id: root, uses: pkiRoot, with: {commonName: x}}
  - {id: many, uses: pkiRoot, forEach: {a.b: 1}, with: {commonName: x}}
`)
	for name, want := range map[string]string{
		"init.version":             "init init.version",
		"init.rootToken":           "init init.rootToken secret",
		"init.shares":              "init init.shares secret",
		"init.shares[0]":           "init init.shares[0] secret",
		"root.serials[1]":          "root root.serials[1]",
		`many["a.b"].certificate`:  `many["a.b"] many["a.b"].certificate`,
		`many["a.b"].names.common`: `many["a.b"] many["a.b"].names.common`,
		`many["a.b"].key`:          `many["a.b"] many["a.b"].key secret`,

		"init.versio":           `init.versio: step init (vaultInit) has no output "versio" (did you mean "version"?)`,
		"int.version":           `int.version: there is no step "int" (did you mean "init"?)`,
		"init":                  `init names a step and no output (its outputs are count, lease, rootToken, shares and version)`,
		"":                      `"" names no output (write STEP.NAME, as in root.certificate; of an instance, 'certs["shop"].name', in single quotes for the shell)`,
		"[0].version":           `"[0].version" names no output (write STEP.NAME, as in root.certificate; of an instance, 'certs["shop"].name', in single quotes for the shell)`,
		`["init"].version`:      `"[\"init\"].version" names no output (write STEP.NAME, as in root.certificate; of an instance, 'certs["shop"].name', in single quotes for the shell)`,
		"init..version":         `"init..version" names no output (write STEP.NAME, as in root.certificate; of an instance, 'certs["shop"].name', in single quotes for the shell)`,
		"many[a.b].key":         `"many[a.b].key" names no output (write STEP.NAME, as in root.certificate; of an instance, 'certs["shop"].name', in single quotes for the shell)`,
		"${steps.init.version}": `"${steps.init.version}" names no output (write STEP.NAME, as in root.certificate; of an instance, 'certs["shop"].name', in single quotes for the shell)`,
	} {
		out, err := p.Output(name)
		var got string
		switch {
		case err != nil:
			got = fmt.Sprintf("%v (%s)", err, engine.HintOf(err))
		default:
			_, unknown := out.Value(nil)
			got = out.Step.ID + " " + name
			if unknown == nil || unknown.Error() != name+" is not known" {
				got += fmt.Sprintf(": without outputs: %v", unknown)
			}
			if out.Secret {
				got += " secret"
			}
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	out, err := p.Output("root.serials[1]")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := out.Value(rootOutputs{Serials: []string{"4a", "e7"}}); v != "e7" || err != nil {
		t.Errorf("got %v, %v", v, err)
	}
	if v, err := out.Value(&rootOutputs{Serials: []string{"4a"}}); err == nil {
		t.Errorf("of a list that is too short: %v", v)
	}
	if d := cmp.Diff([]string{"rootToken", "shares", "version", "count", "lease"}, p.Step("init").OutputNames()); d != "" {
		t.Error(d)
	}
}

// TestOutputWithinFragment: an output that a fragment does not show has the id of its step.
// It is a secret as well where it is one; what the fragment shows comes before that.
func TestOutputWithinFragment(t *testing.T) {
	p, err := including(t, "steps: [{id: f, include: a.yaml}, {id: g, include: b.yaml}]\n", map[string]string{
		"a.yaml": "steps: [{id: names, uses: pkiRoot, with: {commonName: x}}]\noutputs: {names: \"${steps.names.names}\"}\n",
		"b.yaml": "steps: [{id: in, include: a.yaml}]\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	known := rootOutputs{Certificate: "PEM", Key: engine.NewSecret("k"), Names: names{Common: "within names"}}
	for name, want := range map[string]string{
		"f.names.common":         "f.names within names",
		"f.names.names.common":   "f.names within names",
		"f.names.certificate":    "f.names PEM",
		"f.names.key":            "f.names (secret) secret",
		"g.in.names.key":         "g.in.names (secret) secret",
		"g.in.names.certificate": "g.in.names PEM",
		"g.in.names":             `g.in.names: fragment b.yaml has no output "in" (add outputs to it)`,
		"g":                      "g names a fragment and no output of it (it has none: add outputs to b.yaml)",
		"f.names.certificat":     `f.names.certificat: step f.names (pkiRoot) has no output "certificat" (did you mean "certificate"?)`,
		"f.name":                 `f.name: fragment a.yaml has no output "name" (did you mean "names"?)`,
		"f[0]":                   `f[0]: fragment a.yaml has no output "[0]" (its outputs are names)`,
	} {
		got := ""
		if out, err := p.Output(name); err != nil {
			got = fmt.Sprintf("%s (%s)", problemsOf(err)[0], engine.HintOf(err))
		} else if v, err := out.Value(known); err != nil {
			got = err.Error()
		} else if got = fmt.Sprint(out.Step.ID, " ", v); out.Secret {
			got += " secret"
		}
		if got = withoutDir(p.Dir, got); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}
