package plan_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

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

// exact has inputs with the names of both connections. An address is required.
type exact struct {
	Vault struct {
		Address string `yaml:"address" check:"required"`
		Port    int    `yaml:"port" check:"max=10"`
	} `yaml:"vault"`
	Kubernetes cluster `yaml:"kubernetes"`
}

func (*exact) Inspect(context.Context, *engine.Env) (out struct{}, edits []engine.Edit, err error) {
	return
}

func loadExact(body string) (*plan.Plan, error) {
	return plan.Load(plan.Input{
		File: "plan.yaml", Data: []byte(head + body), Connections: connections(),
		Kinds: append(kinds(), engine.NewKind("exact", engine.DefaultPolicy(), func() *exact { return new(exact) })),
	})
}

// TestConnectionsLeftOut: a connection without a value is none, and an input without a
// value gets the whole connection.
func TestConnectionsLeftOut(t *testing.T) {
	const steps = "\nsteps: [{id: a, uses: pkiRoot, with: {commonName: x, vault: null}}, {id: b, uses: vaultInit}]"
	for _, tt := range []struct{ connections, a, b string }{
		{"null", " ", " "},
		{"{}", " ", " "},
		{"{vault: null, kubernetes: null}", " ", " "},
		{"{vault: {}}", " ", " "},
		{"{vault: {token: secret, address: null}}", " secret", " "},
		{"{kubernetes: {context: x}, vault: {address: a, token: secret}}", "a secret", "a "},
	} {
		p := load(t, "connections: "+tt.connections+steps)
		a, _ := p.Step("a").Draft()
		b, _ := p.Step("b").Draft()
		got := []string{a.(*root).Vault.Address + " " + a.(*root).Vault.Token.Reveal(), b.(*initialise).Vault.Address + " "}
		if d := cmp.Diff([]string{tt.a, tt.b}, got); d != "" {
			t.Errorf("%s: %s", tt.connections, d)
		}
		v, at := p.Connection("kubernetes")
		if has := strings.Contains(tt.connections, "context"); has != (v != nil) || has != (at.Line > 0) || has != p.Connects("kubernetes", "context") {
			t.Errorf("%s: the cluster is %v at %s", tt.connections, v, at)
		}
		if has := strings.Contains(tt.connections, "address: a"); has != p.Connects("vault", "address") || p.Connects("vault", "context") {
			t.Errorf("%s: has an address: %t", tt.connections, !has)
		}
	}
}

// TestConnectionsAreChecked: what is wrong with a connection is a problem of the connection,
// whether a step uses it or not. Keys may be missing: steps add them.
func TestConnectionsAreChecked(t *testing.T) {
	const keys = " | it is a mapping; its keys are keys, shares, threshold and vault"
	for _, tt := range []struct{ text, want string }{
		{"connections: [vault]\nsteps: [{id: a, uses: vaultInit}]", "plan.yaml:4:14: connections: want a mapping, have a list"},
		{"connections: {vault: x}\nsteps: [{id: a, uses: vaultInit}]", `plan.yaml:4:22: connections.vault: want a mapping, have the text "x"`},
		{"connections: {vault: {service: {port: 0}}}\nsteps: [{id: a, uses: curlTLS, with: {url: u}}]", "plan.yaml:4:39: connections.vault.service.port: 0 is less than the minimum 1"},
		{"connections: {vault: {port: 11}}\nsteps: [{id: a, uses: curlTLS, with: {url: u}}]", "plan.yaml:4:29: connections.vault.port: 11 is more than the maximum 10"},
		{"connections: {vault: {port: 10}}\nsteps: [{id: a, uses: exact, with: {vault: {address: a}}}, {id: b, uses: vaultInit}]", "<nil>"},
		{"connections: {vault: {address: a}}\nsteps: [{id: a, uses: vaultInit, with: [1]}, {id: b, uses: vaultInit, with: x}]", "plan.yaml:5:40: step a (vaultInit): want a mapping, have a list" + keys + "\n" +
			`plan.yaml:5:77: step b (vaultInit): want a mapping, have the text "x"` + keys},
	} {
		_, err := loadExact(tt.text)
		if d := cmp.Diff(tt.want, strings.Join(problemsOf(err), "\n")); d != "" {
			t.Errorf("%s:\n%s", tt.text, d)
		}
	}
}

// TestConnectionsWithAValue: a connection that has a value of its own fills no inputs.
func TestConnectionsWithAValue(t *testing.T) {
	p, err := loadExact("connections: {kubernetes: {context: x}, vault: {port: 1}}\nsteps: [{id: a, uses: exact, with: {vault: {address: a}}}]")
	if err != nil {
		t.Fatal(err)
	}
	var want exact
	want.Vault.Address, want.Vault.Port = "a", 1
	got, _ := p.Step("a").Draft()
	if d := cmp.Diff(&want, got); d != "" {
		t.Error(d)
	}
}
