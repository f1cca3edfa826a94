package plan_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

func TestSpec(t *testing.T) {
	p := guide(t)
	spec, err := p.Step("root").Spec(outputs(guideOutputs()))
	if err != nil {
		t.Fatal(err)
	}
	got := spec.(*root)
	want := &root{Mount: "pki", KeyType: "rsa", CommonName: "Root CA Lab", TTL: engine.Duration(87600 * 3600e9),
		Roles: []role{{Name: "web", Domains: []string{"example.local"}}}}
	want.Vault.Service = serviceRef{"vault", "vault", 8200}
	want.Vault.Token = engine.NewSecret("hvs.root")
	if d := cmp.Diff(want, got, cmp.AllowUnexported(connection{})); d != "" {
		t.Error(d)
	}

	spec, err = p.Step("site").Spec(outputs(guideOutputs()))
	if err != nil {
		t.Fatal(err)
	}
	site := &probe{URL: "https://hello.example.local:443", Trust: "PEM", Token: engine.NewSecret("hvs.from-the-environment")}
	site.Expect.Status = 200
	site.Expect.Header = map[string]string{"server": "APISIX", "x-plan": "test"}
	if d := cmp.Diff(site, spec); d != "" {
		t.Error(d)
	}
}

func TestSpecIsFreshEachTime(t *testing.T) {
	p := guide(t)
	first, err := p.Step("root").Spec(outputs(guideOutputs()))
	if err != nil {
		t.Fatal(err)
	}
	first.(*root).Roles[0].Domains[0] = "changed"
	second, err := p.Step("root").Spec(outputs(guideOutputs()))
	if err != nil {
		t.Fatal(err)
	}
	if got := second.(*root).Roles[0].Domains[0]; got != "example.local" {
		t.Errorf("a second spec shares memory with the first: %q", got)
	}
}

func TestSpecWithoutOutputs(t *testing.T) {
	p := guide(t)
	_, err := p.Step("root").Spec(outputs(nil))
	var missing *plan.MissingOutputsError
	if !errors.As(err, &missing) {
		t.Fatalf("got %v, want a MissingOutputsError", err)
	}
	if missing.Step != "init" || missing.Position.Line != 16 || errors.Is(err, engine.ErrPermanent) {
		t.Errorf("got %+v", missing)
	}
}

// TestRunTimeProblems are those that only values can show.
func TestRunTimeProblems(t *testing.T) {
	const body = `
steps:
  - id: root
    uses: pkiRoot
    with: {commonName: x}
  - id: next
    uses: %s
    with: {%s}
`
	for _, tt := range []struct{ name, kind, with, want string }{
		{"no such key", "helmInstall", `chart: "${steps.root.labels.ap}"`,
			`plan.yaml:11:20: step next (helmInstall): chart: ${steps.root.labels.ap}: output labels has no key "ap"; it has app`},
		{"list too short", "helmInstall", `chart: "${steps.root.serials[2]}"`,
			`plan.yaml:11:20: step next (helmInstall): chart: ${steps.root.serials[2]}: output serials has 2 items, so no [2]`},
		{"not a duration", "curlTLS", `url: x, every: "${steps.root.certificate}"`,
			`plan.yaml:11:28: step next (curlTLS): every: ${steps.root.certificate}: "PEM" is not a duration`},
		{"not a duration when put together", "curlTLS", `url: x, every: "${steps.root.port}x"`,
			`plan.yaml:11:27: step next (curlTLS): every: "8443x" is not a duration`},
		{"out of range", "curlTLS", `url: x, expect: {status: "${steps.root.port}"}`,
			`plan.yaml:11:37: step next (curlTLS): expect.status: 8443 is more than the maximum 599`},
		{"not among the choices", "pkiRoot", `commonName: x, keyType: "${steps.root.certificate}"`,
			`plan.yaml:11:36: step next (pkiRoot): keyType: "PEM" is not one of rsa, ec, ed25519`},
		{"empty", "curlTLS", `url: "${steps.root.issuerID}"`,
			`plan.yaml:11:17: step next (curlTLS): url: must not be empty`},
		{"no such file", "helmInstall", `chart: x, valuesFiles: ["${steps.root.certificate}"]`,
			`plan.yaml:11:36: step next (helmInstall): valuesFiles[0]: file "PEM" does not exist`},
		{"what the kind itself checks", "pkiRoot", `commonName: x, mount: "s${steps.root.names.common}"`,
			`plan.yaml:9:5: step next (pkiRoot): the mount sys belongs to Vault`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := load(t, fmt.Sprintf(body, tt.kind, tt.with))
			out := guideOutputs()["root"].(*rootOutputs)
			out.Names.Common = "ys"
			_, err := p.Step("next").Spec(outputs(map[string]any{"root": out}))
			if !errors.Is(err, engine.ErrPermanent) {
				t.Fatalf("got %v, want a permanent error", err)
			}
			got, _, _ := strings.Cut(err.Error(), "\n")
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			var problems *source.Problems
			if !errors.As(err, &problems) || len(problems.List()) != 1 {
				t.Errorf("got %v, want one problem", err)
			}
		})
	}
}

