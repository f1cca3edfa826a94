package helminstall_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	helmkitrelease "github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Views and changes of the cluster by the tests, behind the step's back.

func (w *fixture) configMap(name string) *corev1.ConfigMap {
	w.t.Helper()
	o, err := w.cluster.Client().CoreV1().ConfigMaps(w.namespace).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *fixture) secret(name string) *corev1.Secret {
	w.t.Helper()
	o, err := w.cluster.Client().CoreV1().Secrets(w.namespace).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// create makes an object of a text, in the test's namespace unless it has none or another.
func (w *fixture) create(text string) {
	w.t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		w.t.Fatal(err)
	}
	ref := manifest.RefIn(w.cluster.Mapper(), o, w.namespace)
	o.SetNamespace(ref.Namespace)
	if err := w.cluster.Create(engine.AllowWrites(w.t.Context()), o, ref.Namespace); err != nil {
		w.t.Fatal(err)
	}
}

// patchRelease sets or, with nil, removes labels of a stored release.
func (w *fixture) patchRelease(name string, labels map[string]any) {
	w.t.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.cluster.Client().CoreV1().Secrets(w.namespace).Patch(engine.AllowWrites(w.t.Context()), name,
		types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// setStatus stores another status of a revision, as Helm does.
func (w *fixture) setStatus(name string, revision int, status release.Status) {
	w.t.Helper()
	client, err := kubernetes.NewForConfig(helmkitrelease.ConfigFor(engine.AllowWrites(w.t.Context()), w.cluster))
	if err != nil {
		w.t.Fatal(err)
	}
	store := storage.Init(driver.NewSecrets(client.CoreV1().Secrets(w.namespace)))
	r, err := store.Get(name, revision)
	if err != nil {
		w.t.Fatal(err)
	}
	r.SetStatus(status, "left by the test")
	if err := store.Update(r); err != nil {
		w.t.Fatal(err)
	}
}

// await looks until ok, each time the watched object may have changed.
func (w *fixture) await(watch kubekit.Watch, ok func(context.Context) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for !ok(ctx) {
		if err := w.cluster.AwaitChange(ctx, watch); err != nil {
			w.t.Fatalf("waiting for %s: %v", watch.Ref, err)
		}
	}
}

func (w *fixture) awaitStatus(secret, status string) {
	w.t.Helper()
	ref := kubekit.Ref{APIVersion: "v1", Kind: "Secret", Namespace: w.namespace, Name: secret}
	w.await(kubekit.Watch{Ref: ref}, func(ctx context.Context) bool {
		o, err := w.cluster.Client().CoreV1().Secrets(w.namespace).Get(ctx, secret, metav1.GetOptions{})
		return err == nil && o.Labels["status"] == status
	})
}

func (w *fixture) awaitJob(name string) {
	w.t.Helper()
	ref := kubekit.Ref{APIVersion: "batch/v1", Kind: "Job", Namespace: w.namespace, Name: name}
	w.await(kubekit.Watch{Ref: ref}, func(ctx context.Context) bool {
		_, err := w.cluster.Client().BatchV1().Jobs(w.namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil
	})
}

// awaitEdits looks until the edits are as wanted, and waits between the looks
// with the first edit.
func (w *fixture) awaitEdits(s *helminstall.Spec, ok func([]engine.Edit) bool) []engine.Edit {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for {
		edits := w.edits(s)
		if ok(edits) {
			return edits
		}
		if len(edits) == 0 {
			w.t.Fatal("converged before the edits were as wanted")
		}
		if err := edits[0].Await(ctx); err != nil {
			w.t.Fatalf("edits %v: %v", paths(edits), err)
		}
	}
}

// openGate makes the webhook's Service answer and gives it a CA bundle.
func (w *fixture) openGate(service string) {
	w.t.Helper()
	ctx := engine.AllowWrites(w.t.Context())
	ready, port := true, int32(443)
	_, err := w.cluster.Client().DiscoveryV1().EndpointSlices(w.namespace).Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.99.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Port: &port}},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	patch := `[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "` + base64.StdEncoding.EncodeToString(testCA(w.t)) + `"}]`
	_, err = w.cluster.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Patch(ctx, w.namespace,
		types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) deleteWebhooks(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(engine.AllowWrites(context.Background()), 30*time.Second)
	defer cancel()
	err := w.cluster.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		w.t.Error(err)
	}
}

// deleteCRD deletes a CustomResourceDefinition and waits until it is gone.
func (w *fixture) deleteCRD(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(engine.AllowWrites(context.Background()), time.Minute)
	defer cancel()
	ref := kubekit.Ref{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition", Name: name}
	crds, err := w.cluster.Resource(ref.GVK(), "")
	if err != nil {
		w.t.Error(err)
		return
	}
	if err := crds.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		w.t.Error(err)
		return
	}
	for {
		o, err := crds.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			w.cluster.Mapper().Reset()
			return
		}
		if err == nil {
			err = w.cluster.AwaitChange(ctx, kubekit.Watch{Ref: ref, ResourceVersion: o.GetResourceVersion()})
		}
		if err != nil {
			w.t.Error(err)
			return
		}
	}
}

// testCA makes a certificate, because the API server wants a real one.
func testCA(t testing.TB) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
