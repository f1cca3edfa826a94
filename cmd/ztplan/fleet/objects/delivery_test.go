package objects_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
)

// A delivery is the same each time, so that a tool that delivers it again starts nothing;
// it has no credentials and nothing of another cluster.
func TestPull(t *testing.T) {
	f := fleetOf(t, 3, "pull: {namespace: jobs, serviceAccount: runner}\nretries: 3\nevidence: {to: oci, repository: registry.example.com/evidence, secret: login}\n")
	first, err := objects.Pull(f, f.Image)
	if err != nil {
		t.Fatal(err)
	}
	again, err := objects.Pull(f, f.Image)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(again)
	if len(first) != 3 || !bytes.Equal(a, b) || bytes.Contains(a, []byte("secret-")) {
		t.Errorf("%d deliveries", len(first))
	}
	for i, d := range first {
		own, _ := json.Marshal(d)
		if !bytes.Contains(own, []byte(`\"name\":\"`+d.Cluster+`\"`)) || bytes.Contains(own, []byte(`\"name\":\"`+first[(i+1)%3].Cluster+`\"`)) {
			t.Errorf("%s: %s", d.Cluster, own)
		}
		for _, o := range d.Objects {
			if m := o.(metav1.Object); m.GetNamespace() != "jobs" {
				t.Errorf("%s is in %s", m.GetName(), m.GetNamespace())
			}
		}
		job := d.Objects[len(d.Objects)-1].(*batchv1.Job)
		if job.Spec.CompletionMode != nil || job.Spec.Suspend != nil || *job.Spec.BackoffLimit != 3 || job.Spec.Template.Spec.ServiceAccountName != "runner" {
			t.Errorf("%+v", job.Spec)
		}
		if args := strings.Join(job.Spec.Template.Spec.Containers[0].Args, " "); !strings.Contains(args, "--registry=/ztplan/registry/.dockerconfigjson") {
			t.Errorf("%s", args)
		}
	}
}

// A driver may delete the Secrets of its run by name, and has no name of a wave.
func TestDriver(t *testing.T) {
	r := round(t, fleetOf(t, 3, ""))
	var secrets []string
	for _, o := range r.Objects {
		if s, ok := o.(*corev1.Secret); ok {
			secrets = append(secrets, s.Name)
		}
	}
	names := make(map[string]bool)
	for _, o := range r.Objects {
		names[o.GetObjectKind().GroupVersionKind().Kind+o.(metav1.Object).GetName()] = true
	}
	for _, o := range r.Driver() {
		m := o.(metav1.Object)
		if names[o.GetObjectKind().GroupVersionKind().Kind+m.GetName()] || len(m.GetName()) > utilvalidation.DNS1123LabelMaxLength {
			t.Errorf("name %s", m.GetName())
		}
		role, ok := o.(*rbacv1.Role)
		if !ok {
			continue
		}
		var may []string
		for _, rule := range role.Rules {
			if rule.Resources[0] == "secrets" {
				may = append(may, strings.Join(rule.Verbs, ",")+" "+strings.Join(rule.ResourceNames, ","))
			}
		}
		if want := "delete " + strings.Join(secrets, ","); len(secrets) != 2 || strings.Join(may, ";") != want {
			t.Errorf("%q, want %q", may, want)
		}
	}
}