func TestConversions(t *testing.T) {
	p := load(t, `
vars: {n: 5, yes: true, ratio: 0.5, list: [a, b], map: {a: b}, wait: 30s, when: 2026-01-18}
steps:
  - {id: root, uses: pkiRoot, with: {commonName: x}}
  - {id: init, uses: vaultInit}
  - id: chart
    uses: helmInstall
    with:
      chart: ${vars.n}
      version: ${steps.root.port}
      namespace: ${vars.when}
      labels: ${steps.root.labels}
      wait: ${steps.root.ready}
      weight: ${steps.root.port}
      timeouts: ["${vars.wait}", "${vars.n}m", "${steps.init.lease}"]
      values:
        number: ${vars.n}
        text: a${vars.n}
        yes: ${vars.yes}
        ratio: ${vars.ratio}
        list: ${vars.list}
        first: ${vars.list[0]}
        map: ${vars.map}
        serials: ${steps.root.serials}
        names: ${steps.root.names}
        port: ${steps.root.port}
        lease: ${steps.init.lease}
        label: ${steps.root.labels["app"]}
        plan: ${plan.name}
        escaped: $${vars.n} and $ and ${vars.n}
        nothing: null
        8080: key
      inline: ${steps.root.port}
  - {id: probe, uses: curlTLS, with: {url: x, token: "${steps.root.port}"}}
  - {id: probe2, uses: curlTLS, with: {url: x, token: "a ${steps.init.rootToken}"}}
`)
	out := guideOutputs()
	out["init"] = initOutputs{RootToken: engine.NewSecret("hvs"), Lease: engine.Duration(3600e9)}
	spec, err := p.Step("chart").Spec(outputs(out))
	if err != nil {
		t.Fatal(err)
	}
	want := &chart{
		Name: "5", Version: "8443", Namespace: "2026-01-18", Labels: map[string]string{"app": "x"}, Wait: true, Weight: 8443,
		Timeouts: []engine.Duration{30e9, 300e9, 3600e9},
		Values: map[string]any{
			"number": 5, "text": "a5", "true": true, "ratio": 0.5, "list": []any{"a", "b"}, "first": "a",
			"map": map[string]any{"a": "b"}, "serials": []any{"4a", "e7"},
			"names": map[string]any{"common": "Root CA Lab", "alt": []any{}},
			"port":  8443, "lease": "1h", "label": "x", "plan": "test", "escaped": "${vars.n} and $ and 5", "nothing": nil, "8080": "key",
		},
		Inline: 8443,
	}
	if d := cmp.Diff(want, spec); d != "" {
		t.Error(d)
	}
	for id, want := range map[string]string{"probe": "8443", "probe2": "a hvs"} {
		spec, err := p.Step(id).Spec(outputs(out))
		if err != nil {
			t.Fatal(err)
		}
		if got := spec.(*probe).Token.Reveal(); got != want {
			t.Errorf("%s: token %q, want %q", id, got, want)
		}
	}
}

