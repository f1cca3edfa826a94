package controller

import (
	"cmp"
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// A verdict is a condition of the Gateway API: True with the reason good, or False with
// the reason bad.
type verdict struct{ kind, bad, good, message string }

func (v verdict) ok() bool { return v.bad == "" }

// conditions brings conditions up to date. The time of one changes with its status only.
func conditions(have []metav1.Condition, generation int64, verdicts ...verdict) []metav1.Condition {
	out := slices.Clone(have)
	for _, v := range verdicts {
		status := metav1.ConditionTrue
		if !v.ok() {
			status = metav1.ConditionFalse
		}
		meta.SetStatusCondition(&out, metav1.Condition{
			Type: v.kind, Status: status, Reason: cmp.Or(v.bad, v.good), Message: v.message, ObservedGeneration: generation,
		})
	}
	return out
}

// changeStatus writes a status if it differs from the object's.
func (c *controller) changeStatus(ctx context.Context, resource schema.GroupVersionResource, name types.NamespacedName, have, want any) error {
	if equality.Semantic.DeepEqual(have, want) {
		return nil
	}
	return c.updateStatus(ctx, resource, name, want)
}
