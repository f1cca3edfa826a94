package kubekit

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/ztplan/ztplan/engine"
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

// A Status says how far an object is from doing what its spec asks for.
type Status struct {
	Ref Ref
	// Done means that the object is as its spec asks.
	Done bool
	// Failed means that its controller has given up: waiting is of no use
	// unless it is changed.
	Failed bool
	// Hint, with Failed, is the way out if there is a known one.
	Hint string
	// Message says what is missing, or what was reached; one line.
	Message string
	// Object is what was read, nil if it does not exist.
	Object *unstructured.Unstructured
	// Watch is what to await a change of, see Cluster.AwaitChange.
	Watch []Watch
}

// Current judges an object, as read from the cluster, by itself. It follows
// kstatus (sigs.k8s.io/cli-utils), and differs where kstatus answers early:
//
//   - a Job is done when it has completed, not when it has started;
//   - a CustomResourceDefinition is done when it is Established and its names
//     are accepted;
//   - an object of cert-manager is done when it has Ready=True: kstatus takes one
//     that its controller has not seen yet for done;
//   - a StatefulSet or DaemonSet with the update strategy OnDelete, which kstatus
//     never waits for, or for ever, is done when its pods exist and every container has started.
//     They need not be ready: a Vault pod gets ready only when it is unsealed.
//     Pass the pods that its selector matches; without them the count in its
//     status decides.
//
// Watch and Object are left empty.
func Current(obj *unstructured.Unstructured, pods ...corev1.Pod) Status {
	st := Status{Ref: RefOf(obj)}
	switch obj.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: "batch", Kind: "Job"}:
		if obj.GetDeletionTimestamp() == nil {
			return currentJob(st, obj)
		}
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		if obj.GetDeletionTimestamp() == nil {
			return currentCRD(st, obj)
		}
	case schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, schema.GroupKind{Group: "apps", Kind: "DaemonSet"}:
		if obj.GetDeletionTimestamp() == nil && onDelete(obj) {
			return currentOnDelete(st, obj, pods)
		}
	}
	if ready, ok := Condition(obj, "Ready"); obj.GroupVersionKind().Group == "cert-manager.io" && obj.GetDeletionTimestamp() == nil {
		return currentReady(st, obj, ready, ok)
	}
	res, err := kstatus.Compute(obj)
	if err != nil {
		st.Message = err.Error()
		return st
	}
	st.Done = res.Status == kstatus.CurrentStatus
	st.Failed = res.Status == kstatus.FailedStatus
	st.Message = OneLine(res.Message)
	return st
}

func currentReady(st Status, obj *unstructured.Unstructured, ready metav1.Condition, ok bool) Status {
	switch {
	case !ok:
		st.Message = "its controller has not seen it yet"
	case ready.ObservedGeneration != 0 && ready.ObservedGeneration < obj.GetGeneration():
		st.Message = "its controller has not seen the last change yet"
	default:
		st.Done = ready.Status == metav1.ConditionTrue
		st.Message = OneLine(ready.Reason + ": " + ready.Message)
	}
	return st
}

// Condition returns the condition of the object's status, and whether it has
// one of that type.
func Condition(obj *unstructured.Unstructured, conditionType string) (metav1.Condition, bool) {
	list, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok || m["type"] != conditionType {
			continue
		}
		text := func(key string) string { s, _ := m[key].(string); return s }
		generation, _ := m["observedGeneration"].(int64)
		since, _ := time.Parse(time.RFC3339, text("lastTransitionTime"))
		return metav1.Condition{
			Type:               conditionType,
			Status:             metav1.ConditionStatus(text("status")),
			Reason:             text("reason"),
			Message:            text("message"),
			ObservedGeneration: generation,
			LastTransitionTime: metav1.Time{Time: since},
		}, true
	}
	return metav1.Condition{}, false
}

func currentJob(st Status, obj *unstructured.Unstructured) Status {
	if c, ok := Condition(obj, "Failed"); ok && c.Status == metav1.ConditionTrue {
		st.Failed = true
		st.Message = OneLine("Job failed: " + c.Reason + ": " + c.Message)
		return st
	}
	if c, ok := Condition(obj, "Complete"); ok && c.Status == metav1.ConditionTrue {
		st.Done, st.Message = true, "Job completed"
		return st
	}
	succeeded, _, _ := unstructured.NestedInt64(obj.Object, "status", "succeeded")
	active, _, _ := unstructured.NestedInt64(obj.Object, "status", "active")
	failed, _, _ := unstructured.NestedInt64(obj.Object, "status", "failed")
	st.Message = fmt.Sprintf("Job runs: %d succeeded, %d active, %d failed", succeeded, active, failed)
	return st
}

