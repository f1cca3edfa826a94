package applymanifest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
	"github.com/ztplan/ztplan/steps/internal/kubekit/refusal"
	"github.com/ztplan/ztplan/steps/internal/nearest"
)

const noKind = "its kind is not served by the cluster yet"

// look reads the object and has the API server apply the manifest in a dry run, both
// at once.
func (r *run) look(ctx context.Context, o *object) error {
	served, err := r.resolve(o)
	if err != nil {
		return r.explain(o, err)
	}
	if !served {
		if pending, ok := r.pending(o.gvk()); ok {
			return r.checkAgainst(o, pending)
		}
		return nil
	}
	if kubestatus.Vanishes(o.obj) {
		if err := r.lookAtEnd(ctx, o); err != nil {
			return r.explain(o, err)
		}
	}
	resource, err := r.resource(o)
	if err != nil {
		return r.explain(o, err)
	}
	dryErr, err := r.ask(ctx, resource, o)
	if err != nil {
		return r.explain(o, err)
	}
	switch {
	case dryErr == nil:
		return nil
	case refusal.NamespaceMissing(dryErr):
		o.merged, o.note = nil, r.withoutNamespace(o)
		return nil
	case unserved(dryErr):
		// Discovery knew it: its CustomResourceDefinition has been removed, or
		// its handler is still on the way.
		r.cluster.Mapper().Reset()
		o.live, o.merged, o.note = nil, nil, noKind
		return nil
	case refusal.WithoutDryRun(dryErr):
		o.merged, o.note = nil, "an admission webhook cannot be asked in a dry run: only the fields in the manifest are compared"
		return nil
	}
	if d, ok := kubekit.DenialOf(dryErr); ok {
		o.merged, o.unasked = nil, true
		kubekit.Unasked(ctx, r.env, d)
		return nil
	}
	return r.explain(o, dryErr)
}

// ask reads the object and applies the manifest in a dry run, until both answers
// are about the same state of it: controllers write to a new object all the
// time, and their changes in between must not pass for a difference. Fields with
// another manager are noted, and the answer is the object with them taken over.
func (r *run) ask(ctx context.Context, resource dynamic.ResourceInterface, o *object) (dryErr, err error) {
	again := kubekit.Again(errors.New("it changes faster than it can be read"), func() (bool, error) {
		var wg engine.Group
		wg.Go(func() { o.live, err = resource.Get(ctx, o.ref.Name, metav1.GetOptions{}) })
		wg.Go(func() { o.merged, dryErr = r.patch(ctx, resource, o, r.spec.Force, metav1.DryRunAll) })
		wg.Wait()
		if o.foreign = nil; len(refusal.Conflicts(dryErr)) > 0 && err == nil {
			o.foreign = dryErr
			o.merged, dryErr = r.patch(ctx, resource, o, true, metav1.DryRunAll)
		}
		if apierrors.IsNotFound(err) {
			o.live, err = nil, nil
		}
		return err != nil || dryErr != nil || o.live == nil || o.live.GetResourceVersion() == o.merged.GetResourceVersion(), nil
	})
	if again != nil {
		return nil, again
	}
	return dryErr, err
}

// resolve finds the reference of the object in the cluster. It is false for a kind
// that is not served yet, which is no error if a CustomResourceDefinition may
// still bring it.
func (r *run) resolve(o *object) (bool, error) {
	gvk := o.gvk()
	mapping, err := r.cluster.Mapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	switch {
	case kubekit.IsNoKind(err):
		if _, ok := r.pending(gvk); !ok {
			if err := r.unknownKind(gvk); err != nil {
				return false, err
			}
			if err := r.misspelt(gvk); err != nil {
				return false, err
			}
			if err := kubekit.NoKind(r.env, gvk); err != nil {
				return false, err
			}
		}
		o.note = noKind
		o.namespaced, o.guessed = r.namespacedKind(o)
	case err != nil:
		return false, err
	default:
		o.guessed = false
		o.namespaced = mapping.Scope.Name() == meta.RESTScopeNameNamespace
	}
	o.ref = kubekit.RefOf(o.obj)
	switch {
	case o.namespaced && o.ref.Namespace == "":
		o.ref.Namespace = r.namespace()
	case !o.namespaced && o.ref.Namespace != "":
		return false, engine.Permanent(engine.WithHint(
			fmt.Errorf("metadata.namespace: kind %s has no namespaces", gvk.Kind), "remove metadata.namespace from the manifest"))
	}
	return err == nil, nil
}

