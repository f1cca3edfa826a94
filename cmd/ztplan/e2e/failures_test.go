package e2e

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// failures reads the output of a run as an engineer who did not watch it: the block that
// closes it, the report and the results for a CI system, after failures of the real parts of
// a finished world.
func (w *world) failures(t *testing.T) {
	w.writeProof("ca.pem", w.rootCertificate())
	w.sub(t, "stale-gateway", w.staleGateway)
	w.sub(t, "wrong-trust", w.wrongTrust)
	w.sub(t, "hints", w.hints)
	w.sub(t, "interrupted", w.interruptedWait)
	w.sub(t, "sealed", w.sealedVault)
}

// staleGateway: the cause of a failed proof is shown once, with the time until which clients
// are served, and the details are behind -v.
func (w *world) staleGateway(t *testing.T) {
	w.show("secret-update-never-pushed")
	defer func() {
		w.show("")
		w.takesOver("hello.example.local", "Secret/ingress-apisix/hello-tls")
	}()
	o := w.prove("maxSwitch: 1s, maxLate: 2s, ")
	must(t, "with a gateway that does not take the Secret over", o, 1)
	fail := o.fails()[0]
	if fail.Next == "" || fail.Hint == "" || fail.Until.Before(time.Now()) || strings.Contains(fail.Error, "hops:") {
		t.Errorf("%+v", fail)
	}
	said := progress.ReplaceAllString(o.stderr, "")
	for _, text := range []string{"never reached the wire", fail.Hint, fail.Next, "served: a certificate that holds until"} {
		if n := strings.Count(said, text); n != 1 {
			t.Errorf("%q is said %d times in\n%s", text, n, o.stderr)
		}
	}
	if n := strings.Count(said, "\n"); n > 12 {
		t.Errorf("%d lines:\n%s", n, o.stderr)
	}
}

// progress are the lines that a step shows the longer it takes, and its warning that this
// machine is too busy to measure well.
var progress = regexp.MustCompile(`(?m)^(· |! .*: this machine cannot ).*\n`)

// wrongTrust: both kinds that connect have the same error for a server whose certificate
// does not lead to the trusted root.
func (w *world) wrongTrust(t *testing.T) {
	w.writeProof("other.pem", w.otherRoot())
	w.writeProof("trust.yaml", `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: trust}
steps:
  - id: site
    uses: curlTLS
    retry: {attempts: 1}
    with: {url: "https://hello.example.local", service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}, trustFile: other.pem, expect: {status: 200}}
  - id: rotation
    uses: assertRotation
    with: {settle: 2s, certificate: {namespace: ingress-apisix, name: hello-cert}, url: "https://hello.example.local",
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}, trustFile: other.pem}
`)
	o := w.do(nil, "run", "proof/trust.yaml")
	must(t, "with another root", o, 1)
	fails := o.fails()
	if len(fails) != 2 || fails[0].Error != fails[1].Error || fails[0].Hint != fails[1].Hint || !fails[0].Until.Equal(fails[1].Until) || fails[0].Until.IsZero() || !strings.Contains(fails[0].Error, "trusted is CN=Another Root") {
		t.Errorf("%v", o)
	}
}

