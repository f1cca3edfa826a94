// Package kubestatus judges objects as a cluster has them: whether they are as their
// specs ask, and whether pods run and are ready. It contacts nothing.
package kubestatus

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// A Result is the judgement of an object by its spec.
type Result struct {
	Done    bool   // the object is as its spec asks
	Failed  bool   // its controller has given up: waiting is of no use unless it is changed
	Hint    string // the way out, if there is a known one
	Message string // one line: the missing part, or the state that was reached
}

// Current judges an object, as read from the cluster, by itself. It follows
// kstatus (sigs.k8s.io/cli-utils), and differs where kstatus answers early:
//
//   - a Job is done when it has completed, not when it has started;
//   - a CustomResourceDefinition is done when it is Established and its names
//     are accepted;
//   - an object of cert-manager is done when it has Ready=True: kstatus takes one
//     that its controller has not seen yet for done;
//   - a StatefulSet or DaemonSet with the update strategy OnDelete, for which kstatus
//     waits never or for ever, is done when its pods exist and every container has
//     started. They need not be ready: a Vault pod gets ready only when it is unsealed.
//     Pass the pods that it controls; without them the count in its status decides.
func Current(obj *unstructured.Unstructured, pods ...corev1.Pod) Result {
	if obj.GetDeletionTimestamp() == nil {
		switch gk := obj.GroupVersionKind().GroupKind(); {
		case gk == schema.GroupKind{Group: "batch", Kind: "Job"}:
			return currentJob(obj)
		case gk == schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
			return currentCRD(obj)
		case gk.Group == "cert-manager.io":
			return currentReady(obj)
		case StaysUntilDeleted(obj):
			return currentOnDelete(obj, pods)
		}
	}
	res, err := kstatus.Compute(obj)
	if err != nil {
		return Result{Message: err.Error()}
	}
	return Result{
		Done:    res.Status == kstatus.CurrentStatus,
		Failed:  res.Status == kstatus.FailedStatus,
		Message: OneLine(res.Message),
	}
}

func currentReady(obj *unstructured.Unstructured) Result {
	ready, ok := Condition(obj, "Ready")
	switch {
	case !ok:
		return Result{Message: "its controller has not seen it yet"}
	case ready.ObservedGeneration != 0 && ready.ObservedGeneration < obj.GetGeneration():
		return Result{Message: "its controller has not seen the last change yet"}
	}
	return Result{Done: ready.Status == metav1.ConditionTrue, Message: OneLine(ready.Reason + ": " + ready.Message)}
}

// Condition returns the condition of the object's status, and whether it has
// one of that type. Kinds write conditions in many ways: fields that cannot be read are
// empty.
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

func currentJob(obj *unstructured.Unstructured) Result {
	if c, _ := Condition(obj, "Failed"); c.Status == metav1.ConditionTrue {
		return Result{Failed: true, Message: OneLine("Job failed: " + c.Reason + ": " + c.Message)}
	}
	if c, _ := Condition(obj, "Complete"); c.Status == metav1.ConditionTrue {
		return Result{Done: true, Message: "Job completed"}
	}
	return Result{Message: fmt.Sprintf("Job runs: %d succeeded, %d active, %d failed",
		number(obj, "status", "succeeded"), number(obj, "status", "active"), number(obj, "status", "failed"))}
}

func currentCRD(obj *unstructured.Unstructured) Result {
	names, hasNames := Condition(obj, "NamesAccepted")
	established, _ := Condition(obj, "Established")
	switch {
	case hasNames && names.Status == metav1.ConditionFalse:
		return Result{Failed: true, Message: OneLine("names are not accepted: " + names.Message)}
	case hasNames && established.Status == metav1.ConditionTrue:
		return Result{Done: true, Message: "CRD is established"}
	}
	return Result{Message: "CRD is not established yet"}
}

func currentOnDelete(obj *unstructured.Unstructured, pods []corev1.Pod) Result {
	want, have := replicas(obj), number(obj, "status", "replicas")
	if obj.GetKind() == "DaemonSet" {
		want, have = number(obj, "status", "desiredNumberScheduled"), number(obj, "status", "currentNumberScheduled")
	}
	switch {
	case !Observed(obj):
		return Result{Message: obj.GetKind() + " generation is not observed yet"}
	case pods == nil:
		return Result{Done: have == want, Message: fmt.Sprintf("%d of %d pods exist", have, want)}
	}
	running, waiting := int64(0), []string(nil)
	for _, p := range pods {
		if ok, why := PodRuns(&p); ok {
			running++
		} else {
			waiting = append(waiting, "pod "+p.Name+" "+why)
		}
	}
	r := Result{Done: running == want, Message: fmt.Sprintf("%d of %d pods run", running, want)}
	if !r.Done && len(waiting) > 0 {
		r.Message += ": " + OneLine(strings.Join(waiting, "; "))
	}
	return r
}

// Observed reports whether the object's controller has seen its last change.
func Observed(obj *unstructured.Unstructured) bool {
	return number(obj, "status", "observedGeneration") >= obj.GetGeneration()
}

// replicas returns the number of pods that a workload is to have; it is 1 by default.
func replicas(obj *unstructured.Unstructured) int64 {
	if n, found, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas"); found {
		return n
	}
	return 1
}

func number(obj *unstructured.Unstructured, path ...string) int64 {
	n, _, _ := unstructured.NestedInt64(obj.Object, path...)
	return n
}

// OneLine joins the lines of a message: those of servers have several.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