func TestFiles(t *testing.T) {
	p := load(t, `
steps:
  - {id: default, uses: vaultInit}
  - {id: own, uses: vaultInit, with: {keys: sub/keys.json}}
  - {id: absolute, uses: vaultInit, with: {keys: /tmp/keys.json}}
`)
	for id, want := range map[string]engine.File{
		"default":  {Name: "keys.json", Path: filepath.Join(p.Dir, "keys.json")},
		"own":      {Name: "sub/keys.json", Path: filepath.Join(p.Dir, "sub", "keys.json")},
		"absolute": {Name: "/tmp/keys.json", Path: "/tmp/keys.json"},
	} {
		spec, err := p.Step(id).Spec(outputs(nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, spec.(*initialise).Keys); d != "" {
			t.Errorf("%s: %s", id, d)
		}
	}
}

// shownLiteral returns literal inputs with secrets as they are shown.
func shownLiteral(v any) any {
	switch v := v.(type) {
	case engine.Secret:
		return v.String()
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = shownLiteral(e)
		}
		return out
	}
	return v
}

func TestLiteral(t *testing.T) {
	p := guide(t)
	want := map[string]any{
		"commonName": "Root CA Lab", "ttl": "87600h",
		"roles": []any{map[string]any{"name": "web", "domains": []any{"example.local"}}},
		"vault": map[string]any{"service": map[string]any{"namespace": "vault", "name": "vault", "port": 8200}, "token": "(known after init)"},
	}
	if d := cmp.Diff(any(want), shownLiteral(p.Step("root").Literal())); d != "" {
		t.Error(d)
	}
	want = map[string]any{
		"url": "https://hello.example.local:443", "trust": "(known after root)", "token": "(secret)",
		"expect": map[string]any{"status": 200, "header": map[string]any{"server": "APISIX", "x-plan": "test"}},
	}
	if d := cmp.Diff(any(want), shownLiteral(p.Step("site").Literal())); d != "" {
		t.Error(d)
	}
	p = load(t, `
steps:
  - {id: a, uses: vaultInit}
  - {id: b, uses: curlTLS, with: {url: "https://${steps.a.version}/x", token: in-the-plan}}
`)
	want = map[string]any{"url": "https://(known after a)/x", "token": "(secret)"}
	if d := cmp.Diff(any(want), shownLiteral(p.Step("b").Literal())); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]any{}, p.Step("a").Literal()); d != "" {
		t.Error(d)
	}
}

func TestDraft(t *testing.T) {
	spec, unknown := guide(t).Step("site").Draft()
	if got := spec.(*probe); got.URL != "https://hello.example.local:443" || got.Trust != "" {
		t.Errorf("got %+v", got)
	}
	if d := cmp.Diff([]string{"trust"}, unknown); d != "" {
		t.Error(d)
	}
}

