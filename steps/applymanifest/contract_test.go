package applymanifest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// crdText is a CustomResourceDefinition with a group of the test's own.
const crdText = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.%[1]s
spec:
  group: %[1]s
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, default: 3}
              color: {type: string}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

const objectsText = `
apiVersion: %[1]s/v1
kind: Widget
metadata: {name: first}
spec: {color: red}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app.kubernetes.io/name: test}}
data: {a: "1", b: two}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {password: %[2]s}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
`

// TestContract applies, in an order that only sorting makes work, a namespace,
// a CustomResourceDefinition, an object of it and a few others.
func TestContract(t *testing.T) {
	t.Parallel()
	env := labtest.Env(t)
	cluster, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	suffix := labtest.Unique(t)
	group := "test-" + suffix + ".ztplan.dev"
	secret := "canary-" + suffix + "-in-the-mine"

	dir := t.TempDir()
	objects := filepath.Join(dir, "objects.yaml")
	if err := os.WriteFile(objects, fmt.Appendf(nil, objectsText, group, secret), 0o600); err != nil {
		t.Fatal(err)
	}
	// A namespace is never deleted at once, so every reset takes a new one.
	round := 0
	namespace := func() string { return fmt.Sprintf("contract-%s-%d", suffix, round) }
	t.Cleanup(func() { deleteCRD(t, cluster, "widgets."+group) })

	enginetest.Run(t, enginetest.Case{
		Kind: applymanifest.Kind,
		Env:  env,
		Spec: func() any {
			spec := applymanifest.Kind.New().(*applymanifest.Spec)
			spec.Files = []engine.File{{Name: "objects.yaml", Path: objects}}
			spec.Manifests = fmt.Sprintf(crdText, group)
			spec.Namespace = namespace()
			spec.CreateNamespace = true
			return spec
		},
		Reset: func(ctx context.Context) error {
			round++
			name := namespace()
			t.Cleanup(func() { labtest.DeleteNamespace(t, env, name) })
			return removeCRD(ctx, cluster, "widgets."+group)
		},
		Secrets: []string{secret},
	})
}

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// removeCRD deletes a CustomResourceDefinition and waits until it is gone.
func removeCRD(ctx context.Context, c *kubekit.Cluster, name string) error {
	resource := c.Dynamic().Resource(crds)
	for {
		err := resource.Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		obj, err := resource.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.AwaitChange(ctx, kubekit.Watch{Ref: kubekit.RefOf(obj), ResourceVersion: obj.GetResourceVersion()}); err != nil {
			return err
		}
	}
}

func deleteCRD(t *testing.T, c *kubekit.Cluster, name string) {
	t.Helper()
	err := c.Dynamic().Resource(crds).Delete(engine.AllowWrites(context.Background()), name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Error(err)
	}
}
