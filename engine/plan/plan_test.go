package plan_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

const head = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: test}\n"

// load reads a plan that must be valid; the head is added.
func load(t *testing.T, body string) *plan.Plan {
	t.Helper()
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + body), Kinds: kinds(), Connections: connections()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func guide(t *testing.T) *plan.Plan {
	t.Helper()
	file := filepath.Join(plans, "valid-guide.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Load(input(file, data))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outputs serves outputs from a map, as a run does.
func outputs(m map[string]any) func(string) (any, bool) {
	return func(id string) (any, bool) { v, ok := m[id]; return v, ok }
}

func guideOutputs() map[string]any {
	return map[string]any{
		"init": initOutputs{RootToken: engine.NewSecret("hvs.root"), Version: "1.20.4"},
		"root": &rootOutputs{Certificate: "PEM", Ready: true, Serials: []string{"4a", "e7"}, Port: 8443,
			Labels: map[string]string{"app": "x"}, Names: names{Common: "Root CA Lab"}},
	}
}

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

func TestNeeds(t *testing.T) {
	p := guide(t)
	got := map[string][]string{}
	for _, s := range p.Steps {
		got[s.ID] = s.Needs
	}
	want := map[string][]string{"vault": {}, "init": {"vault"}, "root": {"init"}, "site": {"root"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var edges []string
	for _, e := range p.Edges() {
		edges = append(edges, fmt.Sprintf("%s -> %s %s %d:%d", e.From, e.To, e.Ref, e.Position.Line, e.Position.Column))
	}
	wantEdges := []string{
		"init -> vault  23:13",
		"root -> init  27:13",
		"site -> root ${steps.root.ready} 37:35",
	}
	if d := cmp.Diff(wantEdges, edges); d != "" {
		t.Error(d)
	}
	refs := p.Step("root").Refs
	wantRefs := []plan.Ref{{
		Step: "init", Output: "rootToken", Input: "vault.token", Text: "${steps.init.rootToken}", Secret: true,
		Position: source.Position{File: p.File, Line: 16, Column: 12},
	}}
	if d := cmp.Diff(wantRefs, refs); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{0, 1, 2, 3}, p.Graph().Order()); d != "" {
		t.Error(d)
	}
}

func TestPolicy(t *testing.T) {
	p := load(t, `
vars: {slow: 10m}
steps:
  - {id: default, uses: pkiRoot, with: {commonName: x}}
  - {id: unset, uses: vaultInit}
  - id: own
    uses: pkiRoot
    timeout: ${vars.slow}
    retry: {attempts: 0, delay: 1m, backoff: 1.5, jitter: 0}
    with: {commonName: x}
`)
	quick := engine.DefaultPolicy()
	quick.Attempts = 7
	want := map[string]engine.Policy{
		"default": quick,
		"unset":   engine.DefaultPolicy(),
		"own":     {Timeout: 600e9, Attempts: 0, Delay: 60e9, Backoff: 1.5, MaxDelay: 60e9, Jitter: 0},
	}
	for id, want := range want {
		if d := cmp.Diff(want, p.Step(id).Policy); d != "" {
			t.Errorf("%s: %s", id, d)
		}
	}
}

func TestConnectionsFillGaps(t *testing.T) {
	p := load(t, `
connections:
  kubernetes: {kubeconfig: kube/config, context: "${plan.name}"}
  vault:
    service: {namespace: vault, name: vault, port: 8200}
    serverName: vault.internal
    token: ${steps.init.rootToken}
steps:
  - {id: init, uses: vaultInit, with: {vault: {service: {port: 9200}}}}
  - {id: one, uses: pkiRoot, with: {commonName: x}}
  - {id: two, uses: pkiRoot, with: {commonName: x, vault: {service: {name: other}, token: own-token}}}
  - {id: three, uses: pkiRoot, with: {commonName: x, vault: {token: null, serverName: ""}}}
  - {id: four, uses: helmInstall, with: {chart: x}}
`)
	out := outputs(map[string]any{"init": initOutputs{RootToken: engine.NewSecret("hvs.root")}})
	conn := func(id string) connection {
		spec, err := p.Step(id).Spec(out)
		if err != nil {
			t.Fatal(err)
		}
		return spec.(*root).Vault
	}
	spec, err := p.Step("init").Spec(out)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(server{Service: serviceRef{"vault", "vault", 9200}, TLSServer: "vault.internal"}, spec.(*initialise).Vault); d != "" {
		t.Error("init:", d)
	}
	full := server{Service: serviceRef{"vault", "vault", 8200}, TLSServer: "vault.internal"}
	other := full
	other.Service.Name = "other"
	unnamed := full
	unnamed.TLSServer = ""
	for id, want := range map[string]connection{
		"one":   {full, engine.NewSecret("hvs.root")},
		"two":   {other, engine.NewSecret("own-token")},
		"three": {unnamed, engine.Secret{}},
	} {
		if d := cmp.Diff(want, conn(id), cmp.AllowUnexported(connection{})); d != "" {
			t.Errorf("%s: %s", id, d)
		}
	}
	needs := map[string][]string{}
	for _, s := range p.Steps {
		needs[s.ID] = s.Needs
	}
	if d := cmp.Diff(map[string][]string{"init": {}, "one": {"init"}, "two": {}, "three": {}, "four": {}}, needs); d != "" {
		t.Errorf("only steps that use the token need init: %s", d)
	}
	k, at := p.Connection("kubernetes")
	if d := cmp.Diff(&cluster{Kubeconfig: "kube/config", Context: "test"}, k); d != "" || at.String() != "plan.yaml:6:15" {
		t.Errorf("%s at %v", d, at)
	}
}

// Users of Vault beside the steps get the same connection as they do.
func TestVaultBesideTheSteps(t *testing.T) {
	p := load(t, `
connections: {vault: {service: {name: other}, token: "${steps.init.rootToken}"}}
steps: [{id: init, uses: vaultInit}]
`)
	got := connection{server: server{Service: serviceRef{"vault", "vault", 8200}}}
	err := p.Connect("vault", &got, outputs(map[string]any{"init": initOutputs{RootToken: engine.NewSecret("hvs.root")}}))
	want := connection{server{Service: serviceRef{"vault", "other", 8200}}, engine.NewSecret("hvs.root")}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(connection{})); d != "" || err != nil || !p.Connects("vault", "token") {
		t.Error(d, err)
	}
	err = p.Connect("vault", &got, outputs(nil))
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "connections.vault.token: ${steps.init.rootToken}: step init has no outputs") {
		t.Errorf("without outputs: %v", err)
	}
	without := load(t, "steps: [{id: init, uses: vaultInit}]")
	if err := without.Connect("vault", &got, outputs(nil)); err != nil || without.Connects("vault", "token") {
		t.Errorf("without a connection: %v", err)
	}
}

// TestConnectionsElsewhere: a step that gives the place of Vault in one way does not get the
// other way from the connections.
func TestConnectionsElsewhere(t *testing.T) {
	for _, tt := range []struct{ connections, own, want string }{
		{"{address: http://shared}", "{service: {name: own}}", "{Address: Service:{Namespace: Name:own Port:0}"},
		{"{service: {name: shared}}", "{address: http://own}", "{Address:http://own Service:{Namespace: Name: Port:0}"},
		{"{service: {name: shared}}", "{service: {port: 1}}", "{Address: Service:{Namespace: Name:shared Port:1}"},
		{"{address: http://shared}", "{serverName: x}", "{Address:http://shared Service:{Namespace: Name: Port:0}"},
	} {
		p := load(t, "connections: {vault: "+tt.connections+"}\nsteps: [{id: a, uses: vaultInit, with: {vault: "+tt.own+"}}]")
		spec, err := p.Step("a").Spec(outputs(nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v", spec.(*initialise).Vault); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s and %s: got %s, want %s", tt.connections, tt.own, got, tt.want)
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

func TestVariables(t *testing.T) {
	file := filepath.Join(plans, "valid-var-file.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Load(input(file, data))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"domain": "flag.local", "ports": []any{80, 443}, "token": engine.NewSecret("hvs.from-a-file"), "debug": true, "size": 204,
	}
	if d := cmp.Diff(want, p.Vars); d != "" {
		t.Error(d)
	}
	if got := fmt.Sprintf("%+v %#v", p.Vars, p.Secrets()); strings.Contains(got, "hvs.") {
		t.Errorf("a secret is shown: %s", got)
	}
	if s := p.Secrets(); len(s) != 2 || s[0].Reveal() != "Bearer hvs.from-a-file" || s[1].Reveal() != "hvs.from-a-file" {
		t.Errorf("%d secrets", len(s))
	}
	spec, err := p.Step("site").Spec(outputs(nil))
	if err != nil {
		t.Fatal(err)
	}
	got := spec.(*probe)
	if got.URL != "https://flag.local:443" || got.Token.Reveal() != "Bearer hvs.from-a-file" || got.Expect.Status != 204 {
		t.Errorf("got %+v", got)
	}
}

func TestWhen(t *testing.T) {
	const body = `
vars: {env: prod, count: 3, on: true, off: false}
steps:
  - {id: root, uses: pkiRoot, with: {commonName: x}}
  - id: next
    uses: pkiRoot
    when: %s
    with: {commonName: x}
`
	out := guideOutputs()
	for _, tt := range []struct {
		when        string
		want, known bool
	}{
		{`true`, true, true},
		{`"false"`, false, true},
		{`${vars.on}`, true, true},
		{`'!${vars.on}'`, false, true},
		{`'! ! ${vars.on}'`, true, true},
		{`${vars.env} == "prod"`, true, true},
		{`${vars.env} != 'prod'`, false, true},
		{`"prod" == ${vars.env}`, true, true}, // YAML ends the scalar after "prod"
		{`${vars.count} == 3 && ${vars.on}`, true, true},
		{`${vars.count} == 3.0`, true, true},
		{`${vars.on} == true`, true, true},
		{`${vars.off} || ${vars.on} && ${vars.off}`, false, true},
		{`(${vars.off} || ${vars.on}) && !${vars.off}`, true, true},
		{`${plan.name} == "test"`, true, true},
		{`${steps.root.ready}`, true, false},
		{`${steps.root.port} == 8443 && ${vars.env} == "prod"`, true, false},
		{`${steps.root.certificate} == "other"`, false, false},
		{`${steps.root.labels.app} == ${vars.env}`, false, false},
		{`${steps.root.serials[1]} == "e7"`, true, false},
	} {
		t.Run(tt.when, func(t *testing.T) {
			when := tt.when
			if strings.HasPrefix(when, `"prod"`) {
				when = "'" + when + "'"
			}
			s := load(t, fmt.Sprintf(body, when)).Step("next")
			if got, known := s.When.Known(); known != tt.known || known && got != tt.want {
				t.Errorf("Known = %v, %v; want %v, %v", got, known, tt.want, tt.known)
			}
			got, err := s.When.Eval(outputs(out))
			if err != nil || got != tt.want {
				t.Errorf("Eval = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	s := load(t, fmt.Sprintf(body, "${steps.root.ready}")).Step("next")
	var missing *plan.MissingOutputsError
	if _, err := s.When.Eval(outputs(nil)); !errors.As(err, &missing) {
		t.Errorf("without outputs: %v", err)
	}
	s = load(t, fmt.Sprintf(body, `${steps.root.labels.nope} == "x"`)).Step("next")
	if _, err := s.When.Eval(outputs(out)); !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("unknown key: %v", err)
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
}

func TestSelect(t *testing.T) {
	p := load(t, `
steps:
  - {id: vault, uses: helmInstall, with: {chart: vault}}
  - {id: init, uses: vaultInit, needs: [vault]}
  - {id: root, uses: pkiRoot, with: {commonName: x, vault: {token: "${steps.init.rootToken}"}}}
  - {id: after, uses: helmInstall, needs: [root], with: {chart: after}}
  - {id: site, uses: curlTLS, with: {url: x, trust: "${steps.root.certificate}"}}
  - {id: never, uses: pkiRoot, when: false, with: {commonName: x}}
  - {id: on-never, uses: curlTLS, with: {url: "${steps.never.issuerID}"}}
  - {id: after-never, uses: helmInstall, needs: never, with: {chart: x}}
  - {id: other, uses: helmInstall, with: {chart: other}}
`)
	const refInit, refRoot = "refers to ${steps.init.rootToken}, and init is left out", "refers to ${steps.root.certificate}, and root is left out"
	never := map[string]string{"never": "when: false", "on-never": "refers to ${steps.never.issuerID}, and never is left out"}
	const not = "not among --only and what that needs"
	for _, tt := range []struct {
		name       string
		only, skip []string
		steps      []string
		left       map[string]string
	}{
		{"all", nil, nil, []string{"vault", "init", "root", "after", "site", "after-never", "other"}, never},
		{"only one and what it needs", []string{"root"}, nil, []string{"vault", "init", "root"},
			map[string]string{"after": not, "site": not, "never": not, "on-never": not, "after-never": not, "other": not}},
		{"skip: those that refer to it follow, those that come after it do not", nil, []string{"init"},
			[]string{"vault", "after", "after-never", "other"},
			map[string]string{"init": "--skip", "root": refInit, "site": refRoot, "never": never["never"], "on-never": never["on-never"]}},
		{"skip a step that nobody refers to", nil, []string{"vault"},
			[]string{"init", "root", "after", "site", "after-never", "other"},
			map[string]string{"vault": "--skip", "never": never["never"], "on-never": never["on-never"]}},
		{"both", []string{"site", "other"}, []string{"root"}, []string{"vault", "init", "other"},
			map[string]string{"root": "--skip", "site": refRoot, "after": not, "never": not, "on-never": not, "after-never": not}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sel, err := p.Select(tt.only, tt.skip)
			if err != nil {
				t.Fatal(err)
			}
			var steps []string
			for _, s := range sel.Steps {
				steps = append(steps, s.ID)
			}
			if d := cmp.Diff(tt.steps, steps); d != "" {
				t.Error("steps:", d)
			}
			if d := cmp.Diff(tt.left, sel.Left); d != "" {
				t.Error("left:", d)
			}
		})
	}
	_, err := p.Select([]string{"rot"}, []string{"init", "x"})
	const want = `--only rot: the plan has no such step
  did you mean "root"?

--skip x: the plan has no such step
  its steps are after, after-never, init, never, on-never, other, root, site and vault`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A selection of nothing is refused, also where its needs would run.
func TestSelectNothing(t *testing.T) {
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + "steps: [{id: a, uses: vaultInit}, {id: b, uses: vaultInit, needs: [a]}]"), Kinds: kinds(), Connections: connections()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ only, skip []string }{{skip: []string{"a", "b"}}, {[]string{"b"}, []string{"b"}}, {[]string{"b"}, []string{"b", "a"}}} {
		if _, err := p.Select(c.only, c.skip); err == nil || !strings.Contains(err.Error(), "no step is left") {
			t.Errorf("--only %q --skip %q: %v", c.only, c.skip, err)
		}
	}
	for _, c := range []struct{ only, skip []string }{{}, {skip: []string{"a"}}, {[]string{"b"}, []string{"a"}}, {[]string{"a", "b"}, []string{"b"}}} {
		if _, err := p.Select(c.only, c.skip); err != nil {
			t.Errorf("--only %q --skip %q: %v", c.only, c.skip, err)
		}
	}
}

func TestNoTypedNil(t *testing.T) {
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + "steps: [{id: a, uses: vaultInit}]"), Kinds: kinds(), Connections: connections()})
	if err != nil {
		t.Fatalf("%T %v", err, err)
	}
	if _, err := p.Select(nil, nil); err != nil {
		t.Fatalf("%T %v", err, err)
	}
	if _, err := p.Steps[0].Spec(outputs(nil)); err != nil {
		t.Fatalf("%T %v", err, err)
	}
}

func TestMissingFile(t *testing.T) {
	t.Chdir(plans)
	_, err := plan.Load(plan.Input{File: "valid-guid.yaml", Kinds: kinds(), Connections: connections()})
	const want = "valid-guid.yaml: no such file or directory\n  did you mean \"valid-guide.yaml\"?"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestProblemsUnwrap(t *testing.T) {
	_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + "steps: [{id: a, uses: vaultInit, with: {shares: 0, x: 1}}]"), Kinds: kinds(), Connections: connections()})
	var one *source.Problem
	if !errors.As(err, &one) || one.Line != 4 {
		t.Errorf("got %v", err)
	}
	var all *source.Problems
	if !errors.As(err, &all) || len(all.List()) != 2 || len(all.Unwrap()) != 2 {
		t.Errorf("got %v", err)
	}
}

func TestCheckKind(t *testing.T) {
	for _, k := range kinds() {
		if err := spec.CheckKind(k); err != nil {
			t.Error(err)
		}
	}
	for name, k := range map[string]*engine.Kind{
		`kind bad: inputs: port: type chan int is not supported`: badKind[struct {
			Port chan int `yaml:"port"`
		}](),
		`unknown check "requird"`: badKind[struct {
			A string `yaml:"a" check:"requird"`
		}](),
		`check "exists" is for engine.File`: badKind[struct {
			A string `yaml:"a" check:"exists"`
		}](),
		`check "min=x": strconv.ParseFloat`: badKind[struct {
			A int `yaml:"a" check:"min=x"`
		}](),
		`check "min": a value is missing`: badKind[struct {
			A int `yaml:"a" check:"min"`
		}](),
		`a second field is called "a"`: badKind[struct {
			A int `yaml:"a"`
			B int `yaml:"a"`
		}](),
		`check "oneof=a" is for text`: badKind[struct {
			A int `yaml:"a" check:"oneof=a"`
		}](),
	} {
		if err := spec.CheckKind(k); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

// TestSource: forms of files, and the places of problems in them.
func TestSource(t *testing.T) {
	const step = "steps: [{id: a, uses: vaultInit, with: {shares: 0}}]\n"
	long := head + "steps: [{id: a, uses: curlTLS, with: {trust: \"" + strings.Repeat("x", 300) + "\", url: 5, token: \"" + strings.Repeat("y", 300) + "\"}}]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"byte order mark", "\uFEFF" + head + step, "plan.yaml:4:49: step a (vaultInit): shares: 0 is less than the minimum 1"},
		{"line breaks of Windows", strings.ReplaceAll(head+step, "\n", "\r\n"), "plan.yaml:4:49: "},
		{"line breaks of old", strings.ReplaceAll(head+step, "\n", "\r"), "plan.yaml:4:49: "},
		{"characters, not bytes", head + "steps: [{id: a, uses: curlTLS, with: {url: \"äöü€\", trust: 5}}]", "plan.yaml:4:59: "},
		{"a later line break of Unicode", head + "# \u2028\nsteps: 5\n", "plan.yaml:6:8: "},
		{"not UTF-8", head + "steps: \"\xff\"\n", "plan.yaml:4:9: not UTF-8 text"},
		{"a control character", head + "steps: \x1b[31m\n", "plan.yaml:4:1: not valid YAML: control characters are not allowed\n    3 | metadata: {name: test}\n  > 4 | steps: \uFFFD[31m\n"},
		{"empty", "", "plan.yaml:1:1: the plan is empty"},
		{"a list", "- a\n", "plan.yaml:1:1: want a plan, have a list"},
		{"a null document at the end", head + step + "---\n", "plan.yaml:4:49: "},
		{"a long line", long, "plan.yaml:4:355: step a (curlTLS): url: want text, have the number 5\n    3 | metadata: {name: test}\n  > 4 | …" +
			strings.Repeat("x", 67) + `", url: 5, token: "(secret)"}}]` + "\n      | " + strings.Repeat(" ", 76) + "^\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := plan.Load(plan.Input{Data: []byte(tt.text), Kinds: kinds(), Connections: connections()})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

// TestExplosions: a small plan cannot make a large one in memory.
func TestExplosions(t *testing.T) {
	double := func(format string) string {
		var b strings.Builder
		for i := 1; i < 40; i++ {
			fmt.Fprintf(&b, "  "+format+"\n", i, i-1, i-1)
		}
		return b.String()
	}
	const step = "steps: [{id: a, uses: vaultInit}]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"aliases", "vars:\n  v0: &v0 [x, x]\n" + double("v%[1]d: &v%[1]d [*v%[2]d, *v%[2]d]"), "aliases repeat more than"},
		{"lists of variables", "vars:\n  v0: [x, x]\n" + double(`v%[1]d: ["${vars.v%[2]d}", "${vars.v%[2]d}"]`), "more than 1000000 values"},
		{"texts of variables", "vars:\n  v0: xx\n" + double(`v%[1]d: "${vars.v%[2]d}${vars.v%[2]d}"`), "the text is longer than"},
		{"nested lists", "vars:\n  v: " + strings.Repeat("[", 20000) + "\n", "not valid YAML"},
		{"nested conditions", "steps: [{id: a, uses: vaultInit, when: \"" + strings.Repeat("(", 20000) + "\"}]\n", "too many parentheses"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			if !strings.HasPrefix(text, "steps") {
				text += step
			}
			_, err := plan.Load(plan.Input{Data: []byte(head + text), Kinds: kinds(), Connections: connections()})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.300v, want %s", err, tt.want)
			}
		})
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

// TestConversionOfOutputs: every pair of types that fits converts, and the
// others are problems before anything runs.
func TestConversionOfOutputs(t *testing.T) {
	type in struct {
		Int     int8              `yaml:"int"`
		Uint    uint16            `yaml:"uint"`
		Float   float64           `yaml:"float"`
		Text    string            `yaml:"text"`
		Pointer *string           `yaml:"pointer"`
		Bool    *bool             `yaml:"bool"`
		Wait    engine.Duration   `yaml:"wait"`
		File    engine.File       `yaml:"file"`
		Secret  engine.Secret     `yaml:"secret"`
		List    []string          `yaml:"list"`
		Map     map[string]string `yaml:"map"`
		Maps    map[string]any    `yaml:"maps"`
		Any     any               `yaml:"any"`
		Secrets []engine.Secret   `yaml:"secrets"`
	}
	kinds := append(kinds(), badKind[in]())
	text := "text"
	yes := true
	out := map[string]any{
		"root": rootOutputs{Port: 100, Certificate: "text", Ready: true, Serials: []string{"a"}, Labels: map[string]string{"k": "v"},
			Names: names{Common: "c", Alt: []string{"d"}}},
		"init": &initOutputs{RootToken: engine.NewSecret("hvs"), Lease: 60e9, Shares: []engine.Secret{engine.NewSecret("s")}, Version: "90s", Count: -1},
	}
	load := func(field, ref string) (*plan.Plan, error) {
		return plan.Load(plan.Input{Kinds: kinds, Data: fmt.Appendf(nil, "%ssteps: [{id: root, uses: pkiRoot, with: {commonName: x}}, {id: init, uses: vaultInit}, {id: b, uses: bad, with: {%s: \"${steps.%s}\"}}]", head, field, ref)})
	}
	for _, tt := range []struct {
		field, ref string
		want       any // a value, or the error as text
	}{
		{"int", "root.port", in{Int: 100}},
		{"int", "root.certificate", "want a whole number, and ${steps.root.certificate} is text"},
		{"int", "init.lease", "want a whole number, and ${steps.init.lease} is a duration"},
		{"uint", "root.port", in{Uint: 100}},
		{"uint", "init.count", "run: ${steps.init.count}: -1 is out of range"},
		{"float", "init.count", in{Float: -1}},
		{"text", "init.lease", in{Text: "1m"}},
		{"text", "root.ready", in{Text: "true"}},
		{"pointer", "root.certificate", in{Pointer: &text}},
		{"bool", "root.ready", in{Bool: &yes}},
		{"wait", "init.version", in{Wait: 90e9}},
		{"wait", "init.lease", in{Wait: 60e9}},
		{"file", "root.certificate", in{File: engine.File{Name: "text", Path: "text"}}},
		{"secret", "init.rootToken", in{Secret: engine.NewSecret("hvs")}},
		{"secret", "root.certificate", in{Secret: engine.NewSecret("text")}},
		{"secret", "root.serials", "want a secret, and ${steps.root.serials} is a list"},
		{"list", "root.serials", in{List: []string{"a"}}},
		{"list", "init.shares", "is a secret, and this input is not"},
		{"secrets", "init.shares", in{Secrets: []engine.Secret{engine.NewSecret("s")}}},
		{"map", "root.labels", in{Map: map[string]string{"k": "v"}}},
		{"map", "root.names", "want a mapping, and ${steps.root.names} is a mapping of other values"},
		{"maps", "root.labels", in{Maps: map[string]any{"k": "v"}}},
		{"maps", "root.names", in{Maps: map[string]any{"common": "c", "alt": []any{"d"}}}},
		{"any", "root.names", in{Any: map[string]any{"common": "c", "alt": []any{"d"}}}},
		{"any", "init.rootToken", "is a secret, and this input is not"},
	} {
		t.Run(tt.field+" from "+tt.ref, func(t *testing.T) {
			p, err := load(tt.field, tt.ref)
			want, wrong := tt.want.(string)
			if rest, ok := strings.CutPrefix(want, "run: "); ok && err == nil {
				want = rest
				_, err = p.Step("b").Spec(outputs(out))
			}
			if wrong {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			spec, err := p.Step("b").Spec(outputs(out))
			if err != nil {
				t.Fatal(err)
			}
			got := spec.(*bad[in]).In
			if got.File.Path != "" {
				got.File.Path = filepath.Base(got.File.Path)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
