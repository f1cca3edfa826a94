package kubekit

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// A Ref names an object of the cluster.
type Ref struct {
	APIVersion string // "v1", "apps/v1"
	Kind       string
	Namespace  string // empty for kinds without namespaces
	Name       string
}

// RefOf returns the Ref of an object.
func RefOf(obj *unstructured.Unstructured) Ref {
	return Ref{obj.GetAPIVersion(), obj.GetKind(), obj.GetNamespace(), obj.GetName()}
}

// String returns "Kind/namespace/name", or "Kind/name" without a namespace.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + "/" + r.Name
	}
	return r.Kind + "/" + r.Namespace + "/" + r.Name
}

// GVK returns the group, version and kind.
func (r Ref) GVK() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
}

// A Status is the state of an object in the cluster.
type Status struct {
	kubestatus.Result
	Ref    Ref
	Object *unstructured.Unstructured // as it was read, nil if it does not exist
	Watch  []Watch                    // for AwaitChange
}

// Status reads objects and judges them, all at once. An object that does not
// exist, or whose kind is not served yet, is not done. The error is the first
// that keeps an object from being read, classified.
func (c *Cluster) Status(ctx context.Context, refs ...Ref) ([]Status, error) {
	return forEach(refs, func(ref Ref) (Status, error) { return c.status(ctx, ref) })
}

func (c *Cluster) status(ctx context.Context, ref Ref) (Status, error) {
	absent := func(message string) Status {
		return Status{Result: kubestatus.Result{Message: message}, Ref: ref, Watch: []Watch{{Ref: ref}}}
	}
	resource, err := c.Resource(ref.GVK(), ref.Namespace)
	if IsNoKind(err) {
		return absent("its kind is not served by the cluster"), nil
	}
	if err != nil {
		return Status{}, err
	}
	obj, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return absent("does not exist"), nil
	}
	if err != nil {
		return Status{}, err
	}
	return c.Judge(ctx, obj)
}

// Judge is Status for an object that was just read. For workloads that are not
// done it reads their pods too, for the reason.
func (c *Cluster) Judge(ctx context.Context, obj *unstructured.Unstructured) (Status, error) {
	own := Watch{Ref: RefOf(obj), ResourceVersion: obj.GetResourceVersion()}
	st := Status{Result: kubestatus.Current(obj), Ref: own.Ref, Object: obj, Watch: []Watch{own}}
	onDelete := kubestatus.StaysUntilDeleted(obj)
	if !onDelete && (st.Done || !kubestatus.RunsPods(obj)) {
		return st, nil
	}
	selector, err := kubestatus.PodSelector(obj)
	if err != nil || selector == "" {
		return st, err
	}
	list, err := c.client.CoreV1().Pods(obj.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return Status{}, err
	}
	st.Watch = append(st.Watch, Watch{
		Ref:             Ref{APIVersion: "v1", Kind: "Pod", Namespace: obj.GetNamespace()},
		Selector:        selector,
		ResourceVersion: list.ResourceVersion,
	})
	if onDelete {
		st.Result = kubestatus.Current(obj, kubestatus.Owned(list.Items, obj)...)
		if !st.Done {
			st.Message += c.lastWords(ctx, list.Items)
			st.Hint = kubestatus.PodsHint(list.Items)
		}
		return st, nil
	}
	if why := kubestatus.BlockedSurge(obj, list.Items); why != "" {
		st.Failed, st.Message, st.Hint = true, why, kubestatus.SurgeHint
		return st, nil
	}
	if why := kubestatus.WhyNotReady(list.Items); why != "" {
		st.Message += "; " + why + c.lastWords(ctx, list.Items)
		st.Hint = kubestatus.PodsHint(list.Items)
	}
	return st, nil
}
