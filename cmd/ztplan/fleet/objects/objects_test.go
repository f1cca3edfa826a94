package objects_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// fleetOf returns a fleet with n clusters, of which the first is the canary.
func fleetOf(t testing.TB, n int, more string) *fleet.Fleet {
	t.Helper()
	dir := t.TempDir()
	ca := strings.Repeat("A", 2000)
	list := new(strings.Builder)
	for i := range n {
		config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"clusters":[{"name":"c","cluster":{"server":"https://c%d.example:6443","certificate-authority-data":%q}}],"users":[{"name":"u","user":{"token":"secret-%d"}}]}`, i, ca, i)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("k%d", i)), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		ring := "1"
		if i == 0 {
			ring = "0"
		}
		fmt.Fprintf(list, "- {name: c%d, file: k%d, labels: {ring: %q}}\n", i, i, ring)
	}
	for name, text := range map[string]string{
		"clusters.yaml": list.String(),
		"site.yaml": `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: site}
vars: {name: x}
steps:
  - {id: one, uses: applyManifest, with: {files: [one.yaml]}}
`,
		"one.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n",
		"fleet.yaml": `apiVersion: ztplan.dev/v1
kind: Fleet
metadata: {name: a-name-of-thirty-characters-ab}
plan: site.yaml
image: ghcr.io/ztplan/ztplan:v1.0.0
clusters: {file: clusters.yaml}
waves:
  - {name: canary, select: {ring: "0"}, parallel: 1}
  - {name: sixteen-letters1, parallel: 50, stop: {failures: 2%}}
