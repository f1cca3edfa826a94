package plan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// FuzzLoad: reading any text ends with a plan or with problems
// whose positions are in the file, and the methods of a plan that was
// read does not panic.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(plans, "*.yaml"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: x}\nvars: {domain: x, port: \"1\"}\nsteps:\n  - {id: never, uses: pkiRoot, when: false, with: {commonName: x}}\n")
	f.Add(head + "steps:\n  - {id: init, uses: vaultInit}\n  - {id: in, include: missing.yaml, forEach: {a: x}, when: \"${vars.domain} != x\", needs: [init], with: {a: \"${each.key}\", b: \"${steps.init.version}\"}}\n  - {id: b, uses: curlTLS, with: {url: \"${steps.in[a].b}\"}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(text), Kinds: kinds(), Connections: connections(), Vars: map[string]string{"domain": "x", "port": "1"}})
		if err != nil {
			checkProblems(t, err, "plan.yaml", text)
			return
		}
		for _, s := range p.Steps {
			s.Literal()
			s.Draft()
			s.DataNeeds()
			s.PositionOf("roles[0].name")
			spec, err := s.Spec(func(id string) (any, bool) { return zeroOutputs(p.Step(id)), true })
			if err == nil && spec == nil {
				t.Fatal("neither a spec nor an error")
			}
			if err != nil {
				checkProblems(t, err, "plan.yaml", text)
			}
			if s.When != nil {
				s.When.Eval(func(id string) (any, bool) { return zeroOutputs(p.Step(id)), true })
			}
		}
		all, err := p.Select(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		// A step that would not run can leave --only without any step.
		if _, err := p.Select([]string{p.Steps[0].ID}, nil); err != nil && all.Includes(p.Steps[0].ID) {
			t.Fatal(err)
		}
	})
}

func zeroOutputs(s *plan.Step) any {
	switch s.Kind.Name {
	case "pkiRoot":
		return rootOutputs{}
	case "vaultInit":
		return initOutputs{RootToken: engine.NewSecret("x")}
	case "helmInstall":
		return &chartOutputs{}
	}
	return probeOutputs{}
}

// checkProblems makes sure that an error is problems, whose places in a file of this text
// are in the text.
func checkProblems(t *testing.T, err error, file, text string) {
	t.Helper()
	var problems *source.Problems
	if !errors.As(err, &problems) || len(problems.List()) == 0 {
		t.Fatalf("got %T %v, want problems", err, err)
	}
	count := 1
	for _, r := range strings.ReplaceAll(text, "\r\n", "\n") {
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
			count++
		}
	}
	for _, p := range problems.List() {
		if p.Summary == "" || strings.Contains(p.Summary, "\n") {
			t.Errorf("summary %q", p.Summary)
		}
		if p.File != file {
			continue
		}
		if p.Line < 1 || p.Line > count {
			t.Errorf("%v: the file has %d lines", p, count)
		}
		if p.Column > utf8.RuneCountInString(text)+1 {
			t.Errorf("%v: column outside", p)
		}
		if !utf8.ValidString(p.Text()) && utf8.ValidString(text) {
			t.Errorf("%q is not UTF-8", p.Text())
		}
	}
}

// FuzzInclude: a plan may include any text. Reading it ends with steps or with problems whose
// positions are in the text, and so it does for the text by itself.
func FuzzInclude(f *testing.F) {
	for _, body := range []string{
		appFragment, "vars: {name: , token: , version: , key: }\nsteps: [{id: in, include: part.yaml}]\n",
		"vars: {name: x, token: {secret: true}, version: , key: {required: true}}\nsteps:\n  - {id: a, uses: curlTLS, forEach: \"${vars.key}\", with: {url: \"${vars.token}\"}}\noutputs: {a: \"${steps.a}\", b: x}\n",
	} {
		f.Add(fragmentHead + body)
	}
	file := filepath.Join(f.TempDir(), "part.yaml")
	body := strings.NewReplacer("parts/app.yaml", file, "ca.pem", "fuzz_test.go").Replace(appPlan)
	in := plan.Input{File: "plan.yaml", Data: []byte(head + body), Kinds: kinds(), Connections: connections(), Env: func(string) (string, bool) { return "x", true }}
	if err := os.WriteFile(file, []byte(fragmentHead+appFragment), 0o600); err != nil {
		f.Fatal(err)
	}
	if _, err := plan.Load(in); err != nil {
		f.Fatal(err) // the first seed is one that can be included
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := plan.Load(in)
		if err != nil {
			checkProblems(t, err, file, text)
		}
		alone, err := plan.Load(plan.Input{File: file, Fragment: true, Kinds: in.Kinds, Connections: in.Connections})
		if err != nil {
			checkProblems(t, err, file, text)
		} else if !alone.Fragment && p != nil {
			t.Error("what is included is no fragment")
		}
		if p == nil {
			return
		}
		for _, s := range p.Steps {
			s.Literal()
			s.DataNeeds()
			if _, err := s.Spec(func(id string) (any, bool) { return zeroOutputs(p.Step(id)), true }); err != nil {
				checkProblems(t, err, file, text)
			}
		}
	})
}

// FuzzReference: any text may stand in an input.
func FuzzReference(f *testing.F) {
	for _, s := range []string{
		"", "$", "$$", "${", "}", "${}", "${vars.x}", "a${vars.x}b", "$${vars.x}", "${vars.list[0]}", "${vars.list[9]}", `${vars.map["a b"]}`,
		"${steps.root.certificate}", "${steps.root.labels.app}", "${steps.root.serials[0]}", "${steps.root.names.alt[1]}", "${steps.root}",
		"${plan.name}", "${plan}", "${ vars.x }", "${vars.x", "${vars..x}", "${vars.x[}", `${vars.x["}`, "${vars.x\n}", "${steps.init.rootToken}",
		"${each.key}", "${each.value}", "${vars.map[vars.x]}", "${vars.map[steps.root.port]}", `${steps.many["a"].port}`, "${steps.many[0].port}",
		"${steps.many.port}", "${steps.many[vars.list[0]].port}", "${steps.many[vars.key].port}", "${vars.list[vars.x", "${vars.list[vars]}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip("a plan is UTF-8")
		}
		const before = head + `
vars: {x: hello, key: a, list: [a, b], map: {"a b": c}}
steps:
  - {id: init, uses: vaultInit}
  - {id: root, uses: pkiRoot, with: {commonName: x}}
  - {id: many, uses: pkiRoot, forEach: {a: x, b: x}, with: {commonName: "${each.value}"}}
  - {id: site, uses: curlTLS, with: {url: x, trust: `
		data := before + quote(text) + "}}\n"
		p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(data), Kinds: kinds(), Connections: connections()})
		if err != nil {
			checkProblems(t, err, "plan.yaml", data)
			return
		}
		spec, err := p.Step("site").Spec(func(id string) (any, bool) { return zeroOutputs(p.Step(id)), true })
		if err != nil {
			checkProblems(t, err, "plan.yaml", data)
			return
		}
		// A text without references stays as it is.
		if got := spec.(*probe).Trust; !strings.Contains(text, "${") && got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	})
}

// quote writes a YAML scalar in double quotes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r >= 0x7F && r <= 0xA0 || r == 0x2028 || r == 0x2029 || r == 0xFEFF || r >= 0xFFFE && r <= 0xFFFF:
			const hex = "0123456789ABCDEF"
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hex[r>>shift&15])
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
