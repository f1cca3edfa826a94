package applymanifest

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

var crdKind = kubefields.CRDKind

// order lists kinds in the order in which they are applied. Kinds that are not
// in it are custom resources: they come after the workloads, which include
// their controllers, and before the webhooks that would reject everything while
// those are not up.
var order = []schema.GroupKind{
	{Kind: "Namespace"},
	crdKind,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
	{Group: "storage.k8s.io", Kind: "StorageClass"},
	{Group: "networking.k8s.io", Kind: "IngressClass"},

	{Kind: "ServiceAccount"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
	{Group: "rbac.authorization.k8s.io", Kind: "Role"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},

	{Kind: "ResourceQuota"},
	{Kind: "LimitRange"},
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"},
	{Group: "policy", Kind: "PodDisruptionBudget"},
	{Kind: "Secret"},
	{Kind: "ConfigMap"},
	{Kind: "PersistentVolume"},
	{Kind: "PersistentVolumeClaim"},
	{Kind: "Service"},
	{Kind: "Endpoints"},
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"},

	{Group: "apps", Kind: "DaemonSet"},
	{Group: "apps", Kind: "StatefulSet"},
	{Group: "apps", Kind: "Deployment"},
	{Group: "apps", Kind: "ReplicaSet"},
	{Kind: "ReplicationController"},
	{Kind: "Pod"},
	{Group: "batch", Kind: "Job"},
	{Group: "batch", Kind: "CronJob"},
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"},
	{Group: "networking.k8s.io", Kind: "Ingress"},
}

// last lists the kinds that are applied after all others.
var last = []schema.GroupKind{
	{Group: "apiregistration.k8s.io", Kind: "APIService"},
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"},
}

// rank returns the place of a kind in the order.
func rank(gk schema.GroupKind) int {
	if i := slices.Index(order, gk); i >= 0 {
		return i
	}
	if i := slices.Index(last, gk); i >= 0 {
		return len(order) + 1 + i
	}
	return len(order)
}

// sorted returns the objects in the order in which they are applied; objects
// of one kind stay in the order of the manifests.
func sorted(objects []*object) []*object {
	s := slices.Clone(objects)
	slices.SortStableFunc(s, func(a, b *object) int {
		return rank(a.gvk().GroupKind()) - rank(b.gvk().GroupKind())
	})
	return s
}
