package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// A State is the state of the objects of a release in the cluster.
type State struct {
	cluster *kubekit.Cluster
	release *Release
	objects []*unstructured.Unstructured // as the manifest has them
	have    []kubekit.Status             // in the same order
}

// Look reads every object of the release's manifest, all at once.
func (r *Release) Look(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster) (*State, error) {
	objects, err := engine.Share(ctx, env.Session, "helmkit manifest "+r.ManifestDigest(),
		func(context.Context) ([]*unstructured.Unstructured, error) {
			objects, err := manifest.Objects(r.Manifest)
			for _, o := range objects {
				manifest.Normalise(o)
			}
			return objects, err
		})
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("release %s/%s: %w", r.Namespace, r.Name, err))
	}
	refs := make([]kubekit.Ref, len(objects))
	for i, o := range objects {
		refs[i] = manifest.RefIn(cluster.Mapper(), o, r.Namespace)
	}
	catalogue, err := kubekit.CatalogueOf(ctx, env)
	if err != nil {
		return nil, err
	}
	catalogue.AddCRDs(env.Step, "chart "+r.Chart+" "+r.Version, objects...)
	catalogue.AddObjects(env.Step, refs, objects)
	have, err := cluster.Status(ctx, refs...)
	if err != nil {
		return nil, fmt.Errorf("release %s/%s: %w", r.Namespace, r.Name, err)
	}
	return &State{cluster, r, objects, have}, nil
}

// Missing returns an edit for every object of the release that the cluster
// lacks. It is created again exactly as the release has it. An upgrade would do
// that too, but it would also run the hooks again and make new whatever the
// chart makes at random. Jobs and Pods that are removed when they have run to
// their end are not missed.
func (s *State) Missing() []engine.Edit {
	var edits []engine.Edit
	for i, st := range s.have {
		o := s.objects[i]
		if st.Object != nil || kubestatus.Vanishes(o) {
			continue
		}
		edits = append(edits, engine.Edit{
			Path: st.Ref.String(),
			Want: fmt.Sprintf("as in revision %d of release %s", s.release.Revision, s.release.Name),
			Apply: func(ctx context.Context) error {
				owned := o.DeepCopy()
				Own(owned, s.release.Name, s.release.Namespace)
				if st.Ref.Namespace != "" {
					owned.SetNamespace(st.Ref.Namespace)
				}
				return s.cluster.Create(ctx, owned, st.Ref.Namespace)
			},
		})
	}
	return edits
}

// Own marks an object as Helm does, so that the release may go on managing it.
func Own(o *unstructured.Unstructured, name, namespace string) {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels["app.kubernetes.io/managed-by"] = "Helm"
	annotations["meta.helm.sh/release-name"] = name
	annotations["meta.helm.sh/release-namespace"] = namespace
	o.SetLabels(labels)
	o.SetAnnotations(annotations)
}

// waitedFor are the kinds whose readiness counts: those that do the work, and those
// that requests for other kinds depend on.
var waitedFor = []string{
	"apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "apps/ReplicaSet",
	"batch/Job", "/Pod", "/ReplicationController",
	"apiextensions.k8s.io/CustomResourceDefinition", "apiregistration.k8s.io/APIService",
}

// NotReady returns an edit without Apply for everything that is not at work
// yet. kubestatus.Current decides whether an object is ready; for a StatefulSet with
// the update strategy OnDelete it is that its pods run. A webhook with the
// failure policy Fail must be able to answer: until then the API server refuses
// the objects of its rules.
func (s *State) NotReady(ctx context.Context) ([]engine.Edit, error) {
	var edits []engine.Edit
	for _, st := range s.have {
		if st.Object == nil || st.Done || !slices.Contains(waitedFor, st.Ref.GVK().Group+"/"+st.Ref.Kind) {
			continue
		}
		if st.Failed && st.Ref.Kind == "Job" {
			return nil, engine.WithHint(engine.Permanent(fmt.Errorf("%s: %s", st.Ref, st.Message)),
				"look at its pods' logs, then delete the Job: it is created again")
		}
		if st.Failed && st.Hint != "" {
			return nil, engine.WithHint(engine.Permanent(fmt.Errorf("%s: %s", st.Ref, st.Message)), st.Hint)
		}
		edits = append(edits, engine.Edit{
			Path: st.Ref.String(),
			Have: st.Message,
			Want: "ready",
			Hint: st.Hint,
			// Until it is ready, gone or given up by its controller nothing else is looked
			// at: a Deployment changes a dozen times while it starts.
			Await: func(ctx context.Context) error {
				return s.cluster.Until(ctx, st.Ref, func(st kubekit.Status) (bool, error) { return st.Done || st.Failed || st.Object == nil, nil })
			},
		})
	}
	gates, err := s.webhooks(ctx)
	return append(edits, gates...), err
}