// interruptedWait: a job that is cancelled while a step waits keeps the reason, in every
// form, and the report shows that Vault was sealed.
func (w *world) interruptedWait(t *testing.T) {
	w.lab("restart", "vault")
	defer func() {
		must(t, "the plan afterwards", w.run(), 0)
		w.look()
	}()
	manifest, err := os.ReadFile(filepath.Join(w.work, "plans", "lab", "cluster-issuer.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.writeProof("issuer.yaml", strings.Replace(string(manifest), "name: vault-issuer", "name: another-issuer", 1))
	w.writeProof("wait.yaml", `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: wait}
steps:
  - {id: issuer, uses: applyManifest, with: {files: [issuer.yaml]}}
  - {id: root, uses: pkiRoot, needs: [issuer], with: {vault: {token: hvs.none}, mount: pki, commonName: Root CA Lab, ttl: 87600h, issuerName: root-lab}}
`)
	report := filepath.Join(w.home, "interrupted")
	once := false // a second signal cuts the run off
	o := w.do(func(e engine.Event, p *os.Process) {
		if !once && e.Action == engine.ActionWait && strings.Contains(e.Message, "sealed") {
			once = true
			_ = p.Signal(syscall.SIGTERM)
		}
	}, "run", "proof/wait.yaml", "--report", report)
	must(t, "interrupted", o, 130)
	fails := o.fails()
	if len(fails) != 1 || !strings.HasPrefix(fails[0].Error, "interrupted while waiting for ClusterIssuer/another-issuer") || !strings.Contains(fails[0].Error, "sealed") ||
		!strings.Contains(fails[0].Hint, "unseal step") {
		t.Errorf("%+v", fails)
	}
	for _, name := range []string{"junit.xml", "summary.md", "report.html"} {
		b, err := os.ReadFile(filepath.Join(report, name))
		if err != nil || !strings.Contains(string(b), "interrupted while waiting for ClusterIssuer/another-issuer") {
			t.Errorf("%s does not say why: %v", name, err)
		}
		if name == "junit.xml" && xml.Unmarshal(b, new(struct{})) != nil {
			t.Errorf("%s is no XML", name)
		}
	}
	d := w.diagnosisOf(report)
	if len(d.Objects) != 1 || d.Objects[0].Object != "ClusterIssuer/another-issuer" || d.Objects[0].Done || len(d.Objects[0].Conditions) == 0 {
		t.Errorf("objects %+v, remarks %v", d.Objects, d.Remarks)
	}
	if len(d.Vaults) != 1 || !d.Vaults[0].Sealed {
		t.Errorf("Vaults %+v, remarks %v", d.Vaults, d.Remarks)
	}
	if b, err := w.bare(t.Context(), "verify", report).CombinedOutput(); err != nil || !strings.Contains(string(b), "result interrupted") {
		t.Errorf("verify: %v\n%s", err, b)
	}
}

// sealedVault: the report of a step that failed because of a sealed Vault shows its seal and
// its pod.
func (w *world) sealedVault(t *testing.T) {
	w.lab("restart", "vault")
	defer func() {
		must(t, "the plan afterwards", w.run(), 0)
		w.look()
	}()
	w.until("the cluster knows that Vault's pod is not ready", func() bool {
		list, _, _ := unstructured.NestedSlice(w.get("Pod/vault/vault-0").Object, "status", "containerStatuses")
		return slices.ContainsFunc(list, func(c any) bool {
			state, _ := c.(fields)["state"].(fields)
			return state["running"] != nil && c.(fields)["ready"] == false
		})
	})
	w.writeProof("sealed.yaml", `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: sealed}
steps:
  - {id: root, uses: pkiRoot, timeout: 20s, with: {vault: {token: hvs.none}, mount: pki, commonName: Root CA Lab, ttl: 87600h, issuerName: root-lab}}
`)
	report := filepath.Join(w.home, "refused")
	o := w.do(nil, "run", "proof/sealed.yaml", "--report", report)
	must(t, "with a sealed Vault", o, 1)
	if f := o.fails(); len(f) != 1 || !strings.Contains(f[0].Error, "vault is sealed") {
		t.Errorf("%v", o)
	}
	d := w.diagnosisOf(report)
	if len(d.Vaults) != 1 || !d.Vaults[0].Sealed || !d.Vaults[0].Initialized {
		t.Errorf("Vaults %+v, remarks %v", d.Vaults, d.Remarks)
	}
	named := func(p evidence.PodState) bool {
		return p.Name == "vault-0" && !p.Ready && p.State == "runs and is not ready"
	}
	found := false
	for _, p := range d.Pods {
		found = found || named(p)
	}
	if !found {
		t.Errorf("pods %+v, remarks %v", d.Pods, d.Remarks)
	}
}

func (w *world) diagnosisOf(report string) *evidence.Diagnosis {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(report, "evidence.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	var d evidence.Document
	if err := json.Unmarshal(b, &d); err != nil || d.Diagnosis == nil {
		w.t.Fatalf("no diagnosis: %v", err)
	}
	return d.Diagnosis
}

// fails returns the events of the steps that failed.
func (o *outcome) fails() []engine.Event {
	var out []engine.Event
	for _, e := range o.events {
		if e.Action == engine.ActionFail {
			out = append(out, e)
		}
	}
	return out
}

// otherRoot is a root that signed nothing.
func (w *world) otherRoot() string {
	w.t.Helper()
	const mount = "pki_other"
	vault := w.vault()
	if err := vault.Sys().Mount(mount, &api.MountInput{Type: "pki"}); err != nil {
		w.t.Fatal(err)
	}
	answer, err := vault.Logical().Write(mount+"/root/generate/internal", map[string]any{"common_name": "Another Root", "ttl": "24h"})
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprint(answer.Data["certificate"])
}
