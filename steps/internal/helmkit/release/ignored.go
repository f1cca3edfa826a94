package release

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// ignoredFields returns the paths of the fields of a manifest that a controller keeps
// at another value. They are not compared, because the controller would set them back.
//
//   - spec/replicas of a workload that a HorizontalPodAutoscaler scales;
//   - the CA bundle of a webhook that cert-manager's cainjector fills in;
//   - fields that a controller set last, by the records of the API server
//     (metadata.managedFields).
func ignoredFields(ctx context.Context, cluster *kubekit.Cluster, want, live *unstructured.Unstructured) (map[string]bool, error) {
	ignored := make(map[string]bool)
	owners := controllers(live)
	liveLeaves := kubefields.Flatten(live.Object)
	for path, v := range kubefields.Flatten(want.Object) {
		if manifest.Satisfies(v, liveLeaves[path]) {
			continue
		}
		switch {
		case path == "spec/replicas":
			scaled, err := autoscaled(ctx, cluster, live)
			if err != nil {
				return nil, err
			}
			ignored[path] = scaled || owners.Has(path)
		case strings.HasSuffix(path, "/caBundle"):
			ignored[path] = injected(live) || owners.Has(path)
		default:
			ignored[path] = owners.Has(path)
		}
		if !ignored[path] {
			delete(ignored, path)
		}
	}
	return ignored, nil
}

// KeptFields returns those of the ignored fields that an upgrade does not change.
// Helm would set them to the manifest's value all the same: it would scale down a
// workload under load, or empty the CA bundle of a webhook.
func KeptFields(ctx context.Context, cluster *kubekit.Cluster, before, target, live *unstructured.Unstructured) (map[string]bool, error) {
	ignored, err := ignoredFields(ctx, cluster, target, live)
	if len(ignored) == 0 || err != nil {
		return nil, err
	}
	was, want := kubefields.Flatten(before.Object), kubefields.Flatten(target.Object)
	for path := range ignored {
		if !reflect.DeepEqual(was[path], want[path]) {
			delete(ignored, path)
		}
	}
	return ignored, nil
}

// autoscaled reports whether a HorizontalPodAutoscaler scales the object.
// It is false for a user who may not list them.
func autoscaled(ctx context.Context, cluster *kubekit.Cluster, o *unstructured.Unstructured) (bool, error) {
	list, err := cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(o.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		if err := kubekit.Classify(err); !errors.Is(err, engine.ErrPermanent) {
			return false, err
		}
		return false, nil
	}
	for _, hpa := range list.Items {
		if t := hpa.Spec.ScaleTargetRef; t.Kind == o.GetKind() && t.Name == o.GetName() {
			return true, nil
		}
	}
	return false, nil
}

// injected reports whether cert-manager's cainjector fills in CA bundles.
// Source: https://cert-manager.io/docs/concepts/ca-injector/
func injected(o *unstructured.Unstructured) bool {
	for key := range o.GetAnnotations() {
		if strings.HasPrefix(key, "cert-manager.io/inject-") {
			return true
		}
	}
	return false
}

// controllerName matches the names under which controllers, as opposed to
// people and their tools, manage fields. client-go takes the name of the
// program where none is set.
var controllerName = regexp.MustCompile(`(?i)(controller|operator|manager|injector|autoscaler|scheduler|kubelet|webhook|vault-k8s|keda)`)

// controllers returns the fields of an object that controllers manage.
func controllers(o *unstructured.Unstructured) kubefields.Owned {
	return kubefields.OwnedBy(o, func(m metav1.ManagedFieldsEntry) bool {
		return controllerName.MatchString(m.Manager) && !strings.HasPrefix(m.Manager, "kubectl")
	})
}