` + more,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inputs := engine.NewInputs(t.Context())
	f, err := fleet.Load(fleet.Input{File: filepath.Join(dir, "fleet.yaml"), Inputs: inputs, Plan: func(file string, values plan.Values) (*plan.Plan, error) {
		return plan.Load(plan.Input{File: file, Inputs: inputs, Kinds: steps.All(), Connections: steps.Connections(), Values: values})
	}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var began = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func round(t testing.TB, f *fleet.Fleet) *objects.Round {
	t.Helper()
	r, err := objects.New(f, f.Image, began)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The objects of a run with 10,000 clusters are within the limits of the API server.
func TestLimits(t *testing.T) {
	f := fleetOf(t, 2, "")
	for i := len(f.Clusters); i < fleet.MostClusters; i++ {
		c := *f.Clusters[1]
		c.Name = fmt.Sprintf("cluster-%d.europe.example", i)
		f.Clusters = append(f.Clusters, &c)
	}
	r := round(t, f)
	const maxObject, maxName = 1 << 20, 63
	total, pod := 0, 0
	for _, o := range r.Objects {
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		total += len(data)
		name := o.(metav1.Object).GetName()
		if len(data) > maxObject {
			t.Errorf("%s has %d bytes", name, len(data))
		}
		if msgs := utilvalidation.IsDNS1123Subdomain(name); len(msgs) > 0 {
			t.Errorf("%s: %v", name, msgs)
		}
		if j, ok := o.(*batchv1.Job); ok {
			if len(name) > maxName || *j.Spec.Completions > 100_000 || *j.Spec.Parallelism > 10_000 || len(j.Spec.PodFailurePolicy.Rules) > 20 {
				t.Errorf("job %s: %d completions, %d at once", name, *j.Spec.Completions, *j.Spec.Parallelism)
			}
			template, err := json.Marshal(j.Spec.Template)
			if err != nil {
				t.Fatal(err)
			}
			pod = len(template)
		}
	}
	t.Logf("%d objects, %.1f MB; a pod has %.1f KB", len(r.Objects), float64(total)/1e6, float64(pod)/1e3)
	if pod > 16<<10 {
		t.Errorf("a pod has %d bytes, and there are 10,000", pod)
	}
}

// A cluster's credentials are in Secrets only, and nothing else shows them.
func TestCredentials(t *testing.T) {
	r := round(t, fleetOf(t, 3, ""))
	secrets := 0
	for _, o := range r.Objects {
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := o.(*corev1.Secret); ok {
			secrets += len(s.Data)
			continue
		}
		for _, form := range []string{"secret-", "c2VjcmV0L"} { // in base64 as well
			if bytes.Contains(data, []byte(form)) {
				t.Errorf("%s shows a credential", o.(metav1.Object).GetName())
			}
		}
	}
	if secrets != 3 {
		t.Errorf("%d kubeconfigs", secrets)
	}
}

// With keyless access nothing is stored, and a pod may ask for tokens of its own wave's
// ServiceAccount only.
func TestKeyless(t *testing.T) {
	r := round(t, fleetOf(t, 3, "access: {keyless: {audience: \"${cluster.name}\"}}\n"))
	for _, o := range r.Objects {
		switch o := o.(type) {
		case *corev1.Secret:
			t.Errorf("Secret %s", o.Name)
		case *rbacv1.Role:
			for _, rule := range o.Rules {
				for _, verb := range rule.Verbs {
					switch what := strings.Join(rule.Resources, ",") + " " + verb + " " + strings.Join(rule.ResourceNames, ","); what {
					case "jobs get ", "pods list ", "configmaps create ", "serviceaccounts/token create " + o.Name:
					default:
						t.Errorf("Role %s allows %s", o.Name, what)
					}
				}
			}
		}
	}
}

// The pods fit the restricted Pod Security Standard, and a container sees the entry of
// its own cluster only.
func TestPod(t *testing.T) {
	r := round(t, fleetOf(t, 3, ""))
	job := r.Objects[len(r.Objects)-1].(*batchv1.Job)
	pod := job.Spec.Template.Spec
	c := pod.Containers[0]
	if !*pod.SecurityContext.RunAsNonRoot || *c.SecurityContext.AllowPrivilegeEscalation || c.SecurityContext.Capabilities.Drop[0] != "ALL" || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%+v, %+v", pod.SecurityContext, c.SecurityContext)
	}
	for _, m := range c.VolumeMounts {
		if (m.Name == "clusters" || m.Name == "access") && m.SubPathExpr != "$(JOB_COMPLETION_INDEX)" {
			t.Errorf("volume %s is mounted whole", m.Name)
		}
	}
	if !*job.Spec.Suspend || *job.Spec.PodReplacementPolicy != batchv1.Failed || pod.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("%+v", job.Spec)
	}
}

// The same fleet has the same objects, and each run a name of its own.
func TestNames(t *testing.T) {
	f := fleetOf(t, 3, "")
	a, b := round(t, f), round(t, f)
	other, err := objects.New(f, f.Image, began.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if a.Record.ID != b.Record.ID || a.Record.ID == other.Record.ID || a.Record.Digest != other.Record.Digest {
		t.Errorf("%s, %s, %s", a.Record.ID, b.Record.ID, other.Record.ID)
	}
	next, err := objects.Resume(f, a.Record, f.Clusters[1:2], []byte("bundle"), []byte("document"))
	if err != nil {
		t.Fatal(err)
	}
	var jobs []string
	for _, o := range next.Objects {
		if j, ok := o.(*batchv1.Job); ok {
			jobs = append(jobs, fmt.Sprintf("%s of %d", j.Name, *j.Spec.Completions))
		}
	}
	if want := fmt.Sprintf("[%s-%s-r1-sixteen-letters1 of 1]", f.Metadata.Name, a.Record.ID); fmt.Sprint(jobs) != want {
		t.Errorf("%v, want %s", jobs, want)
	}
	if w := next.Record.Waves; len(w) != 2 || w[0].Clusters != 0 || w[1].Failures != a.Record.Waves[1].Failures {
		t.Errorf("%+v", w)
	}
}

func TestBundle(t *testing.T) {
	files := map[string][]byte{"site.yaml": []byte("a"), "values/prod.yaml": []byte("b")}
	bundle, err := objects.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := objects.Unpack(bundle, dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	again, err := objects.Pack(files)
	if err != nil || !bytes.Equal(again, bundle) {
		t.Errorf("the same files have another bundle: %v", err)
	}
	big := make([]byte, 4<<20)
	_, _ = rand.Read(big) // never fails
	if _, err := objects.Pack(map[string][]byte{"big": big}); err == nil || !strings.Contains(err.Error(), "a ConfigMap takes at most") {
		t.Errorf("too large: %v", err)
	}
}

// A bundle is from the hub: it cannot write outside of the pod's folder.
func TestBundleStaysInside(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "plan")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	bundle, err := objects.Pack(map[string][]byte{"../escaped": []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if err := objects.Unpack(bundle, dir); err == nil {
		t.Error("unpacked")
	}
	if _, err := os.Stat(filepath.Join(outside, "escaped")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file outside: %v", err)
	}
}

// The failure policy follows the table of exit codes.
func TestFailurePolicy(t *testing.T) {
	for mode, want := range map[string]string{
		"run":    "DisruptionTarget Ignore, [130] Ignore, [4] FailIndex, [3] FailJob",
		"status": "DisruptionTarget Ignore, [130] Ignore, [4] FailIndex, [3] FailJob, [2] FailIndex",
	} {
		r := round(t, fleetOf(t, 2, "mode: "+mode+"\n"))
		var got []string
		for _, rule := range r.Objects[len(r.Objects)-1].(*batchv1.Job).Spec.PodFailurePolicy.Rules {
			on := ""
			if rule.OnExitCodes != nil {
				on = fmt.Sprint(rule.OnExitCodes.Values)
			}
			for _, c := range rule.OnPodConditions {
				on = string(c.Type)
			}
			got = append(got, on+" "+string(rule.Action))
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s: %s", mode, s)
		}
	}
	if record.ExitHeld != 4 {
		t.Error("the exit code of held clusters is a contract")
	}
}