func (s *State) await(path, have, want string, watches []kubekit.Watch) engine.Edit {
	return engine.Edit{
		Path:  path,
		Have:  have,
		Want:  want,
		Await: func(ctx context.Context) error { return s.cluster.AwaitChange(ctx, watches...) },
	}
}

// webhooks returns the obstacles of the release's webhooks.
func (s *State) webhooks(ctx context.Context) ([]engine.Edit, error) {
	var edits []engine.Edit
	services := map[kubekit.Ref][]string{}
	for _, st := range s.have {
		if st.Object == nil || st.Ref.GVK().Group != "admissionregistration.k8s.io" {
			continue
		}
		hooks, _, _ := unstructured.NestedSlice(st.Object.Object, "webhooks")
		var waiting []string
		for _, item := range hooks {
			h, _ := item.(map[string]any)
			if policy := kubefields.Text(h["failurePolicy"]); policy != "" && policy != "Fail" {
				continue
			}
			config, _ := h["clientConfig"].(map[string]any)
			service, _ := config["service"].(map[string]any)
			if service == nil {
				continue // a URL, which may have a certificate that everybody trusts
			}
			ref := kubekit.Ref{APIVersion: "v1", Kind: "Service", Namespace: kubefields.Text(service["namespace"]), Name: kubefields.Text(service["name"])}
			services[ref] = append(services[ref], kubefields.Text(h["name"]))
			if kubefields.Text(config["caBundle"]) == "" {
				waiting = append(waiting, kubefields.Text(h["name"]))
			}
		}
		if len(waiting) > 0 {
			edits = append(edits, s.await(st.Ref.String()+"/caBundle", "none yet for "+strings.Join(waiting, ", "), "set", st.Watch))
		}
	}
	for ref := range services {
		e, ready, err := s.endpoints(ctx, ref)
		if err != nil {
			return nil, err
		}
		if !ready {
			edits = append(edits, e)
		}
	}
	slices.SortFunc(edits, func(a, b engine.Edit) int { return strings.Compare(a.Path, b.Path) })
	return edits, nil
}

// endpoints asks whether a pod behind the webhook's Service is ready.
func (s *State) endpoints(ctx context.Context, service kubekit.Ref) (engine.Edit, bool, error) {
	slice := kubekit.Ref{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice", Namespace: service.Namespace}
	resource, err := s.cluster.Resource(slice.GVK(), service.Namespace)
	if err != nil {
		return engine.Edit{}, false, err
	}
	selector := "kubernetes.io/service-name=" + service.Name
	list, err := resource.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return engine.Edit{}, false, fmt.Errorf("%s: %w", service, kubekit.Classify(err))
	}
	for _, item := range list.Items {
		endpoints, _, _ := unstructured.NestedSlice(item.Object, "endpoints")
		for _, e := range endpoints {
			m, _ := e.(map[string]any)
			conditions, _ := m["conditions"].(map[string]any)
			if ready, found := conditions["ready"].(bool); ready || !found {
				return engine.Edit{}, true, nil
			}
		}
	}
	return s.await(service.String()+"/endpoints", "none is ready to answer for webhooks", "ready", []kubekit.Watch{
		{Ref: slice, Selector: selector, ResourceVersion: list.GetResourceVersion()},
	}), false, nil
}