func currentCRD(st Status, obj *unstructured.Unstructured) Status {
	names, hasNames := Condition(obj, "NamesAccepted")
	established, _ := Condition(obj, "Established")
	switch {
	case hasNames && names.Status == metav1.ConditionFalse:
		st.Failed = true
		st.Message = OneLine("names are not accepted: " + names.Message)
	case hasNames && established.Status == metav1.ConditionTrue:
		st.Done, st.Message = true, "CRD is established"
	default:
		st.Message = "CRD is not established yet"
	}
	return st
}

func onDelete(obj *unstructured.Unstructured) bool {
	strategy, _, _ := unstructured.NestedString(obj.Object, "spec", "updateStrategy", "type")
	return strategy == "OnDelete"
}

func currentOnDelete(st Status, obj *unstructured.Unstructured, pods []corev1.Pod) Status {
	want, found, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	if !found {
		want = 1
	}
	count := "replicas"
	if obj.GetKind() == "DaemonSet" {
		want, _, _ = unstructured.NestedInt64(obj.Object, "status", "desiredNumberScheduled")
		count = "currentNumberScheduled"
	}
	observed, _, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	if observed < obj.GetGeneration() {
		st.Message = obj.GetKind() + " generation is not observed yet"
		return st
	}
	if pods == nil {
		have, _, _ := unstructured.NestedInt64(obj.Object, "status", count)
		st.Done = have == want
		st.Message = fmt.Sprintf("%d of %d pods exist", have, want)
		return st
	}
	running, waiting := int64(0), []string(nil)
	for _, p := range pods {
		if ok, why := podRuns(&p); ok {
			running++
		} else {
			waiting = append(waiting, "pod "+p.Name+" "+why)
		}
	}
	st.Done = running == want
	st.Message = fmt.Sprintf("%d of %d pods run", running, want)
	if !st.Done && len(waiting) > 0 {
		st.Message += ": " + OneLine(strings.Join(waiting, "; "))
	}
	return st
}

// Status reads objects and judges them, all at once. An object that does not
// exist, or whose kind is not served yet, is not done. The error is the first
// that keeps an object from being read, classified.
func (c *Cluster) Status(ctx context.Context, refs ...Ref) ([]Status, error) {
	statuses := make([]Status, len(refs))
	errs := make([]error, len(refs))
	var wg engine.Group
	for i, ref := range refs {
		wg.Go(func() { statuses[i], errs[i] = c.status(ctx, ref) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", refs[i], Classify(err))
		}
	}
	return statuses, nil
}

func (c *Cluster) status(ctx context.Context, ref Ref) (Status, error) {
	absent := func(message string) Status {
		return Status{Ref: ref, Message: message, Watch: []Watch{{Ref: ref}}}
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
// done it reads their pods too: they say why.
func (c *Cluster) Judge(ctx context.Context, obj *unstructured.Unstructured) (Status, error) {
	own := Watch{Ref: RefOf(obj), ResourceVersion: obj.GetResourceVersion()}
	st := Current(obj)
	st.Object, st.Watch = obj, []Watch{own}
	needsPods := StaysUntilDeleted(obj)
	if !needsPods && (st.Done || !runsPods(obj)) {
		return st, nil
	}
	selector, err := podSelector(obj)
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
	if needsPods {
		judged := Current(obj, owned(list.Items, obj)...)
		st.Done, st.Failed, st.Message = judged.Done, judged.Failed, judged.Message
		if !st.Done {
			st.Message += c.lastWords(ctx, list.Items)
		}
		return st, nil
	}
	if why := blockedSurge(obj, list.Items); why != "" {
		st.Failed, st.Message, st.Hint = true, why, surgeHint
		return st, nil
	}
	if why := whyNotReady(list.Items); why != "" {
		st.Message += "; " + why + c.lastWords(ctx, list.Items)
	}
	return st, nil
}

func isKind(obj *unstructured.Unstructured, group, kind string) bool {
	return obj.GroupVersionKind().GroupKind() == schema.GroupKind{Group: group, Kind: kind}
}

func runsPods(obj *unstructured.Unstructured) bool {
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"} {
		if isKind(obj, "apps", kind) {
			return true
		}
	}
	return isKind(obj, "batch", "Job")
}

func podSelector(obj *unstructured.Unstructured) (string, error) {
	m, _, err := unstructured.NestedMap(obj.Object, "spec", "selector")
	if err != nil {
		return "", err
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m, &selector); err != nil {
		return "", err
	}
	if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		return "", nil // would match every pod
	}
	return metav1.FormatLabelSelector(&selector), nil
}

// owned keeps the pods that the object controls; never nil.
func owned(pods []corev1.Pod, obj *unstructured.Unstructured) []corev1.Pod {
	kept := []corev1.Pod{}
	for _, p := range pods {
		if o := metav1.GetControllerOf(&p); o != nil && o.UID == obj.GetUID() {
			kept = append(kept, p)
		}
	}
	return kept
}

// OneLine joins the lines of a message: those of servers have several.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