func (r *run) namespace() string { return cmp.Or(r.spec.Namespace, metav1.NamespaceDefault) }

// crdOf returns the step's CustomResourceDefinition of a kind, nil if it has
// none.
func (r *run) crdOf(gvk schema.GroupVersionKind) *object {
	for _, o := range r.objects {
		if defines(o.obj, gvk) {
			return o
		}
	}
	return nil
}

// defines reports whether an object is the CustomResourceDefinition of a kind.
func defines(obj *unstructured.Unstructured, gvk schema.GroupVersionKind) bool {
	return obj.GroupVersionKind().GroupKind() == crdKind && kubefields.CRDKindOf(obj) == gvk.GroupKind()
}

// namespacedKind reports whether a kind that is not served has namespaces: by its
// CustomResourceDefinition, else by custom, which is a guess unless the manifest names
// a namespace.
func (r *run) namespacedKind(o *object) (namespaced, guessed bool) {
	if pending, ok := r.pending(o.gvk()); ok {
		return pending.Namespaced(), false
	}
	if o.obj.GetNamespace() != "" {
		return true, false
	}
	return !strings.HasPrefix(o.gvk().Kind, "Cluster"), true
}

// misspelt returns an error if the API server serves the version but not the
// kind, and a CustomResourceDefinition that is still to come is not a likely
// reason.
func (r *run) misspelt(gvk schema.GroupVersionKind) error {
	builtin := !strings.Contains(gvk.Group, ".")
	list, err := r.cluster.Client().Discovery().ServerResourcesForGroupVersion(gvk.GroupVersion().String())
	if apierrors.IsNotFound(err) && builtin {
		return engine.Permanent(engine.WithHint(fmt.Errorf("apiVersion %s is not served by the cluster", gvk.GroupVersion()),
			"kubectl api-versions lists those that are"))
	}
	if err != nil {
		return nil
	}
	var kinds []string
	for _, res := range list.APIResources {
		if !strings.Contains(res.Name, "/") {
			kinds = append(kinds, res.Kind)
		}
	}
	near := nearest.Name(gvk.Kind, kinds)
	if near == "" && !builtin {
		return nil
	}
	hint := fmt.Sprintf("kubectl api-resources --api-group=%q lists those that it has", gvk.Group)
	if near != "" {
		hint = fmt.Sprintf("did you mean %s? %s", near, hint)
	}
	return engine.Permanent(engine.WithHint(fmt.Errorf("%s has no kind %s", gvk.GroupVersion(), gvk.Kind), hint))
}

func (r *run) resource(o *object) (dynamic.ResourceInterface, error) {
	return r.cluster.Resource(o.gvk(), o.ref.Namespace)
}

// patch applies the manifest, with dryRun All without keeping the result. The
// server refuses to apply it to another object than the one that was looked at. A
// resourceVersion is not sent: the status of many objects changes all the time, and
// fields of others are protected by their managers.
func (r *run) patch(ctx context.Context, resource dynamic.ResourceInterface, o *object, force bool, dryRun ...string) (*unstructured.Unstructured, error) {
	body := o.obj.DeepCopy()
	body.SetNamespace(o.ref.Namespace)
	if len(dryRun) == 0 && o.live != nil && o.live.GetDeletionTimestamp() == nil {
		body.SetUID(o.live.GetUID())
	}
	data, err := json.Marshal(body.Object)
	if err != nil {
		return nil, err
	}
	return resource.Patch(ctx, o.ref.Name, types.ApplyPatchType, data, metav1.PatchOptions{
		DryRun:          dryRun,
		Force:           &force,
		FieldManager:    r.spec.FieldManager,
		FieldValidation: metav1.FieldValidationStrict,
	})
}
