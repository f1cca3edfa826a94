package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
	"github.com/ztplan/ztplan/steps/session"
)

// A run made all that this plan asked for once; things that the next version of
// the plan does not ask for are listed.
func TestRemarksOnWhatIsLeft(t *testing.T) {
	const head = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\n" +
		"connections: {vault: {token: hvs.0123456789}}\nsteps:\n"
	const (
		root = "  - id: root\n    uses: pkiRoot\n    with: {mount: pki, commonName: R, ttl: 24h}\n"
		auth = "  - id: auth\n    uses: k8sAuth\n    with: {mount: kubernetes, policies: [{name: a, paths: {x: [read]}}], " +
			"roles: [{name: a, policies: [a], audience: x}], serviceAccount: {namespace: n, name: s}}\n"
		web         = "  - id: web\n    uses: pkiIntermediate\n    with: {mount: int, commonName: I, ttl: 2h, renewBefore: 1h, roles: [{name: a, maxTTL: 1m, allowedDomains: [x.local], allowBareDomains: true}]}\n"
		webNew      = "  - id: web\n    uses: pkiIntermediate\n    with: {mount: int, commonName: I, ttl: 2h, renewBefore: 1h, roles: [{name: b, maxTTL: 1m, allowedDomains: [x.local], allowBareDomains: true}]}\n"
		authLess    = "  - id: auth\n    uses: k8sAuth\n    with: {mount: kubernetes}\n"
		authNew     = "  - id: auth\n    uses: k8sAuth\n    with: {mount: other}\n"
		authLater   = "  - id: auth\n    uses: k8sAuth\n    with: {mount: \"${steps.root.issuerId}\", roles: [{name: a, policies: [a], audience: x, serviceAccounts: [s], namespaces: [n]}]}\n"
		authThere   = "  - id: auth\n    uses: k8sAuth\n    with: {mount: \"${steps.root.mount}\"}\n"
		authOther   = "  - id: auth\n    uses: curlTLS\n    with: {url: https://example.local/, trust: system}\n"
		object      = "  - id: app\n    uses: applyManifest\n    with: {namespace: n, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}\n"
		objectElse  = "  - id: app\n    uses: applyManifest\n    with: {namespace: m, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}\n"
		objectLater = "  - id: app\n    uses: applyManifest\n    with: {namespace: \"${steps.root.issuerId}\", manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}\n"
		release     = "  - id: helm\n    uses: helmInstall\n    with: {repo: https://example.com, chart: c, version: 1.2.3, namespace: n}\n"
		releaseTo   = "  - id: helm\n    uses: helmInstall\n    with: {repo: https://example.com, chart: c, version: 1.2.3, namespace: n, release: d}\n"
	)
	made := []struct{ step, kind, path string }{
		{"root", "pkiRoot", "sys/mounts/pki"}, {"root", "pkiRoot", "pki/config/urls"},
		{"auth", "k8sAuth", "sys/auth/kubernetes"}, {"auth", "k8sAuth", "auth/kubernetes/config"},
		{"auth", "k8sAuth", "sys/policies/acl/a"}, {"auth", "k8sAuth", "auth/kubernetes/role/a"}, {"auth", "k8sAuth", "auth/kubernetes/role/a/token_ttl"},
		{"auth", "k8sAuth", "ServiceAccount/n/s"},
		{"web", "pkiIntermediate", "sys/mounts/int"}, {"web", "pkiIntermediate", "int/roles/a"}, {"web", "pkiIntermediate", "int/issuer/x/usage"},
		{"app", "applyManifest", "ConfigMap/n/a"},
		{"helm", "helmInstall", "Namespace/n"}, {"helm", "helmInstall", "release/n/c"}, {"helm", "helmInstall", "Deployment/n/c"},
	}
	a := new(app)
	a.Now = time.Now
	a.Runs = t.TempDir()
	load := func(text string) *plan.Plan {
		t.Helper()
		p, err := plan.Load(plan.Input{File: "p.yaml", Data: []byte(head + text), Kinds: steps.All(), Connections: steps.Connections()})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	where, err := a.Journals(load(root+auth+object+release+web), session.Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(where, a.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range made {
		e := engine.Event{Action: engine.ActionApplied, Step: m.step, Kind: m.kind, Path: m.path, Attempt: 1}
		if err := j.Intent(e); err != nil {
			t.Fatal(err)
		}
		if err := j.Outcome(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(engine.Summary{}); err != nil {
		t.Fatal(err)
	}
	const left = " is left alone, unless another step has it now: "
	less := func(step, what string) string {
		return "step " + step + " asks for less than before; what earlier runs made beyond that" + left + what
	}
	for _, tc := range []struct {
		name, steps string
		want        []string
	}{
		{"the same plan", root + auth + object + release + web, nil},
		{"no step", root + object + release + web, []string{
			"the plan has no step auth any more; what earlier runs made in it" + left +
				"sys/auth/kubernetes, auth/kubernetes/config, sys/policies/acl/a, auth/kubernetes/role/a, ServiceAccount/n/s (k8sAuth)"}},
		{"no role, policy and ServiceAccount", root + authLess + object + release + web, []string{
			less("auth", "sys/policies/acl/a, auth/kubernetes/role/a, ServiceAccount/n/s (k8sAuth)")}},
		{"another mount", root + authNew + object + release + web, []string{
			less("auth", "sys/auth/kubernetes, auth/kubernetes/config, sys/policies/acl/a, auth/kubernetes/role/a, ServiceAccount/n/s (k8sAuth)")}},
		{"a mount that a run will know", root + authLater + object + release + web, []string{
			less("auth", "sys/policies/acl/a, ServiceAccount/n/s (k8sAuth)")}},
		{"a mount that another step has", root + authThere + object + release + web, []string{
			less("auth", "sys/auth/kubernetes, auth/kubernetes/config, sys/policies/acl/a, auth/kubernetes/role/a, ServiceAccount/n/s (k8sAuth)")}},
		{"another kind", root + authOther + object + release + web, []string{
			less("auth", "sys/auth/kubernetes, auth/kubernetes/config, sys/policies/acl/a, auth/kubernetes/role/a, ServiceAccount/n/s (k8sAuth)")}},
		{"another namespace", root + auth + objectElse + release + web, []string{less("app", "ConfigMap/n/a (applyManifest)")}},
		{"a namespace that a run will know", root + auth + objectLater + release + web, nil},
		{"another role", root + auth + object + release + webNew, []string{less("web", "int/roles/a (pkiIntermediate)")}},
		{"another release", root + auth + object + releaseTo + web, []string{less("helm", "release/n/c (helmInstall)")}},
	} {
		if d := cmp.Diff(tc.want, a.remarks(load(tc.steps), session.Cluster{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}
