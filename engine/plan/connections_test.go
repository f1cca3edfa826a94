package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
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
