package e2e

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// put writes a file of the working directory.
func (w *world) put(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.work, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

// planOf writes a plan with these steps, and returns the name of its file.
func (w *world) planOf(name, more string, steps ...string) string {
	w.t.Helper()
	w.put(name+".yaml", "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: "+name+"}\n"+more+"steps:\n  "+strings.Join(steps, "\n  ")+"\n")
	return name + ".yaml"
}

func configMap(name, of string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: default}, data: {of: %s}}\n", name, of)
}

// gate returns a step that is done when meanwhile is: a proof that asks a server
// which does something else first.
func (w *world) gate(t *testing.T, meanwhile func() error) string {
	t.Helper()
	var once sync.Once
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() {
			if err := meanwhile(); err != nil {
				t.Error(err)
			}
		})
	}))
	t.Cleanup(server.Close)
	w.put("gate.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return fmt.Sprintf("- {id: gate, uses: curlTLS, with: {url: \"https://example.com/\", address: %q, trustFile: gate.pem}}", server.Listener.Addr())
}

// expected runs a plan as its dry run was reviewed.
func (w *world) expected(plan string, more ...string) *outcome {
	w.t.Helper()
	review := w.do(nil, "run", plan, "--dry-run")
	must(w.t, "the review", review, 2)
	return w.do(nil, append([]string{"run", plan, "--expect", review.summary().Digest}, more...)...)
}

// of returns the value in a ConfigMap.
func (w *world) of(name string) any {
	w.t.Helper()
	data, _ := w.get("ConfigMap/default/" + name).Object["data"].(map[string]any)
	return data["of"]
}

// matches returns why the evidence of a report is not of this plan and its files.
func (w *world) matches(report, plan string) string {
	out, err := w.bare(context.Background(), "verify", report, "--plan", plan).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("the evidence is of another plan: %v\n%s", err, out)
	}
	return ""
}

// replacedInputs replaces a plan and its manifest while an earlier step waits.
func replacedInputs(t *testing.T, w *world) string {
	const name = "attack-replaced"
	w.put("m.yaml", configMap(name, "reviewed"))
	plan := w.planOf(name, "", w.gate(t, func() error {
		return errors.Join(os.WriteFile(filepath.Join(w.work, "m.yaml"), []byte(configMap(name, "replaced")), 0o600),
			os.WriteFile(filepath.Join(w.work, name+".yaml"), []byte("another plan"), 0o600))
	}), "- {id: object, uses: applyManifest, needs: [gate], with: {files: [m.yaml]}}")
	reviewed, err := os.ReadFile(filepath.Join(w.work, plan))
	if err != nil {
		return err.Error()
	}
	w.put("reviewed/"+plan, string(reviewed))
	w.put("reviewed/m.yaml", configMap(name, "reviewed"))
	w.put("reviewed/gate.pem", "")
	pem, err := os.ReadFile(filepath.Join(w.work, "gate.pem"))
	if err != nil {
		return err.Error()
	}
	w.put("reviewed/gate.pem", string(pem))
	if o := w.expected(plan, "--report", "report-replaced"); o.code != 0 {
		return o.String()
	}
	if text, _ := os.ReadFile(filepath.Join(w.work, plan)); string(text) != "another plan" {
		return "the plan was not replaced: the attack was not made"
	}
	if got := w.of(name); got != "reviewed" {
		return fmt.Sprintf("the cluster has %v", got)
	}
	return w.matches("report-replaced", "reviewed/"+plan)
}

// pipedPlan gives the plan through a pipe, which can be read once.
func pipedPlan(_ *testing.T, w *world) string {
	plan := w.planOf("attack-piped", "", "- {id: object, uses: applyManifest, with: {manifests: "+strings.TrimSpace(configMap("attack-piped", "pipe"))+"}}")
	text, err := os.ReadFile(filepath.Join(w.work, plan))
	if err == nil {
		err = syscall.Mkfifo(filepath.Join(w.work, "pipe.yaml"), 0o600)
	}
	if err != nil {
		return err.Error()
	}
	go func() { _ = os.WriteFile(filepath.Join(w.work, "pipe.yaml"), text, 0) }()
	if o := w.do(nil, "run", "pipe.yaml", "--report", "report-piped"); o.code != 0 {
		return o.String()
	}
	return w.matches("report-piped", plan)
}

// changedWorld changes an object after the review was compared, and before the step
// writes it.
func changedWorld(t *testing.T, w *world) string {
	const name = "attack-world"
	object, _ := w.object("ConfigMap/default/" + name)
	merge := func(of string) error {
		_, err := object.Patch(context.Background(), name, types.ApplyPatchType, []byte(configMap(name, of)), metav1.PatchOptions{FieldManager: harness})
		return err
	}
	if err := merge("before"); err != nil {
		return err.Error()
	}
	plan := w.planOf(name, "", w.gate(t, func() error { return merge("meanwhile") }),
		"- {id: object, uses: applyManifest, needs: [gate], with: {force: true, manifests: "+strings.TrimSpace(configMap(name, "plan"))+"}}")
	o := w.expected(plan)
	if got := w.of(name); o.code != 1 || got != "meanwhile" || !strings.Contains(strings.Join(o.differences(), "\n"), "reviewed") {
		return fmt.Sprintf("the cluster has %v, %v", got, o)
	}
	return ""
}

// changedChart makes changes that a fields-only digest would not see: a Secret's
// value, and an object without fields.
func changedChart(_ *testing.T, w *world) string {
	if err := os.CopyFS(filepath.Join(w.work, "changed"), os.DirFS("testdata/leaky")); err != nil {
		return err.Error()
	}
	plan := w.planOf("attack-chart", "", "- {id: chart, uses: helmInstall, with: {chart: ./changed, release: r, namespace: attack-chart, wait: false, values: {adminPassword: first-password}}}")
	review := w.do(nil, "run", plan, "--dry-run")
	if review.code != 2 {
		return review.String()
	}
	template := filepath.Join(w.work, "changed/templates/all.yaml")
	text, err := os.ReadFile(template)
	if err != nil {
		return err.Error()
	}
	for what, now := range map[string]string{
		"a ServiceAccount more": string(text) + "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: more}\n",
		"another Secret":        strings.Replace(string(text), "stringData:", "stringData:\n  pin: other-value-4711", 1),
	} {
		w.put("changed/templates/all.yaml", now)
		if o := w.do(nil, "run", plan, "--expect", review.summary().Digest); o.code != 1 || !strings.Contains(o.stderr, "nothing was written") {
			return what + ": " + o.String()
		}
	}
	return ""
}