func TestPositionOf(t *testing.T) {
	p := guide(t)
	for _, tt := range []struct{ step, path, want string }{
		{"site", "", "35:5"},
		{"site", "url", "39:12"},
		{"site", "expect.status", "42:24"},
		{"site", "expect.header.server", "42:46"},
		{"site", `expect.header["x-plan"]`, "42:62"},
		{"site", "expect.nothing", "42:15"},
		{"site", "nothing", "39:7"},
		{"site", "when", "37:11"},
		{"root", "roles[0].domains", "34:32"},
		{"root", "roles[7].domains", "34:9"},
		{"root", "vault.token", "16:12"},
		{"root", "retry.backoff", "28:46"},
		{"init", "keys", "24:43"},
	} {
		got := p.Step(tt.step).PositionOf(tt.path)
		if want := p.File + ":" + tt.want; got.String() != want {
			t.Errorf("%s %s: got %s, want %s", tt.step, tt.path, got, want)
		}
	}
	p = load(t, "\nsteps:\n  - {id: none, uses: vaultInit}\n  - {id: nil, uses: vaultInit, timeout: 1m, with: ~}\n")
	for path, want := range map[string]string{"shares": "6:5 7:5", "vault.address": "6:5 7:5", "uses": "6:22 7:21", "timeout": "6:5 7:41", "": "6:5 7:5"} {
		none, empty := p.Steps[0].PositionOf(path), p.Steps[1].PositionOf(path)
		if got := fmt.Sprintf("%d:%d %d:%d", none.Line, none.Column, empty.Line, empty.Column); got != want {
			t.Errorf("%s of steps without inputs: got %s, want %s", path, got, want)
		}
	}
}

func TestDataNeeds(t *testing.T) {
	p := guide(t)
	if d := cmp.Diff([]string{"root"}, p.Step("site").DataNeeds()); d != "" {
		t.Error(d)
	}
	if got := p.Step("init").DataNeeds(); got != nil {
		t.Errorf("init only comes after vault, but refers to %v", got)
	}
}

// An output that a step uses of another that differs must be there as a whole.
func TestKnows(t *testing.T) {
	const head = `
apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
steps:
  - {id: root, uses: pkiRoot, with: {vault: {address: "https://v:8200", token: "${vars.t}"}, commonName: R}}
  - id: site
    uses: curlTLS
    `
	full := rootOutputs{
		Certificate: "PEM", Serials: []string{"1"}, Labels: map[string]string{"app": "x"}, Port: 80, Ready: true,
		Key: engine.NewSecret("k"), Names: names{Common: "R"},
	}
	for use, without := range map[string]func(*rootOutputs){
		`with: {url: "https://x", trust: "${steps.root.certificate}"}`:         func(o *rootOutputs) { o.Certificate = "" },
		`with: {url: "https://x:${steps.root.port}/${steps.root.issuerID}"}`:   func(o *rootOutputs) { o.Port = 0 },
		`with: {url: "https://x/${steps.root.serials[0]}"}`:                    func(o *rootOutputs) { o.Serials = nil },
		`with: {url: "https://x/${steps.root.labels.app}"}`:                    func(o *rootOutputs) { o.Labels = map[string]string{"other": "x"} },
		`with: {url: "https://x", expect: {header: "${steps.root.labels}"}}`:   func(o *rootOutputs) { o.Labels = map[string]string{} },
		`with: {url: "https://x", token: "${steps.root.key}"}`:                 func(o *rootOutputs) { o.Key = engine.NewSecret("") },
		`with: {url: "https://x", trust: "${steps.root.names.common}"}`:        func(o *rootOutputs) { o.Names.Common = "" },
		"when: ${steps.root.ready}\n    with: {url: \"https://x\"}":            func(o *rootOutputs) { o.Ready = false },
		"when: ${steps.root.issuerID} == \"\"\n    with: {url: \"https://x\"}": func(o *rootOutputs) { o.IssuerID = "" },
	} {
		p, err := plan.Load(plan.Input{Data: []byte(strings.Replace(head, "steps:", "vars: {t: {secret: true, default: tttt}}\nsteps:", 1) + use + "\n"), Kinds: kinds(), Connections: connections()})
		if err != nil {
			t.Fatalf("%s: %v", use, err)
		}
		site, out := p.Step("site"), full
		out.IssuerID = "id"
		if !site.Knows("root", out) || !site.Knows("root", &out) || !site.Knows("elsewhere", rootOutputs{}) {
			t.Errorf("%s: not known of %+v", use, out)
		}
		without(&out)
		if site.Knows("root", out) || site.Knows("root", nil) {
			t.Errorf("%s: known of %+v", use, out)
		}
	}
}
